#!/bin/sh
# Generated modules, interpreted, against Node: run.sh [FIRST [COUNT]]
#
# Seeds FIRST, FIRST + 1, ... COUNT of them (GENERATED_COUNT in the environment; 300). A failure
# names the module, which generate.py makes again from its seed.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=.}" "${PYTHON:=python3}"
: "${NODE:=node}"
first=${1:-${GENERATED_FIRST:-1}}
count=${2:-${GENERATED_COUNT:-300}}
here=$top_srcdir/tests/generated
if ! command -v "$NODE" >/dev/null 2>&1; then
	echo "node is not installed: generated modules are not compared"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
"$PYTHON" "$here/generate.py" --profile node --many "$first" "$count" "$work" || exit 1
# In groups, so that one crash does not hide the others.
failed=0
passed=0
(cd "$work" && printf '%s\n' *.wasm) | split -l 100 - "$work/group."
for group in "$work"/group.*; do
	# shellcheck disable=SC2046 # the names have no blanks
	(cd "$work" && "$NODE" "$here/oracle.mjs" script.json $(cat "$group")) || exit 1
	timeout 300 "$top_builddir/tests/spec/spectest" -v "$work/script.json" >"$work/log"
	grep FAIL "$work/log" | head -20
	tally=$(tail -n 1 "$work/log")
	passed=$((passed + $(echo "$tally" | sed 's/ passed.*//')))
	failed=$((failed + $(echo "$tally" | sed 's/.*passed, \([0-9]*\) failed.*/\1/')))
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
