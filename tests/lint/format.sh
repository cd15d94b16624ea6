#!/bin/bash
# format.sh: every C file is laid out as .clang-format says.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/sources.bash

c_sources | xargs clang-format --dry-run -Werror
echo "format: $(c_sources | wc -l) files"
