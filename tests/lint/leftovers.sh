#!/bin/bash
# leftovers.sh: nothing unfinished, no path of one machine, no oversized file or function.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/sources.bash

found=0
report() {
	echo "$1" >&2
	found=1
}

marks=$( (c_sources; scripts; ls Makefile ./*.md docs/*.md) |
	xargs grep -nE '\b(TO''DO|FIX''ME|XX''X|HA''CK)\b|[^a-z.]/(wor[k]|far[m])/' || true)
[ -z "$marks" ] || report "$marks"

while read -r file; do
	lines=$(wc -l <"$file")
	[ "$lines" -lt 600 ] || report "$file: $lines lines, the limit is 600"
done < <(c_sources)

# A function body is what stands between a "{" and a "}" in the first column.
long=$(c_sources | xargs awk '
	/^{/ { start = FNR }
	/^}/ && start { if (FNR - start > 70) print FILENAME ":" start ": " FNR - start " lines in a function, the limit is 70"; start = 0 }')
[ -z "$long" ] || report "$long"

[ "$found" -eq 0 ] && echo "leftovers: none"
