#!/bin/bash
# run.sh [--long] BUILD-DIR [SUITE...]: run the tests of one build and count them.
#
# A suite is "unit" or the name of a file in tests/integration, tests/fault or tests/long without
# .bats; what moves bytes is run a second time with epoll. When none is given: with --long all of
# tests/long, else everything but those (and but valgrind, which cannot run programs with sanitizers,
# in a build with them). The last line is "N passed, N failed, N skipped"; the exit
# status is 1 when anything failed or when nothing ran.
#
# How it works: the suites are a queue that RK_TEST_JOBS processes take from (default: three for two
# CPUs, at most 6; one with --long, whose figures need the machine). Each is this script again, with
# --one, for one suite: a file of bats gets a user, a temporary directory and a range of ports of
# its own (setup_suite.bash). Its full output is in BUILD-DIR/results/SUITE.log.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

# What takes longest begins first, so that no process is left with it at the end. All others follow.
FIRST=(drivers-lxc faults keepalive valgrind compat source-ip tcp drivers-port lifecycle descriptors)

# --- one suite ---------------------------------------------------------------------------------

# Adds the results of a TAP file. A runner that died without a failing line counts as one failure.
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
	grep -E '^ok .*# (skip|SKIP)' "$tap"
	echo "$name: $ok passed, $bad failed, $skip skipped (${SECONDS}s)"
	echo "$ok $bad $skip" >>"$results/counts"
}

run_unit() {
	local tap=$results/unit.tap log=$results/unit.log status=0
	: >"$tap"
	# The outer limit is for a runner that does not notice the end of a test.
	LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0 \
		timeout -k 5 "${UNIT_LIMIT_S:-300}" "$build/tests/unit" --timeout 60 --output="tap:$tap" \
		>"$log" 2>&1 || status=$?
	[ "$status" -eq 0 ] || tail -n 60 "$log"
	grep -E '^not ok ' "$tap"
	count_tap "$tap" "$status" unit
}

# run_limited SECONDS COMMAND...: in a process group of its own, which is ended when the time is
# over, so that bats cleans up, or when we are; and killed when that does not help.
run_limited() {
	local pid status=0
	timeout --kill-after=60 "$@" </dev/null &
	pid=$!
	trap 'kill -TERM "$pid"' INT TERM
	wait "$pid" || status=$?
	# The trap ended only the wait.
	while kill -0 "$pid" 2>/dev/null; do wait "$pid"; done
	trap - INT TERM
	return "$status"
}

# A file that did not end, outside of its tests, which have limits of their own: one failure.
report_hung() { # NAME FILE LOG SECONDS
	local ok skip
	echo "$1: $2 did not end within $4 s (RK_FILE_LIMIT_S); the end of its output:"
	tail -n 20 "$3"
	# Where bats had to be killed its user is left, whose owner is gone in a moment.
	sleep 1
	[ "$(id -u)" -ne 0 ] || (. tests/user.bash && user_remove_stale)
	skip=$(grep -ciE '^ok .*# skip' "$3")
	ok=$(($(grep -cE '^ok ' "$3") - skip))
	echo "$1: $ok passed, 1 failed, $skip skipped (${SECONDS}s)"
	echo "$ok 1 $skip" >>"$results/counts"
}

