# load-dead.bats: peers that say nothing (any more): thousands of clients on another machine that
# vanish without FIN or reset, and thousands that wait for a server that never answers.

load load
load ../integration/source-ip

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make clients on another machine"
	load_start
}

teardown() {
	[ "$(id -u)" -eq 0 ] || return 0
	engine_stop || true
	ip link set "${REMOTE}A" up
	test_end
}

# The kernel asks a silent client after 5 s, and gives it up after about as long again.
vanish() {
	local port count before
	port=$(free_port) count=$(clients_of 10000)
	start "$1" ":$port:7001/tcp" <<-END
		keepalive-time = 5s
	END
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	before=$(family_figures)
	remote A env "RK_TEST_ID=$MARK" "$RK_TOOLS/tcp-load" hold "$HOST4" "$port" "$count" 1 \
		>"$DIR/hold" 2>&1 3>&- &
	wait_until 60 grep -q "^open $count\$" "$DIR/hold" || { cat "$DIR/hold" >&2; return 1; }
	assert_equal "$(flows_open)" "$count"
	ip link set "${REMOTE}A" down
	SECONDS=0
	wait_until 120 flows_are 0
	figure "$1: $count clients vanished, all noticed after $SECONDS s"
	assert_baseline "$before" 300 40000
}

@test "load: thousands of clients whose machine vanishes leave nothing behind (io_uring)" {
	vanish io_uring
}

@test "load: thousands of clients whose machine vanishes leave nothing behind (epoll)" {
	vanish epoll
}

# Clients of a server whose answers never come, all of them open; they end with the test.
silent_clients() { # PORT COUNT
	python3 - "$@" >"$DIR/silent" 2>&1 3>&- <<-'END' &
		import signal, socket, sys
		clients = []
		for i in range(int(sys.argv[2])):
		    client = socket.socket()
		    client.setblocking(False)
		    client.bind((f"127.0.0.{2 + i // 5000}", 0))
		    client.connect_ex(("127.0.0.1", int(sys.argv[1])))
		    clients.append(client)
		print("open", flush=True)
		signal.pause()
	END
	SILENT=$!
	wait_until 60 grep -q open "$DIR/silent"
}

of_port() { # PORT EXPRESSION
	api_body /v1/stats | json "[($2) for p in d if p['spec']['parentPort'] == $1][0]"
}

# None is lost: accepted and pending, in the backlog, or given up by now.
all_there() { # PORT COUNT
	[ "$(of_port "$1" 'p["connections"]["total"] + p["listener"]["backlog"]')" -eq "$2" ]
}

all_gone() { # PORT COUNT
	[ "$(of_port "$1" 'p["connections"]["total"], p["connections"]["open"]')" = "($2, 0)" ]
}

black_hole() {
	local hole echo count before pending start
	hole=$(free_port) echo=$(free_port) count=$(clients_of 10000)
	start "$1" "127.0.0.1:$hole:7004/tcp" "127.0.0.1:$echo:7001/tcp" <<-END
		[engine]
		connect-timeout = 2s
	END
	server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	in_ns nft add table ip hole
	in_ns nft add chain ip hole input '{ type filter hook input priority 0; }'
	in_ns nft add rule ip hole input tcp dport 7004 drop
	before=$(family_figures)
	silent_clients "$hole" "$count"
	wait_until 60 all_there "$hole" "$count"
	pending=$(of_port "$hole" 'p["connections"]["pending"]')
	start=$(date +%s%N)
	assert_match "$(tool tcp-load burst 127.0.0.1 "$echo" 1000)" '^ok 1000$'
	figure "$1: $pending of $count clients pending; 1000 clients of another port:" \
		"$((($(date +%s%N) - start) / 1000000)) ms"
	# max-pending, and at most one backlog that was accepted at once.
	[ "$pending" -le $((1024 + 4096)) ]
	assert_equal "$(of_port "$echo" 'p["connections"]["failed"]')" 0
	kill "$SILENT"
	# Those in the backlog are accepted and tried, though nobody waits for them any more.
	wait_until 120 all_gone "$hole" "$count"
	assert_baseline "$before" 300 40000
}

@test "load: thousands of clients of a server that never answers leave other ports their flows (io_uring)" {
	black_hole io_uring
}

@test "load: thousands of clients of a server that never answers leave other ports their flows (epoll)" {
	black_hole epoll
}
