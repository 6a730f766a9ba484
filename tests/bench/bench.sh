#!/bin/sh
# The benchmark programs one after the other, for "make bench".
set -eu
: "${top_srcdir:?is set by make}" "${top_builddir:?is set by make}"
: "${PYTHON:=python3}" "${NODE:=no}"
bench=$top_builddir/tests/bench
guests=$top_builddir/tests/guests
wasmedge=$top_builddir/wasmedge
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
XDG_STATE_HOME=$work/state
export XDG_STATE_HOME

echo "== start of a process"
"$bench/startup" 200 /bin/true
"$bench/startup" 200 "$wasmedge" --tier interp "$guests/hello.wasm"
if "$wasmedge" compile "$guests/hello.wasm" "$work/hello.wasm"; then
	"$bench/startup" 200 "$wasmedge" "$work/hello.wasm"
fi
[ "$NODE" = no ] || "$bench/startup" 20 "$NODE" -e ''

echo "== instances and calls"
"$bench/instance" "$guests/calc.wasm"
"$bench/call" "$guests/calc.wasm"
"$bench/stop" "$guests/loop.wasm"

if [ -x "$bench/image" ]; then
	echo "== a picture"
	"$bench/image" "$top_builddir/plugins/.libs" "$bench/image_guest.wasm"
fi

echo "== compiling 20,000 functions"
"$PYTHON" "$top_srcdir/tests/bench/large.py" "$work/large.wasm"
for level in fast best; do
	"$bench/compile" --level "$level" "$work/large.wasm" || true
	"$bench/compile" --level "$level" --metered "$work/large.wasm" || true
done
