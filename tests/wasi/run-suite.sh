#!/bin/sh
# Run the WASI test programs of ../shared/wasi-testsuite over every kind of file tree, and on every
# tier: native code of the fast level, some at the best; with WASI_TIERS=all all in all variants.
# Skips, visibly, when the data is not there.
set -eu
: "${top_srcdir:?}" "${top_builddir:?}"
data=$top_srcdir/../shared/wasi-testsuite
wasitest=$top_builddir/tests/wasi/wasitest
passed=0 failed=0 skipped=0

if [ ! -r "$data/preview1.tar.xz" ]; then
	echo "no test programs in $data"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for archive in preview1 wasi-threads apps; do
	tar -xJf "$data/$archive.tar.xz" -C "$folder"
done

# run TITLE ARGUMENT...: add the runner's last line to the tally
run() {
	title=$1
	shift
	output=$("$wasitest" -v "$@" 2>&1) || true
	echo "--- $title"
	echo "$output"
	# shellcheck disable=SC2046 # three numbers, or none when the runner died
	set -- $(echo "$output" | tail -n 1 | sed -n '/^[0-9]* passed, /s/[^0-9]\{1,\}/ /gp')
	passed=$((passed + ${1:-0}))
	failed=$((failed + ${2:-1}))
	skipped=$((skipped + ${3:-0}))
}

run 'preview 1 over a host folder' "$folder/assemblyscript" "$folder/c" "$folder/rust"
run 'preview 1 over a host folder without openat2' --tree walk "$folder/c" "$folder/rust"
run 'preview 1 over memory' --tree memory "$folder/c" "$folder/rust"
run 'applications' "$folder/apps"
run 'threads' "$folder/wasi-threads"

# native FOLDERS OPTION...: programs over a host folder on a native tier
native() {
	folders=$1
	shift
	title="native $*: $folders"
	for each in $folders; do
		set -- "$@" "$folder/$each"
	done
	run "$title" --tier native "$@"
}

native 'assemblyscript c rust apps' --level fast
if [ "${SANITIZED:-}" != yes ]; then
	native 'assemblyscript c' --level best --metered
fi
if [ "${WASI_TIERS:-}" = all ]; then
	native 'rust apps' --level best --metered
	native 'assemblyscript c rust apps' --level best
	native 'assemblyscript c rust apps' --level fast --metered
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
