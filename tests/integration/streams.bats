# streams.bats: what goes in comes out, on both data paths: every byte, and every reset.

load lib

teardown() {
	engine_stop || true
	test_end
}

# exact IO: runs of 64 MB each way, compared byte for byte at both ends (tests/long has more).
exact() {
	local port runs=6 bytes=64000000
	port=$(free_port)
	write_config "$DIR/exact.ini" "127.0.0.1:$port:7001/tcp" </dev/null
	RK_IO=$1 engine_start "$DIR/exact.ini"
	server_start "exact-$1" "$RK_TOOLS/tcp-exact" server 127.0.0.1 7001
	run -0 tool tcp-exact client 127.0.0.1 "$port" 1 "$runs" "$bytes" 3
	assert_equal "$output" "ok $runs $bytes"
	all_checked() { [ "$(grep -c '^ok ' "$FILE_DIR/exact-$1.out")" -eq "$runs" ]; }
	wait_until 10 all_checked "$1"
}

@test "streams: 64 MB each way at once arrive unchanged through io_uring" {
	exact io_uring
}

@test "streams: 64 MB each way at once arrive unchanged through epoll" {
	exact epoll
}

# resets IO: whoever resets, and whatever is under way, the other end sees a reset.
resets() {
	local port situation name=resets-$1
	port=$(free_port)
	write_config "$DIR/resets.ini" "127.0.0.1:$port:7001/tcp" </dev/null
	RK_IO=$1 engine_start "$DIR/resets.ini"
	server_start "$name" "$RK_TOOLS/tcp-reset" server 127.0.0.1 7001
	for situation in idle unread busy after-end after-peer; do
		run -0 tool tcp-reset client 127.0.0.1 "$port" server "$situation"
		assert_equal "$output" "$situation reset"
		server_mark "$name"
		run -0 tool tcp-reset client 127.0.0.1 "$port" client "$situation"
		wait_until 15 server_said "$name" "^$situation "
		assert_equal "$(server_output "$name")" "$situation reset"
	done
	no_flow() { [ "$(api_body /v1/stats | json 'sum(p["connections"]["open"] for p in d)')" -eq 0 ]; }
	wait_until 10 no_flow
}

@test "streams: a reset comes out as a reset, in every situation, through io_uring" {
	resets io_uring
}

@test "streams: a reset comes out as a reset, in every situation, through epoll" {
	resets epoll
}

# late IO: both ends have ended their streams, and the engine holds the rest for seconds. How many
# bytes the kernel takes off it depends on the host, so there are several lengths.
late() {
	local length ports=() specs=() clients=()
	for length in 3 4 5 6 7 8; do
		ports[length]=$(free_port)
		specs+=("127.0.0.1:${ports[length]}:700$length/tcp")
	done
	write_config "$DIR/late.ini" "${specs[@]}" </dev/null
	RK_IO=$1 engine_start "$DIR/late.ini"
	for length in "${!ports[@]}"; do
		server_start "late-$1-$length" "$RK_TOOLS/tcp-server" source 127.0.0.1 "700$length" "${length}000000"
		tool tcp-client late 127.0.0.1 "${ports[length]}" >"$DIR/late.$length" 2>&1 3>&- &
		clients+=($!)
	done
	wait "${clients[@]}"
	for length in "${!ports[@]}"; do
		assert_match "$(cat "$DIR/late.$length")" "^eof ${length}000000 "
	done
}

@test "streams: a late reader gets all that was sent before both ends, through io_uring" {
	late io_uring
}

@test "streams: a late reader gets all that was sent before both ends, through epoll" {
	late epoll
}
