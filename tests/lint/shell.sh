#!/bin/bash
# shell.sh: shellcheck over every script.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lint/sources.bash

# SC1091, SC2153, SC2154, SC2034: sourced files are checked on their own, and set variables for each other.
# SC2317: functions are called through wait_until. SC2030, SC2031: every test of bats is a subshell. SC2016: the code for other shells is in quotes.
scripts | xargs shellcheck --exclude=SC1091,SC2153,SC2154,SC2034,SC2030,SC2031,SC2016,SC2317
echo "shell: $(scripts | wc -l) files"
