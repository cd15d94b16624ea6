#!/bin/bash
# shell.sh: shellcheck over every script.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/sources.bash

# SC1091, SC2154: sourced files and the variables they set are checked on their own.
scripts | xargs shellcheck --exclude=SC1091,SC2154 --severity=style
echo "shell: $(scripts | wc -l) files"
