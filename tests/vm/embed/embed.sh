#!/bin/sh
# Build the embedding example as a stranger would, by pkg-config against an installed library,
# and run it. The installation is a folder of links into the tree.
set -u
: "${top_srcdir:?set by make check}" "${top_builddir:?}"
library=$top_builddir/.libs/libwasmedge.so
example=$top_srcdir/tests/vm/embed/embed.c

skip() {
	echo "SKIP: $1"
	echo "0 passed, 0 failed, 1 skipped"
	exit 77
}
fail() {
	echo "FAIL: $1"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

test -e "$library" || skip "no shared library was built"
command -v pkg-config >/dev/null || skip "no pkg-config"
if nm -D "$library" | grep -qE '__(asan|ubsan|tsan)_'; then
	skip "a sanitized library needs the compiler's flags"
fi

stage=$(mktemp -d) || exit 1
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/include/wasmedged" "$stage/lib/pkgconfig"
ln -s "$top_srcdir/vm/include/vm" "$stage/include/wasmedged/vm"
ln -s "$top_builddir"/.libs/libwasmedge.so* "$stage/lib/"
sed "s|^prefix=.*|prefix=$stage|; s|^exec_prefix=.*|exec_prefix=$stage|
	s|^libdir=.*|libdir=$stage/lib|; s|^includedir=.*|includedir=$stage/include|" \
	"$top_builddir/vm/wasmedged.pc" >"$stage/lib/pkgconfig/wasmedged.pc"

PKG_CONFIG_PATH=$stage/lib/pkgconfig
export PKG_CONFIG_PATH
flags=$(pkg-config --cflags --libs wasmedged) || fail "pkg-config does not know wasmedged"
# shellcheck disable=SC2086 # flags are words
${CC:-cc} -Wall -Wextra -Werror "$example" $flags -o "$stage/embed" || fail "it does not build"
LD_LIBRARY_PATH=$stage/lib "$stage/embed" >"$stage/output" || fail "it does not run"

cat >"$stage/expected" <<'OUTPUT'
print: hello from the guest
greet: 42
divide: 42
divide: integer-divide-by-zero: integer divide by zero
divide: argument of the caller is not acceptable: wrong number of arguments: expected 2, got 1
peek: out-of-bounds-memory-access: out of bounds memory access
spin: deadline-exceeded: deadline exceeded
OUTPUT
# It serves two callers, each with a fresh store.
cat "$stage/expected" "$stage/expected" | diff - "$stage/output" || fail "its output differs"
echo "1 passed, 0 failed, 0 skipped"
