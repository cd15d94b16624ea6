#!/bin/bash
# run.sh BUILD-DIR [SUITE...]: run the tests of one build and count them.
#
# A suite is "unit" or the name of a file in tests/integration without .bats; all when none is given.
# The full output is kept in BUILD-DIR/*.log. The last line is "N passed, N failed, N skipped"; the
# exit status is 1 when anything failed or when nothing ran.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

build=$1
shift
suites=("$@")
if [ ${#suites[@]} -eq 0 ]; then
	suites=(unit)
	for file in tests/integration/*.bats; do
		suites+=("$(basename "$file" .bats)")
	done
fi
passed=0 failed=0 skipped=0

# Adds up a TAP file. A runner that died without a failing line counts as one failure.
count_tap() {
	local tap=$1 status=$2 name=$3 ok bad skip planned
	skip=$(grep -ciE '^ok .*# skip' "$tap")
	ok=$(($(grep -cE '^ok ' "$tap") - skip))
	bad=$(grep -cE '^not ok ' "$tap")
	planned=$(sed -nE 's/^1\.\.([0-9]+).*/\1/p' "$tap" | head -n 1)
	if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
		echo "$name: the runner ended with status $status"
		bad=1
	fi
	if [ $((ok + bad + skip)) -lt "${planned:-1}" ]; then
		echo "$name: $((ok + bad + skip)) of ${planned:-?} tests ran"
		bad=$((bad + 1))
	fi
	grep -E '^not ok |^ok .*# (skip|SKIP)' "$tap"
	echo "$name: $ok passed, $bad failed, $skip skipped (${SECONDS}s)"
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

run_unit() {
	local tap=$build/unit.tap log=$build/unit.log
	: >"$tap"
	# The outer limit is for a runner that does not notice the end of a test.
	LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0 \
		timeout -k 5 "${UNIT_LIMIT_S:-300}" "$build/tests/unit" --timeout 60 --output="tap:$tap" >"$log" 2>&1
	local status=$?
	[ "$status" -eq 0 ] || tail -n 60 "$log"
	count_tap "$tap" "$status" unit
}

# run_integration NAME FILE...: one user, one temporary directory for all the files, see
# tests/integration/setup_suite.bash.
run_integration() {
	local name=$1 log=$build/$1.log
	shift
	env RK_BUILD="$PWD/$build" BATS_TEST_TIMEOUT="${BATS_TEST_TIMEOUT:-90}" \
		bats --tap --timing --print-output-on-failure "$@" </dev/null 2>&1 | tee "$log" |
		grep --line-buffered -vE '^ok '
	count_tap "$log" "${PIPESTATUS[0]}" "$name"
}

[[ $build == /* ]] && build=$(realpath --relative-to=. "$build")
# What moves bytes is tested with both I/O methods.
files=() epoll_files=()
for suite in "${suites[@]}"; do
	if [ "$suite" = unit ]; then
		run_unit
	else
		files+=("tests/integration/$suite.bats")
	fi
	case $suite in
	tcp | udp | descriptors) epoll_files+=("tests/integration/$suite.bats") ;;
	esac
done
[ ${#files[@]} -eq 0 ] || run_integration integration "${files[@]}"
[ ${#epoll_files[@]} -eq 0 ] || RK_IO=epoll run_integration integration-epoll "${epoll_files[@]}"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
