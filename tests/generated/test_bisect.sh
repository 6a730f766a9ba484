#!/bin/sh
# bisect.py names the function whose body was replaced by a wrong one, on every tier there is, and
# finds nothing where nothing is wrong.
set -u
: "${top_srcdir:?is set by make}" "${top_builddir:?is set by make}" "${PYTHON:=python3}"
here=$top_srcdir/tests/generated
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

# expect WORDS OPTION...: what bisect.py has to print.
expect() {
	want=$1
	shift
	got=$("$PYTHON" "$here/bisect.py" --build "$top_builddir" "$@" "$work/module.wasm" 2>&1)
	case $got in
	"$want"*) passed=$((passed + 1)) ;;
	*)
		echo "FAIL bisect.py $*: expected $want, got $got"
		failed=$((failed + 1))
		;;
	esac
}

"$PYTHON" "$here/generate.py" 5 "$work/module.wasm" || exit 1
for function in 2 4 5; do
	expect "function $function " --tier interp --plant "$function"
done
expect "no difference" --tier interp
if "$top_builddir/tests/generated/steps" --tier native --level fast "$work/module.wasm" \
	>/dev/null 2>&1; then
	expect "function 4 " --tier native --level fast --plant 4
	expect "no difference" --tier native --level fast
else
	echo "no native code here"
	skipped=2
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
