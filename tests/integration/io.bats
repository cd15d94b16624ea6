# io.bats: how the data plane does its input and output: io_uring, or epoll where that is forbidden.

load lib

setup() {
	test_start
	ECHO=$(free_port) DIGEST=$(free_port) SLOW=$(free_port)
	write_config "$DIR/io.ini" "127.0.0.1:$ECHO:7001/tcp" "127.0.0.1:$DIGEST:7002/tcp" \
		"127.0.0.1:$SLOW:7003/tcp" </dev/null
}

teardown() {
	engine_stop || true
	test_end
}

# As root, because no_new_privs (which a filter of an ordinary user needs) would disable newuidmap.
denied() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to set the filter without no_new_privs"
	AS_USER=("$RK_TOOLS/deny-io-uring" "${AS_USER[@]}")
}

assert_io() {
	assert_match "$(cat "$ENGINE_LOG")" "workers, $1\$"
	assert_equal "$(api_body /v1/info | json 'd["engine"]["io"]')" "$1"
}

@test "io: io_uring runs here without being asked for" {
	RK_IO='' engine_start "$DIR/io.ini"
	assert_io io_uring
}

@test "io: epoll runs when it is asked for" {
	RK_IO=epoll engine_start "$DIR/io.ini"
	assert_io epoll
}

@test "io: epoll takes over by itself where io_uring is forbidden" {
	denied
	RK_IO='' engine_start "$DIR/io.ini"
	assert_io epoll
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	assert_match "$(tool tcp-many 127.0.0.1 "$ECHO" 20 3)" '^ok 20 '
}

@test "io: io_uring that is asked for and forbidden is a clear failure" {
	denied
	run "${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/io.ini" -o engine.io=io_uring -- true
	assert_equal "$status" 1
	assert_match "$output" 'io_uring is forbidden here'
	assert_none_left "$MARK"
}

# A kernel thread of io_uring (iou-wrk-PID) means that an operation blocked.
kernel_threads() {
	grep -l '^iou-wrk' /proc/"$ENGINE_PID"/task/*/comm 2>/dev/null || true
}

@test "io: io_uring needs no kernel thread, whatever the ends of a connection do" {
	RK_IO='' engine_start "$DIR/io.ini"
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start digest "$RK_TOOLS/tcp-server" digest 127.0.0.1 7002
	server_start slow "$RK_TOOLS/tcp-server" slow 127.0.0.1 7003 5
	assert_match "$(tool tcp-many 127.0.0.1 "$ECHO" 200 5)" '^ok 200 '
	run -0 tool tcp-client half-close 127.0.0.1 "$DIGEST" 30000001
	tool tcp-client half-close 127.0.0.1 "$SLOW" 10000000 >/dev/null
	assert_equal "$(kernel_threads)" ''
}

@test "io: 64 KiB of locked memory are enough" {
	RK_IO='' engine_start "$DIR/io.ini" prlimit --memlock=65536:65536
	assert_match "$(grep 'Max locked memory' "/proc/$ENGINE_PID/limits")" ' 65536 +65536 '
	# Kernels before 5.12 count rings as locked memory: there epoll takes over.
	assert_match "$(api_body /v1/info | json 'd["engine"]["io"]')" '^(io_uring|epoll)$'
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	assert_match "$(tool tcp-many 127.0.0.1 "$ECHO" 200 5)" '^ok 200 '
}
