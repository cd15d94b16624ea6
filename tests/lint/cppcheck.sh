#!/bin/bash
# cppcheck.sh: static analysis of the C files; a finding is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."

# It does not know __attribute__((cleanup)), so it sees leaks that are none: `make asan` looks for those.
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	--error-exitcode=1 -j "$(nproc)" -I . -D_GNU_SOURCE '-DRK_VERSION="0"' \
	--suppress=missingIncludeSystem --suppress=memleak --suppress=resourceLeak \
	base config drivers engine nsctl tests/tools
echo "cppcheck: no findings"
