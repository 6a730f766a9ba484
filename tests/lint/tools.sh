#!/bin/sh
# Checks by tools that may be absent: shellcheck on our scripts, mandoc's on the manual pages.
set -eu
: "${top_srcdir:?is set by make}"
cd "$top_srcdir"
passed=0
failed=0
skipped=0

# check NAME COMMAND...: run it, count it.
check() {
	echo "$1"
	shift
	if "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

scripts=$(find . -name .git -prune -o -name 'build*' -prune -o -name '_*' -prune \
	-o -path ./run -prune -o -type f -size -200k ! -name '*~' ! -name configure -print |
	while read -r file; do
		case $(head -n 1 "$file" | tr -d '\0') in
		'#!/bin/sh'* | '#!/bin/bash'* | '#!/usr/bin/env bash'*) echo "$file" ;;
		esac
	done)
if command -v shellcheck >/dev/null; then
	for script in $scripts; do
		check "shellcheck $script" shellcheck "$script"
	done
else
	echo "shellcheck is not installed"
	skipped=$((skipped + 1))
fi

if command -v mandoc >/dev/null; then
	for page in man/*.[1-9]; do
		[ ! -f "$page" ] || check "mandoc $page" mandoc -Tlint -Wwarning "$page"
	done
else
	echo "mandoc is not installed"
	skipped=$((skipped + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
