# load-dead.bats: thousands of clients on another machine that vanish without a word: no FIN, no
# reset, no answer any more.

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
