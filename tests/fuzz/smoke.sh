#!/bin/sh
# Run each fuzz target for FUZZ_SECONDS (20): smoke.sh TARGET... from the build folder.
# Works for libFuzzer binaries and for those with our own main(). New inputs of libFuzzer go to
# fuzz-corpus/NAME/ of the build folder, what it finds to fuzz-found/.
set -eu
: "${top_srcdir:?is set by make}"
seconds=${FUZZ_SECONDS:-20}
passed=0
failed=0
for target; do
	name=${target##*/fuzz_}
	seeds=$top_srcdir/tests/fuzz/corpus/$name
	echo "== $name"
	if nm "$target" 2>/dev/null | grep -q ' T LLVMFuzzerRunDriver'; then
		mkdir -p "fuzz-corpus/$name" fuzz-found
		set -- "fuzz-corpus/$name"
		[ ! -d "$seeds" ] || set -- "$@" "$seeds"
		"./$target" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=4096 \
			-artifact_prefix="fuzz-found/$name-" "$@" && ok=1 || ok=0
	else
		FUZZ_SECONDS=$seconds FUZZ_RUNS=4000000000 "./$target" && ok=1 || ok=0
	fi
	passed=$((passed + ok))
	failed=$((failed + 1 - ok))
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
