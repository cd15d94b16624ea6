# keepalive.bats: peers that vanish without a word, on either side, and backends that never answer.

load lib
load source-ip

prepare_file() {
	export IDLE HOLE ECHO
	IDLE=$(free_port) HOLE=$(free_port) ECHO=$(free_port)
	write_config "$FILE_DIR/keepalive.ini" ":$IDLE:7001/tcp" "127.0.0.1:$HOLE:7002/tcp" \
		"127.0.0.1:$ECHO:7001/tcp" <<-END
		keepalive-time = 2s
		user-timeout = 4s
		[engine]
		connect-timeout = 8s
	END
	engine_start "$FILE_DIR/keepalive.ini"
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	server_start push "$RK_TOOLS/tcp-load-server" push 127.0.0.1 7003 8000000
	make_hole
}

# What is sent to these ports in the namespace vanishes, once the set holds them.
make_hole() {
	in_ns nft add table ip hole
	in_ns nft add chain ip hole input '{ type filter hook input priority 0; }'
	in_ns nft add set ip hole ports '{ type inet_service; }'
	in_ns nft add rule ip hole input tcp dport @ports drop
	in_ns nft add rule ip hole input tcp sport @ports drop
}

teardown() {
	[ "$(id -u)" -eq 0 ] || return 0
	in_ns nft flush set ip hole ports
	ip link set "${REMOTE}A" up
	test_end
}

# Connections of the engine, those that wait for their server included.
flows_open() {
	api_body /v1/stats | json 'sum(p["connections"]["open"] for p in d)'
}

no_flow() {
	[ "$(flows_open)" -eq 0 ]
}

# hold CLIENTS BYTES A|'' ADDRESS PORT: clients that stay, in the background.
hold() {
	local where=(env "RK_TEST_ID=$MARK")
	: >"$DIR/hold" # those before were open, too
	[ -z "$3" ] || where+=(ip netns exec "$REMOTE$3")
	"${where[@]}" "$RK_TOOLS/tcp-load" hold "$4" "$5" "$1" "$2" >"$DIR/hold" 2>&1 3>&- &
	HOLDER=$!
	wait_until 20 grep -q open "$DIR/hold"
}

@test "keepalive: clients that vanish are noticed, and their servers see the end" {
	SECONDS=0 # their last byte comes later
	hold 20 1 A "$HOST4" "$IDLE"
	assert_equal "$(flows_open)" 20
	ip link set "${REMOTE}A" down
	wait_until 20 no_flow
	echo "noticed after $SECONDS s"
	[ "$SECONDS" -ge 2 ]
	assert_equal "$(in_ns ss -Htn state connected 'sport = :7001')" ''
	kill "$HOLDER"
}

@test "keepalive: a server that vanishes is noticed, and its clients see a reset" {
	tool tcp-client observe 127.0.0.1 "$ECHO" 0 >"$DIR/end" 3>&- &
	local client=$!
	open() { [ "$(flows_open)" -eq 1 ]; }
	wait_until 10 open
	in_ns nft add element ip hole ports '{ 7001 }'
	wait_until 20 no_flow
	wait "$client"
	assert_match "$(cat "$DIR/end")" '^reset 0 '
}

@test "keepalive: clients that vanish with data under way are noticed, too" {
	local id port
	port=$(free_port)
	id=$(ctl add-ports ":$port:7003/tcp")
	hold 5 100000 A "$HOST4" "$port"
	ip link set "${REMOTE}A" down
	wait_until 30 no_flow
	assert_equal "$(ss -Htn state connected "sport = :$port")" ''
	ctl remove-ports "$id"
	kill "$HOLDER"
}

@test "keepalive: living peers that say nothing stay connected" {
	hold 20 1 '' 127.0.0.1 "$ECHO"
	sleep 7
	assert_equal "$(flows_open)" 20
	kill "$HOLDER"
	wait_until 10 no_flow
}

@test "keepalive: off means that there is no such timer, on either side" {
	local port
	port=$(free_port)
	write_config "$DIR/off.ini" "127.0.0.1:$port:7001/tcp" <<-END
		keepalive = false
	END
	(
		engine_start "$DIR/off.ini"
		server_start off "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
		hold 3 1 '' 127.0.0.1 "$port"
		refute_match "$(ss -Htno "sport = :$port")" keepalive
		refute_match "$(in_ns ss -Htno 'dport = :7001')" keepalive
		assert_equal "$(in_ns ss -Htn state established 'dport = :7001' | wc -l)" 3
		kill "$HOLDER"
		engine_stop
	)
	hold 3 1 '' 127.0.0.1 "$ECHO"
	assert_match "$(ss -Htno "sport = :$ECHO")" keepalive
	assert_match "$(in_ns ss -Htno 'dport = :7001')" keepalive
	kill "$HOLDER"
	wait_until 10 no_flow
}

