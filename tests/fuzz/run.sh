#!/bin/bash
# run.sh BUILD TARGET SECONDS: a long run of one fuzz target.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/fuzz/fuzz.bash

run_target "$1" "$2" "$3"
