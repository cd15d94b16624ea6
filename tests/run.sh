#!/bin/bash
# run.sh [--long] BUILD-DIR [SUITE...]: run the tests of one build and count them.
#
# A suite is "unit" or the name of a file in tests/integration, tests/fault or tests/long without
# .bats. When none is given: with --long all of tests/long, else everything but those.
# The full output is kept in BUILD-DIR/*.log. The last line is "N passed, N failed, N skipped"; the
# exit status is 1 when anything failed or when nothing ran.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

folders=(integration fault)
suites=(unit)
if [ "$1" = --long ]; then
	folders=(long) suites=()
	shift
fi
build=$1
shift
if [ $# -gt 0 ]; then
	folders=(integration fault long) suites=("$@")
else
	for folder in "${folders[@]}"; do
		for file in "tests/$folder"/*.bats; do
			[ ! -e "$file" ] || suites+=("$(basename "$file" .bats)")
		done
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

# run_programs NAME LIMIT FILE...: one user, one temporary directory for all the files of a folder,
# see tests/integration/setup_suite.bash. No test may take longer than LIMIT seconds.
run_programs() {
	local name=$1 limit=$2 log=$build/$1.log
	shift 2
	env RK_BUILD="$PWD/$build" BATS_TEST_TIMEOUT="${BATS_TEST_TIMEOUT:-$limit}" \
		bats --tap --timing --print-output-on-failure "$@" </dev/null 2>&1 | tee "$log" |
		grep --line-buffered -vE '^ok '
	count_tap "$log" "${PIPESTATUS[0]}" "$name"
}

# The file of a suite, in the folders that are looked at.
suite_file() {
	local folder
	for folder in "${folders[@]}"; do
		[ ! -e "tests/$folder/$1.bats" ] || { echo "tests/$folder/$1.bats"; return; }
	done
	echo "run.sh: no suite is called $1" >&2
	return 1
}

[[ $build == /* ]] && build=$(realpath --relative-to=. "$build")
# What moves bytes is tested with both I/O methods.
files=() epoll_files=()
for suite in "${suites[@]}"; do
	if [ "$suite" = unit ]; then
		run_unit
		continue
	fi
	file=$(suite_file "$suite") || exit 1
	files+=("$file")
	case $suite in
	tcp | udp | descriptors) epoll_files+=("$file") ;;
	esac
done
for folder in "${folders[@]}"; do
	chosen=()
	for file in "${files[@]}"; do
		[[ $file != tests/$folder/* ]] || chosen+=("$file")
	done
	limit=90
	[ "$folder" != long ] || limit=1800
	[ ${#chosen[@]} -eq 0 ] || run_programs "$folder" "$limit" "${chosen[@]}"
done
[ ${#epoll_files[@]} -eq 0 ] || RK_IO=epoll run_programs integration-epoll 90 "${epoll_files[@]}"

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