@test "keepalive: a backend that never answers times out, and other ports do not notice" {
	in_ns nft add element ip hole ports '{ 7002 }'
	local client pids=()
	for client in $(seq 50); do
		tool tcp-client observe 127.0.0.1 "$HOLE" 0 >"$DIR/end$client" 3>&- &
		pids+=($!)
	done
	pending() { [ "$(flows_open)" -eq 50 ]; }
	wait_until 10 pending
	assert_match "$(tool tcp-load burst 127.0.0.1 "$ECHO" 200)" '^ok 200$'
	assert_equal "$(flows_open)" 50
	wait_until 30 no_flow
	wait "${pids[@]}"
	assert_equal "$(cat "$DIR"/end* | grep -c '^reset 0 ')" 50
	assert_equal "$(api_body /v1/stats | json 'sum(p["connections"]["failed"] for p in d)')" 50
}

# silent_clients FIRST LAST PORT: in the background; adds to `pids`.
silent_clients() {
	local client
	for client in $(seq "$1" "$2"); do
		tool tcp-client observe 127.0.0.1 "$3" 0 >"$DIR/end$client" 3>&- &
		pids+=($!)
	done
}

@test "keepalive: a backend that never answers holds max-pending of its port's clients, the next ones wait and are served" {
	local hole echo pids=()
	hole=$(free_port) echo=$(free_port)
	write_config "$DIR/pending.ini" "127.0.0.1:$hole:7004/tcp" "127.0.0.1:$echo:7001/tcp" <<-END
		max-pending = 8
		[engine]
		workers = 1
		connect-timeout = 6s
	END
	of_hole() { api_body /v1/stats | json "[($1) for p in d if p['spec']['parentPort'] == $hole][0]"; }
	is_hole() { [ "$(of_hole "$1")" = "$2" ]; }
	(
		engine_start "$DIR/pending.ini"
		server_start echo8 "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
		server_start late "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7004
		make_hole
		in_ns nft add element ip hole ports '{ 7004 }'
		silent_clients 1 8 "$hole"
		wait_until 10 is_hole 'p["connections"]["pending"], p["state"]' "(8, 'paused')"
		silent_clients 9 20 "$hole"
		wait_until 10 is_hole 'p["connections"]["pending"], p["connections"]["timedOut"] + p["listener"]["backlog"]' '(8, 12)'
		assert_match "$(of_hole 'p["stateReason"]')" 'max-pending'
		assert_equal "$(ctl stats | awk -v port="$hole" '$4 == port { print $5, $7 }')" 'paused 8'
		assert_match "$(api_body /metrics | grep -E "^rk_engine_port_waits_total.*:$hole.*pending")" ' [1-9]'
		assert_match "$(api_body /v1/ports | json "[p['state'] for p in d if p['spec']['parentPort'] == $hole]")" paused
		assert_match "$(tool tcp-load burst 127.0.0.1 "$echo" 200)" '^ok 200$'
		# All of them come to their end in three rounds.
		wait "${pids[@]}"
		assert_equal "$(cat "$DIR"/end* | grep -c '^reset 0 ')" 20
		assert_equal "$(of_hole 'p["connections"]["timedOut"], p["connections"]["pending"]')" '(20, 0)'
		# Who waits when the backend is there again is served, though it was full before.
		pids=()
		silent_clients 1 8 "$hole"
		wait_until 10 is_hole 'p["connections"]["pending"], p["state"]' "(8, 'paused')"
		tool tcp-load burst 127.0.0.1 "$hole" 5 >"$DIR/waiters" 3>&- &
		local waiters=$!
		wait_until 10 is_hole 'p["connections"]["total"] + p["listener"]["backlog"]' 33
		in_ns nft flush set ip hole ports
		wait "$waiters"
		assert_match "$(cat "$DIR/waiters")" '^ok 5$'
		wait_until 10 is_hole 'p["state"]' listening
		engine_stop
		wait "${pids[@]}"
	)
}
