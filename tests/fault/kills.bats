# kills.bats: SIGKILL of each process at any time takes the rest along; the same state directory
# serves again at once.

load ../integration/lib
load matrix
load kills

setup() {
	test_start
	PORT=$(free_port)
	CONFIG=$DIR/kill.ini STATE=$DIR/kill.state
	write_config "$CONFIG" "127.0.0.1:$PORT:7001/tcp" </dev/null
}

@test "kills: each process at random points, then a start on the same directory" {
	kill_rounds 20
}

# The pid of the family's process that calls itself $1.
member() {
	local pid
	for pid in $(marked "$MARK"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$1" ] || echo "$pid"
	done | head -n 1
}

family_gone() {
	local name
	for name in rk-engine nsctl nsctl-child nsctl-helper slirp4netns; do
		[ -z "$(member "$name")" ] || return 1
	done
}

@test "kills: with traffic, whoever is killed: nothing stays" {
	local process start took worst=0
	for process in rk-engine nsctl nsctl-child slirp4netns; do
		engine_start "$CONFIG"
		server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
		"${CLEAN[@]}" timeout 10 "$RK_TOOLS/tcp-many" 127.0.0.1 "$PORT" 50 100000 >/dev/null 2>&1 3>&- &
		wait_until 15 case_answers "$PORT"
		start=$(now_ms)
		kill -KILL "$(member "$process")"
		engine_wait 10
		took=$(($(now_ms) - start))
		[ "$took" -le "$worst" ] || worst=$took
		wait_until 15 family_gone
		kill_marked "$MARK" # the client and the server, which are ours
		assert_port_freed t "$PORT"
		rm -rf "$STATE"
	done
	echo "slowest end: $worst ms" >&3
	[ "$worst" -lt 5000 ]
}

@test "kills: while it stops, the engine or nsctl is killed" {
	local process
	for process in rk-engine nsctl nsctl-child; do
		engine_start "$CONFIG"
		kill -TERM "$ENGINE_PID"
		kill -KILL "$(member "$process")" 2>/dev/null || true
		engine_wait 15
		assert_none_left "$MARK"
		assert_port_freed t "$PORT"
	done
}

engine_stopped() {
	[ "$(awk '$1 == "State:" { print $2 }' "/proc/$ENGINE_PID/status" 2>/dev/null)" = T ]
}

# start_held OPTION: the engine of CONFIG, which stands still when it is about to open its first port:
# the network is up, everybody else runs, the command does not.
start_held() {
	local FAULTY
	fault "$DIR/fault" set listen STOP rk-engine 0 1
	fault_words "$DIR/fault"
	"${AS_USER[@]}" "${FAULTY[@]}" "$RK_BIN/rk-engine" -c "$CONFIG" -o "$1" -- sleep 300 \
		</dev/null >"$DIR/log" 2>&1 3>&- &
	ENGINE_PID=$! ENGINE_LOG=$DIR/log
	wait_until 20 engine_stopped
}

@test "kills: while the engine opens its ports, whoever is killed: nothing stays" {
	local process option helper
	another_helper() { [ -n "$(member nsctl-helper)" ] && [ "$(member nsctl-helper)" != "$helper" ]; }
	for option in network.driver=slirp4netns process.pidns=true network.detach-netns=true; do
		for process in rk-engine nsctl nsctl-child slirp4netns; do
			start_held "$option"
			kill -KILL "$(member "$process")"
			kill -CONT "$ENGINE_PID" 2>/dev/null || true
			engine_wait
			[ "$ENGINE_STATUS" -ne 0 ]
			assert_none_left "$MARK" 10
			assert_port_freed t "$PORT"
		done
		# The helper is replaced, and the start goes on.
		start_held "$option"
		helper=$(member nsctl-helper)
		kill -KILL "$helper"
		kill -CONT "$ENGINE_PID"
		wait_until 10 engine_ready
		wait_until 10 another_helper
		engine_stop
		assert_equal "$ENGINE_STATUS" 143
		assert_none_left "$MARK" 10
		[ ! -e "$STATE" ]
	done
}

@test "kills: newuidmap is killed: one clear line" {
	mkdir "$DIR/bin"
	printf '#!/bin/sh\nkill -KILL $$\n' >"$DIR/bin/newuidmap"
	chmod 755 "$DIR/bin" "$DIR/bin/newuidmap"
	run as_user env "PATH=$DIR/bin:$RK_BIN:/usr/bin:/bin:/usr/sbin:/sbin" "$RK_BIN/rk-engine" -c "$CONFIG" -- true
	assert_equal "$status" 1
	assert_match "$output" 'newuidmap.*signal 9'
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
}

@test "kills: a client of the API that dies in the middle of a request costs nothing" {
	local before client
	engine_start "$CONFIG"
	api_body /v1/info >/dev/null
	# The listener alone: the client before has its end, and the engine has seen it.
	api_unused() { [ "$(ss -Hxa | grep -cF "$STATE/api.sock")" -eq 1 ]; }
	wait_until 10 api_unused
	before=$(fd_count "$ENGINE_PID")
	for client in 1 2 3 4 5; do
		"${AS_USER[@]}" sh -c '
			(printf "POST /v1/ports HTTP/1.1\r\nHost: rk\r\nContent-Length: 1000\r\n\r\n{\"pro"; exec sleep 60) |
				exec socat - "UNIX-CONNECT:$1"' sh "$STATE/api.sock" >/dev/null 2>&1 3>&- &
	done
	clients_connected() { [ "$(fd_count "$ENGINE_PID")" -ge $((before + 5)) ]; }
	wait_until 15 clients_connected
	# shellcheck disable=SC2046 # a list of numbers
	kill -KILL $(for client in $(marked "$MARK"); do grep -l socat "/proc/$client/comm"; done | cut -d / -f 3)
	clients_gone() { [ "$(fd_count "$ENGINE_PID")" -le "$before" ]; }
	wait_until 10 clients_gone
	assert_equal "$(api_body /v1/info | json 'd["apiVersion"]')" 1.1.1
	engine_stop
}
