# exact.bats: a gigabyte each way through the engine, every byte compared, hundreds of times.
#
#   RK_EXACT_RUNS  runs per data path (default 200)

load ../integration/lib

RUNS=${RK_EXACT_RUNS:-200}
RK_BULK=${RK_BULK:-copy}
BYTES=1000000000
LIMIT_S=1500

setup() {
	file_start
	test_start
}

teardown() {
	engine_stop || true
	test_end
	file_end
}

spliced_part() { # in percent
	api_body /metrics | awk -v bytes="$((2 * RUNS * BYTES))" '
		/^rk_engine_worker_bulk_bytes_total.*way="splice"/ { sum += $2 }
		END { print int(100 * sum / bytes) }'
}

# exact_runs IO: both ends check; the server says "ok" once for each run.
exact_runs() {
	local port
	port=$(free_port)
	write_config "$DIR/exact.ini" "127.0.0.1:$port:7001/tcp" </dev/null
	RK_IO=$1 engine_start "$DIR/exact.ini"
	server_start exact "$RK_TOOLS/tcp-exact" server 127.0.0.1 7001
	SECONDS=0
	run -0 tool tcp-exact client 127.0.0.1 "$port" 1 "$RUNS" "$BYTES" 4
	assert_equal "$output" "ok $RUNS $BYTES"
	all_checked() { [ "$(grep -c '^ok ' "$FILE_DIR/exact.out")" -eq "$RUNS" ]; }
	wait_until 20 all_checked
	echo "# $1: $RUNS runs of $BYTES bytes each way in $SECONDS s, $(spliced_part) % spliced" >&3
	[ "$RK_BULK" = copy ] || [ "$(spliced_part)" -gt 50 ]
	assert_equal "$(api_body /v1/stats | json 'sum(p["connections"]["failed"] for p in d)')" 0
	refute_match "$(cat "$ENGINE_LOG")" 'Sanitizer|runtime error:'
}

@test "exact: a gigabyte each way arrives unchanged through io_uring" {
	exact_runs io_uring
}

@test "exact: a gigabyte each way arrives unchanged through epoll" {
	exact_runs epoll
}
