# faults.bats: a call of the system fails: service goes on, or the engine ends with one clear line.
# The cases are in matrix.txt; tests/long/fault-all.bats runs every error of each.

load ../integration/lib
load matrix

@test "faults: of the engine, at the start" {
	matrix_start epoll rk-engine first
}

@test "faults: of io_uring, at the start" {
	matrix_start 'auto|io_uring' rk-engine first
}

@test "faults: each feature of io_uring is refused, one at a time" {
	matrix_start auto rk-engine first lacks
}

@test "faults: of nsctl, at the start" {
	matrix_start epoll nsctl first
}

@test "faults: of the child of nsctl, at the start" {
	matrix_start epoll nsctl-child first
}

@test "faults: of the helper, at the start" {
	matrix_start epoll nsctl-helper first
}

@test "faults: of a running engine on epoll" {
	matrix_run epoll rk-engine first
}

@test "faults: of a running engine on io_uring" {
	matrix_run auto rk-engine first
}

@test "faults: of a helper at work" {
	matrix_run epoll nsctl-helper first
}

# serves: more clients are answered than the pool of the worker may still have sockets for.
serves() {
	[[ $(timeout 3 "$RK_TOOLS/tcp-many" 127.0.0.1 "$RUN_TCP" 20 5 2>&1) == 'ok 20 '* ]]
}

fault_happened() {
	[ "$(fault "$RUN_FAULT" hits)" -gt 0 ]
}

@test "faults: a new helper whose channels do not get through is replaced, wherever they got lost" {
	local process
	run_engine epoll
	for process in nsctl-child nsctl; do
		fault "$RUN_FAULT" set sendmsg ENOBUFS "$process" 0 1
		kill -KILL "$(descendant "$ENGINE_PID" nsctl-helper)"
		wait_until 10 fault_happened
		wait_until 10 serves
	done
	# The engine has no descriptor for them: its first ones are in use for good.
	as_user prlimit --pid "$ENGINE_PID" --nofile=6:
	kill -KILL "$(descendant "$ENGINE_PID" nsctl-helper)"
	wait_until 10 grep -q 'no descriptors left' "$ENGINE_LOG"
	as_user prlimit --pid "$ENGINE_PID" --nofile=1024:
	wait_until 10 serves
	engine_stop
}

# It would be silent for the rest of the run.
@test "faults: who watches the states of ports survives a poll that fails" {
	local port FAULTY
	port=$(free_port)
	fault "$DIR/fault" off >/dev/null
	fault_words "$DIR/fault"
	write_config "$DIR/watch.ini" "127.0.0.1:$port:7001/tcp" </dev/null
	engine_start "$DIR/watch.ini" env "${FAULTY[@]}"
	# All threads wait; the one that a refused client wakes is the first that waits again.
	fault "$DIR/fault" set poll ENOMEM rk-engine 0 1
	run ! case_answers "$port"
	wait_until 10 grep -q 'warning: port 1 .* failed' "$ENGINE_LOG"
	poll_failed() { [ "$(fault "$DIR/fault" hits)" = 1 ]; }
	wait_until 10 poll_failed
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	case_answers "$port"
	wait_until 10 grep -q 'is listening again' "$ENGINE_LOG"
	engine_stop
}
