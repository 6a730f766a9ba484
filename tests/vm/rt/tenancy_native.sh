#!/bin/sh
# What one tenant leaves to the next when both run as native code: test_tenancy once more.
set -u
: "${top_builddir:=.}"

if [ ! -e "${WASMEDGE_LLVM_LIBRARY:-}" ]; then
	echo "there is no compiler: set WASMEDGE_LLVM_LIBRARY to libwasmedge-llvm.so"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
TENANCY_TIER=native exec "$top_builddir/tests/vm/rt/test_tenancy"
