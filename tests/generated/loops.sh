#!/bin/sh
# Loops that the compiler makes in two versions, on all tiers: loops.sh [FIRST [COUNT]]
#
# Seeds FIRST, FIRST + 1, ... COUNT of them (LOOPS_COUNT in the environment; 24, a quarter of them
# in sanitized builds) of generate_loops.py, compared by tiers: results and what is left in memory
# when a loop runs into its end. As many of generate_counters.py, whose counters the compiler
# changes.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=.}" "${PYTHON:=python3}"
: "${WAT2WASM:=wat2wasm}"
first=${1:-${LOOPS_FIRST:-1}}
[ "${SANITIZED:-}" = yes ] && usual=6 || usual=24
count=${2:-${LOOPS_COUNT:-$usual}}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

if ! command -v "$WAT2WASM" >/dev/null; then
	echo "there is no wat2wasm"
	echo "0 passed, 0 failed, $((2 * count)) skipped"
	exit 0
fi
seed=$first
while [ "$seed" -lt "$((first + count))" ]; do
	for kind in loops counters; do
		name=$work/$kind-$seed
		"$PYTHON" "$top_srcdir/tests/generated/generate_$kind.py" "$seed" >"$name.wat" &&
			"$WAT2WASM" "$name.wat" -o "$name.wasm" || exit 1
	done
	seed=$((seed + 1))
done
"$top_builddir/tests/generated/tiers" "$work"/*.wasm
