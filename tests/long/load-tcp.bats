# load-tcp.bats: TCP under load: shortage, churn, bursts, fairness, clients that are killed.

load load

# --- shortage of descriptors

# Both halves have 256 descriptors; 5000 clients come at once, again and again, for five seconds.
crowd() {
	local echo other back
	echo=$(free_port) other=$(free_port)
	write_config "$DIR/few.ini" "127.0.0.1:$echo:7001/tcp" "127.0.0.1:$other:7001/tcp" </dev/null
	RK_IO=$1 engine_start "$DIR/few.ini" prlimit --nofile=256:256
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	family_figures | awk '{ print $1 }' >"$DIR/before"
	run -0 tool tcp-load crowd 127.0.0.1 "$echo" 5000 5000
	figure "$1, 256 descriptors, 5000 clients: $output"
	back=${output##*ms=}
	[ "$back" -lt 10000 ]
	assert_match "$(tool tcp-load burst 127.0.0.1 "$other" 10)" '^ok 10$'
	assert_equal "$(family_figures | awk '{ print $1 }')" "$(cat "$DIR/before")"
	is_listening t "$echo"
	wait_until 10 flows_are 0
}

@test "load: 5000 clients and 256 descriptors end no listener and no process (io_uring)" {
	crowd io_uring
}

@test "load: 5000 clients and 256 descriptors end no listener and no process (epoll)" {
	crowd epoll
}

# --- churn

# churn IO COUNT THREADS SPEC...: the first port of the specs gets all of them.
churn() {
	local io=$1 count=$2 threads=$3 port before
	port=$(free_port)
	start "$io" "127.0.0.1:$port:$4/tcp" </dev/null
	server_start echo "$RK_TOOLS/tcp-load-server" echo 0.0.0.0 7001
	tool tcp-load churn 127.0.0.1 "$port" 20000 "$threads"
	sleep 3
	before=$(family_figures)
	run -0 tool tcp-load churn 127.0.0.1 "$port" "$count" "$threads"
	figure "$io, $threads at a time to $4: $output"
	sleep 2
	figure "$(awk '{ printf "%s %d fds %d KiB  ", $2, $3, $4 }' <<<"$before") before,"
	figure "$(family_figures | awk '{ printf "%s %d fds %d KiB  ", $2, $3, $4 }') after"
	wait_until 10 flows_are 0
	# The pools of ready sockets are anything between half full and full.
	assert_baseline "$before" 300 4096
	assert_equal "$(api_body /v1/stats | json 'sum(p["connections"]["failed"] for p in d)')" 0
	CHURN=$output
}

@test "load: a million connections leave descriptors and memory where they were" {
	churn io_uring 1000000 4 7001
}

@test "load: 300000 connections one after the other, none fails, none gets slow (io_uring)" {
	churn io_uring 300000 1 7001
	awk '{ exit !($7 < 50 * $5) }' <<<"$CHURN"
}

@test "load: 300000 connections one after the other, none fails, none gets slow (epoll)" {
	churn epoll 300000 1 7001
	awk '{ exit !($7 < 50 * $5) }' <<<"$CHURN"
}

@test "load: 100000 connections to an address that is not a loopback one do not run out of ports" {
	churn io_uring 100000 1 10.0.2.100:7001
}

# --- many at the same time

@test "load: up to 20000 flows in one burst overflow no queue for good, and need no kernel thread" {
	local port count
	count=$(clients_of 20000)
	port=$(free_port)
	start io_uring "127.0.0.1:$port:7001/tcp" </dev/null
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	run -0 tool tcp-load burst 127.0.0.1 "$port" "$count"
	assert_equal "$output" "ok $count"
	figure "burst: $output"
	wait_until 20 flows_are 0
	assert_match "$(tool tcp-load churn 127.0.0.1 "$port" 1000 1)" '^ok 1000 '
	assert_equal "$(ring_threads)" 0
}

# Four bulk flows, and a thousand that say 64 bytes once a second.
fairness() {
	local port bulk pids=() i
	port=$(free_port) bulk=$(free_port)
	start "$1" "127.0.0.1:$port:7001/tcp" "127.0.0.1:$bulk:7002/tcp" </dev/null
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	server_start exact "$RK_TOOLS/tcp-exact" server 127.0.0.1 7002
	tool tcp-exact client 127.0.0.1 "$bulk" 1 100000 1000000000 4 >"$DIR/bulk" 2>&1 3>&- &
	pids+=($!)
	run -0 tool tcp-load talk 127.0.0.1 "$port" 1000 15
	figure "$1, 1000 interactive beside 4 bulk flows, p50 p99 max in us: $output"
	assert_match "$output" '^ok 15000 '
	kill -0 "${pids[0]}"
	api_body /v1/stats | json 'min(p["bytes"]["out"] for p in d if p["spec"]["childPort"] == 7002)' >"$DIR/moved"
	[ "$(cat "$DIR/moved")" -gt 100000000 ]
	assert_equal "$(ring_threads)" 0
	kill "${pids[@]}"
}

@test "load: four bulk flows starve none of a thousand interactive ones (io_uring)" {
	fairness io_uring
}

@test "load: four bulk flows starve none of a thousand interactive ones (epoll)" {
	fairness epoll
}

# --- clients that are killed

# Sockets of port $1 here and of the service in the namespace, in whatever state but listening.
sockets_left() {
	ss -Htn state connected state close-wait exclude time-wait "sport = :$1"
	in_ns ss -Htn state connected exclude time-wait '( sport = :7001 or dport = :7001 )'
}

no_socket_left() {
	[ -z "$(sockets_left "$1")" ]
}

kill_clients() { # PORT CLIENTS
	: >"$DIR/hold" # those before were open, too
	env "RK_TEST_ID=$MARK" "$RK_TOOLS/tcp-load" hold 127.0.0.1 "$1" "$2" 20000 >"$DIR/hold" 2>&1 3>&- &
	local holder=$!
	wait_until 60 grep -q "^open $2\$" "$DIR/hold" || { cat "$DIR/hold" >&2; return 1; }
	assert_equal "$(flows_open)" "$2"
	kill -KILL "$holder"
	SECONDS=0
	wait_until 60 flows_are 0
	wait_until 60 no_socket_left "$1"
	figure "$2 clients killed with unread data both ways, no socket left after $SECONDS s"
}

# 10000 in all, as many at a time as there are descriptors for.
killed() {
	local port before left=10000 count
	port=$(free_port)
	start "$1" "127.0.0.1:$port:7001/tcp" </dev/null
	server_start push "$RK_TOOLS/tcp-load-server" push 127.0.0.1 7001 20000
	before=$(family_figures)
	while [ "$left" -gt 0 ]; do
		count=$(clients_of "$left")
		kill_clients "$port" "$count"
		left=$((left - count))
	done
	assert_baseline "$before" 300 40000
}

@test "load: 10000 clients killed with unread data leave no socket on either side (io_uring)" {
	killed io_uring
}

@test "load: 10000 clients killed with unread data leave no socket on either side (epoll)" {
	killed epoll
}
