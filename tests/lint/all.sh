#!/bin/bash
# all.sh: every check of `make lint`, also after one has failed.
set -uo pipefail

status=0
for check in format layers leftovers shell cppcheck; do
	"$(dirname "$0")/$check.sh" || status=1
done
exit "$status"
