#!/bin/sh
# Generated modules on the interpreter and as native code: tiers.sh [FIRST [COUNT]]
#
# Seeds FIRST, FIRST + 1, ... COUNT of them (TIERS_COUNT in the environment; 150, a third of them in
# sanitized builds), of the profile "all" in every variant; an eighth as many of the profile
# "large"; and a quarter as many of the profile "raw" as code with canonical NaNs, whose bits are
# compared. A failure names the module and how to make it again. Two processes share the work.
set -u
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}" "${top_builddir:=.}" "${PYTHON:=python3}"
first=${1:-${TIERS_FIRST:-1}}
[ "${SANITIZED:-}" = yes ] && usual=50 || usual=150
count=${2:-${TIERS_COUNT:-$usual}}
here=$top_srcdir/tests/generated
program=$top_builddir/tests/generated/tiers
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# compare PROFILE FIRST COUNT LOG OPTION...: one process over so many seeds, a few at a time.
compare() {
	profile=$1 seed=$2 left=$3 log=$4
	shift 4
	mkdir "$work/$log.modules"
	while [ "$left" -gt 0 ]; do
		some=$((left < 100 ? left : 100))
		"$PYTHON" "$here/generate.py" --profile "$profile" --many "$seed" "$some" \
			"$work/$log.modules" || return 1
		"$program" "$@" "$work/$log.modules"/*.wasm
		rm -f "$work/$log.modules"/*.wasm
		seed=$((seed + some)) left=$((left - some))
	done >"$work/$log" 2>&1
}

# number WORD: the sum of the numbers before a word in all tallies.
number() {
	sed -n "s/.*\\b\\([0-9][0-9]*\\) $1.*/\\1/p" "$work"/*.log |
		awk '{ sum += $1 } END { print sum + 0 }'
}

half=$((count / 2))
compare all "$first" "$half" all1.log &
compare all "$((first + half))" "$((count - half))" all2.log
wait
compare large "$first" "$((count / 8))" large.log &
compare raw "$first" "$((count / 4))" raw.log --canonical-nans
wait

cat "$work"/*.log | grep -v '^[0-9]* passed,' | head -n 200
passed=$(number passed) failed=$(number failed) skipped=$(number skipped)
if [ "$failed" -gt 0 ]; then
	echo "A module is made again by generate.py [--profile raw|large] SEED FILE; compare with"
	echo "$program FILE, and find the function with bisect.py FILE."
fi
wanted=$((count + count / 8 + count / 4))
if [ "$((passed + failed + skipped))" -ne "$wanted" ]; then
	echo "FAIL: $wanted modules were to be compared"
	failed=$((failed + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
