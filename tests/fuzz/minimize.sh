#!/bin/bash
# minimize.sh BUILD TARGET: adds to the kept corpus of a target those of the inputs that were found
# that reach code which nothing kept reaches. Kept inputs stay: they are written by hand or once
# broke something.
set -euo pipefail
cd "$(dirname "$0")/../.."

kept=tests/fuzz/corpus/$2
mkdir -p "$kept" "$1/found/$2"
before=$(find "$kept" -type f | wc -l)
"$1/fuzz_$2" -set_cover_merge=1 -max_len="${MAX_LEN:-4096}" "$kept" "$1/found/$2" </dev/null 2>"$1/minimize-$2.log" || {
	tail -n 20 "$1/minimize-$2.log" >&2
	exit 1
}
echo "$2: $before inputs kept before, $(find "$kept" -type f | wc -l) now"
