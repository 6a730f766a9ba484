#!/bin/sh
# Run the specification's scripts that the engine has to pass whole, from the tarballs beside the
# tree, which are unpacked once into the build folder. Skipped visibly where there are none.
#
# What cannot be run here may be skipped, but no more than that: the modules counted below, which
# use features that no tier runs yet.
#
# The interpreter runs all groups, and so does native code, each level in one variant: with
# SPEC_TIERS=all in the environment in both; in sanitized builds, where compiling is slow, only
# some groups and one level.
set -eu
: "${top_srcdir:?is set by make}" "${top_builddir:?is set by make}"
data=$top_srcdir/../shared/spectest
unpacked=$top_builddir/tests/spec/data
runner=$top_builddir/tests/spec/spectest
passed=0
failed=0
skipped=0

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] || exit 1
	exit 0
}

if [ ! -d "$data" ]; then
	echo "SKIP: no test data in $data"
	skipped=1
	finish
fi

# unpack NAME: the groups of a tarball, all of them or none.
unpack() {
	[ ! -e "$unpacked/.$1" ] || return 0
	mkdir -p "$unpacked"
	xz -dc "$data/$1.tar.xz" | tar -C "$unpacked" -xf -
	: >"$unpacked/.$1"
}

# count WORD FILE: the number before a word of the tally, which is the last line.
count() {
	tail -n 1 "$2" | sed -n "s/.*\\b\\([0-9][0-9]*\\) $1.*/\\1/p"
}

# run GROUP UNSUPPORTED [OPTION]: the group has to pass, skipping no more than so many commands for
# features that no tier runs.
run() {
	group=$1
	allowed=$2
	shift 2
	log="$unpacked/$group$*.log"
	"$runner" -v "$@" "$unpacked/$group" >"$log" 2>&1 || true
	p=$(count passed "$log")
	f=$(count failed "$log")
	s=$(count skipped "$log")
	if [ -z "$p" ]; then
		echo "$group: the runner ended early"
		p=0 f=1 s=0
	fi
	echo "$group${*:+ ($*)}: $p passed, $f failed, $s skipped"
	if [ "$s" -ne "$allowed" ]; then
		echo "FAIL $group: expected $allowed skipped commands"
		f=$((f + 1))
	fi
	[ "$f" -eq 0 ] || grep -E '^(FAIL|SKIP|/)' "$log" | head -n 20 || true
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
}

# run_tier GROUPS OPTION...: the groups on a tier. What GC and exceptions need only validates.
run_tier() {
	groups=$1
	shift
	for each in $groups; do
		case $each in
		# The last module of table_init has references to objects.
		wasm-3.0-bulk-memory) run "$each" 2 "$@" ;;
		*) run "$each" 0 "$@" ;;
		esac
	done
}

all="wasm-1.0 wasm-2.0 wasm-3.0 wasm-3.0-bulk-memory wasm-3.0-simd wasm-3.0-relaxed-simd
	wasm-3.0-memory64 wasm-3.0-multi-memory"
some="wasm-2.0 wasm-3.0-relaxed-simd wasm-3.0-multi-memory"
for name in wasm-1.0 wasm-2.0 wasm-3.0; do
	unpack "$name"
done
run_tier "$all"
run wasm-3.0-gc 0 --validate-only
run wasm-3.0-exceptions 0 --validate-only
if "$runner" --tier native "$unpacked/wasm-3.0-relaxed-simd" | grep -q '^no native code here'; then
	echo "SKIP: no compiler for native code"
	skipped=$((skipped + 1))
elif [ "${SANITIZED:-}" = yes ]; then
	run_tier "$some" --tier native --level fast --metered
else
	run_tier "$all" --tier native --level best
	run_tier "$all" --tier native --level fast --metered
	if [ "${SPEC_TIERS:-}" = all ]; then
		run_tier "$all" --tier native --level best --metered
		run_tier "$all" --tier native --level fast
	fi
fi
finish
