#!/bin/bash
# smoke.sh BUILD [TAP-FILE]: every fuzz target for a few seconds, two at a time, a minute in all
# ($FUZZ_SECONDS changes that), always with the same seed: whether a change is let in must not
# depend on luck; new ways are for make fuzz. First of all the canary, which must fail in the time
# that each has. The last line is "N passed, N failed, 0 skipped"; the exit status is 1 when
# anything failed. What a target printed is kept in BUILD/*.log.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/fuzz/fuzz.bash

build=$1
tap=${2:-$build/smoke.tap}
parallel=2
mapfile -t names < <(target_names)
# The canary has as much time as each of the others, but ends as soon as its fault is found.
seconds=$((${FUZZ_SECONDS:-60} * parallel / ${#names[@]}))
[ "$seconds" -gt 0 ] || seconds=1
rm -rf "$build/broken" "$build/smoke"
mkdir -p "$build/smoke"
passed=0 failed=0

# report ok|not-ok NAME TEXT
report() {
	local word=ok
	if [ "$1" = ok ]; then
		passed=$((passed + 1))
	else
		word='not ok' failed=$((failed + 1))
	fi
	echo "$word $((passed + failed)) $2: $3" | tee -a "$tap"
}

statistic() { sed -n "s/^stat::$2: *//p" "$build/$1.log"; }

# Starts from nothing each time, so that it is found and not remembered.
run_canary() {
	rm -rf "$build/found/canary"
	run_target "$build" canary "$seconds" -seed=1 >"$build/canary.log" 2>&1
	if grep -q 'ERROR: AddressSanitizer: heap-buffer-overflow' "$build/canary.log"; then
		report ok canary "fails as it must, after $(statistic canary number_of_executed_units) executions"
	else
		tail -n 20 "$build/canary.log"
		report not-ok canary "its fault was not found in $seconds s: the fuzzers find nothing"
	fi
}

run_one() {
	run_target "$build" "$1" "$seconds" -seed=1 >"$build/$1.log" 2>&1
	echo $? >"$build/smoke/$1"
}

judge() {
	local reproducer
	if [ "$(cat "$build/smoke/$1")" = 0 ]; then
		report ok "$1" "$(statistic "$1" number_of_executed_units) executions"
		return
	fi
	reproducer=$(sed -n 's/.*Test unit written to //p' "$build/$1.log")
	tail -n 60 "$build/$1.log"
	report not-ok "$1" "see $build/$1.log, again with: $build/fuzz_$1 ${reproducer:-(nothing was written)}"
}

echo "1..$((${#names[@]} + 1))" >"$tap"
run_canary
running=0
for name in "${names[@]}"; do
	if [ "$running" -eq "$parallel" ]; then
		wait -n
		running=$((running - 1))
	fi
	run_one "$name" &
	running=$((running + 1))
done
wait
for name in "${names[@]}"; do
	judge "$name"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