# run_file NAME FILE: no test and no file may take longer than its folder allows.
run_file() {
	local name=$1 file=$2 limit=90 file_limit=900 log=$results/$1.log status=0
	[[ $file != tests/long/* ]] || limit=1800 file_limit=3600
	file_limit=${RK_FILE_LIMIT_S:-$((file_limit * ${RK_SLOW:-1}))}
	RK_BUILD=$PWD/$build BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT:-$((limit * ${RK_SLOW:-1}))} \
		run_limited "$file_limit" "${randomized[@]}" \
		bats --tap --timing --print-output-on-failure "$file" >"$log" 2>&1 || status=$?
	if [ "$SECONDS" -ge "$file_limit" ] && [[ $status =~ ^(124|137)$ ]]; then
		report_hung "$name" "$file" "$log" "$file_limit"
		return
	fi
	grep -vE '^(ok |1\.\.)' "$log"
	count_tap "$log" "$status" "$name"
}

run_one() {
	local file=$1 name
	name=$(basename "${file#epoll=}" .bats)
	# ThreadSanitizer may find its own address space taken where addresses are random in many bits.
	randomized=()
	[[ ${RK_SANITIZE:-} != *thread* ]] || ! setarch -R true 2>/dev/null || randomized=(setarch -R)
	case $file in
	unit) run_unit ;;
	epoll=*) RK_IO=epoll run_file "epoll-$name" "${file#epoll=}" ;;
	splice=*) RK_BULK=splice run_file "splice-$name" "${file#splice=}" ;;
	*) run_file "$name" "$file" ;;
	esac
}

# --- all of them -------------------------------------------------------------------------------

# The file of a suite, in the folders that are looked at.
suite_file() {
	local folder
	for folder in "${folders[@]}"; do
		[ ! -e "tests/$folder/$1.bats" ] || { echo "tests/$folder/$1.bats"; return; }
	done
	echo "run.sh: no suite is called $1" >&2
	return 1
}

all_suites() {
	local folder file
	[ "${folders[0]}" = long ] || echo unit
	for folder in "${folders[@]}"; do
		for file in "tests/$folder"/*.bats; do
			[ -e "$file" ] || continue
			[[ -n ${RK_SANITIZE:-} && $file == */valgrind.bats ]] || basename "$file" .bats
		done
	done
}

# The names of suites on standard input as items for run_one, each once.
queue_items() {
	local suite file
	while read -r suite; do
		[ "$suite" != unit ] || { echo unit; continue; }
		file=$(suite_file "$suite") || return 1
		echo "$file"
		case $suite in
		tcp | udp | descriptors) echo "epoll=$file" ;;
		esac
		case $suite in
		tcp | streams | exact) echo "splice=$file" ;;
		esac
	done
}

# The items on standard input with those of FIRST in front.
longest_first() {
	local items suite
	items=$(cat)
	for suite in "${FIRST[@]}"; do
		case $suite in
		epoll-* | splice-*) grep -xE "${suite%%-*}=tests/[a-z]+/${suite#*-}\.bats" <<<"$items" ;;
		*) grep -xE "tests/[a-z]+/$suite\.bats" <<<"$items" ;;
		esac
	done
	echo "$items"
}

# The tests wait for timers and networks half of the time.
default_jobs() {
	local jobs=$(($(nproc) * 3 / 2))
	echo $((jobs < 6 ? jobs : 6))
}

if [ "$1" = --one ]; then
	build=$2 results=$2/results
	output=$(run_one "$3")
	printf '%s\n' "$output"
	exit 0
fi
folders=(integration fault)
jobs=${RK_TEST_JOBS:-$(default_jobs)}
if [ "$1" = --long ]; then
	folders=(long) jobs=1
	shift
fi
build=$1
shift
[[ $build == /* ]] && build=$(realpath --relative-to=. "$build")
if [ $# -gt 0 ]; then
	folders=(integration fault long)
	suites=$(printf '%s\n' "$@")
else
	suites=$(all_suites)
fi
items=$(queue_items <<<"$suites") || exit 1
results=$build/results
rm -rf "$results"
mkdir -p "$results"
: >"$results/counts"
longest_first <<<"$items" | awk '!seen[$0]++' |
	xargs -P "$jobs" -I '{}' tests/run.sh --one "$build" '{}'
queue=$?
awk '{ ok += $1; bad += $2; skip += $3 }
	END { printf "%d passed, %d failed, %d skipped\n", ok, bad, skip; exit !(ok > 0 && bad == 0) }' \
	"$results/counts" && [ "$queue" -eq 0 ]
