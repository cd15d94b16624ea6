# load-time.bats: what time must not change: memory, half-closed connections, a port nobody serves yet.

load load

# --- memory

idle_memory() {
	local port before after count
	port=$(free_port)
	start "$1" "127.0.0.1:$port:7001/tcp" </dev/null
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	count=$(clients_of 10000)
	before=$(rss_kib "$ENGINE_PID")
	env "RK_TEST_ID=$MARK" "$RK_TOOLS/tcp-load" hold 127.0.0.1 "$port" "$count" 1 >"$DIR/hold" 2>&1 3>&- &
	local holder=$!
	wait_until 60 grep -q '^open' "$DIR/hold"
	assert_equal "$(flows_open)" "$count"
	# An idle worker gives its buffers back after a second.
	sleep 4
	after=$(rss_kib "$ENGINE_PID")
	figure "$1: idle $before KiB, with $count idle connections $after KiB," \
		"$(((after - before) * 1024 / count)) bytes each"
	kill "$holder"
	[ "$before" -le 8192 ]
	[ $((after - before)) -lt $((count * 8)) ]
}

@test "load: an idle connection costs a few KiB (io_uring)" {
	idle_memory io_uring
}

@test "load: an idle connection costs a few KiB (epoll)" {
	idle_memory epoll
}

@test "load: memory does not grow in three minutes of bulk data and churn" {
	local port bulk early late pids=()
	port=$(free_port) bulk=$(free_port)
	start io_uring "127.0.0.1:$port:7001/tcp" "127.0.0.1:$bulk:7002/tcp" </dev/null
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	in_ns iperf3 --server --bind 127.0.0.1 --port 7002 >"$DIR/server.log" 2>&1 3>&- &
	pids+=($!)
	ns_listens() { [ -n "$(in_ns ss -Htln 'sport = :7002')" ]; }
	wait_until 10 ns_listens
	env "RK_TEST_ID=$MARK" iperf3 --client 127.0.0.1 --port "$bulk" --time 600 --parallel 4 --bidir >"$DIR/client.log" 2>&1 3>&- &
	pids+=($!)
	env "RK_TEST_ID=$MARK" "$RK_TOOLS/tcp-load" churn 127.0.0.1 "$port" 10000000 1 >"$DIR/churn" 2>&1 3>&- &
	pids+=($!)
	sleep 30
	early=$(rss_kib "$ENGINE_PID")
	sleep 150
	late=$(rss_kib "$ENGINE_PID")
	kill -0 "${pids[1]}" && kill -0 "${pids[2]}"
	kill "${pids[@]}"
	figure "resident after 30 s $early KiB, after 180 s $late KiB; connections:" \
		"$(api_body /v1/stats | json 'max(p["connections"]["total"] for p in d)')"
	[ "$late" -lt $((early + 16384)) ]
}

# --- half-closed connections

# half_closed IO SECONDS: an engine of its own; one side of a connection has ended, and so much later
# the other sends, and all of it arrives. Leaves the results in files.
half_closed() {
	local late early FILE_DIR=$DIR/$1 DIR=$DIR/$1 pause=$2
	mkdir "$DIR"
	chown "$TEST_UID:$TEST_GID" "$DIR"
	late=$(free_port) early=$(free_port)
	start "$1" "127.0.0.1:$late:7001/tcp" "127.0.0.1:$early:7002/tcp" </dev/null
	server_start slow "$RK_TOOLS/tcp-server" slow 127.0.0.1 7001 "$pause"
	server_start greet "$RK_TOOLS/tcp-server" greet 127.0.0.1 7002
	head -c 3000001 /dev/zero | timeout 300 socat -t 250 - "TCP4:127.0.0.1:$late" >"$DIR/answer" 3>&- &
	local client=$!
	{ sleep "$pause"; head -c 3000001 /dev/zero; } |
		timeout 300 socat -t 250 - "TCP4:127.0.0.1:$early" >"$DIR/hello" 3>&-
	wait "$client"
	server_ended() { grep -q '^eof 3000001 ' "$DIR/greet.out"; }
	wait_until 10 server_ended
	api_body /v1/info | json 'd["engine"]["io"]' >"$DIR/io"
	engine_stop
	echo whole >"$DIR/end"
}

# Both data paths at the same time: it is the waiting that takes long.
@test "load: half-closed for three minutes, then whole, in both directions" {
	local io pids=()
	for io in io_uring epoll; do
		half_closed "$io" 180 >"$DIR/$io.log" 2>&1 3>&- &
		pids+=($!)
	done
	wait "${pids[0]}" || true
	wait "${pids[1]}" || true
	cat "$DIR/io_uring.log" "$DIR/epoll.log"
	for io in io_uring epoll; do
		assert_match "$(cat "$DIR/$io/answer")" '^3000001 '
		assert_equal "$(cat "$DIR/$io/hello")" hello
		assert_equal "$(cat "$DIR/$io/io")" "$io"
		assert_equal "$(cat "$DIR/$io/end")" whole
	done
}

# --- a service that is not there yet

probe() {
	local port probes=0 end
	port=$(free_port)
	start "$1" "127.0.0.1:$port:7001/tcp" </dev/null
	end=$((SECONDS + 20))
	while [ "$SECONDS" -lt "$end" ]; do
		assert_match "$(tool tcp-client observe 127.0.0.1 "$port" 0)" '^reset 0 '
		probes=$((probes + 1))
	done
	[ "$probes" -gt 20 ]
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	assert_match "$(tool tcp-load burst 127.0.0.1 "$port" 1)" '^ok 1$'
	figure "$1: $probes probes refused, the first connection after them served"
}

@test "load: probes before the service listens do not spoil the first connection after (io_uring)" {
	probe io_uring
}

@test "load: probes before the service listens do not spoil the first connection after (epoll)" {
	probe epoll
}
