#!/bin/sh
# The service unit exposes little, 1.5 at most by systemd's own rating, and systemd understands it.
set -eu
: "${top_srcdir:?is set by make}" "${top_builddir:?is set by make}"
if ! command -v systemd-analyze >/dev/null; then
	echo "systemd-analyze is not installed"
	echo "0 passed, 0 failed, 2 skipped"
	exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
passed=0
failed=0

# The program is not installed where the unit looks for it: any other will do here.
sed 's|^ExecStart=.*|ExecStart=/bin/true|' "$top_builddir/etc/systemd/wasmedged.service" \
	>"$folder/wasmedged.service"
cp "$top_srcdir/etc/systemd/wasmedged.socket" "$folder"
cd "$folder"

# The rating is given as ten times its value.
if systemd-analyze security --offline=yes --no-pager --threshold=15 ./wasmedged.service \
	>rating 2>&1; then
	passed=$((passed + 1))
else
	cat rating
	failed=$((failed + 1))
fi
tail -n 1 rating

if systemd-analyze verify --man=no ./wasmedged.service ./wasmedged.socket >verdict 2>&1 &&
	[ ! -s verdict ]; then
	passed=$((passed + 1))
else
	echo "systemd-analyze verify:"
	cat verdict
	failed=$((failed + 1))
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
