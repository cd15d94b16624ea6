# dockerproxy.bats: rootlesskit-docker-proxy as dockerd calls it: descriptor 3, the engine's ports,
# the real docker-proxy behind it, and every way in which it ends.

load lib

setup_file() {
	file_start
	write_config "$FILE_DIR/proxy.ini" </dev/null
	engine_start "$FILE_DIR/proxy.ini"
	server_start tcp "$RK_TOOLS/tcp-server" digest 127.0.0.9 7007
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.9 7007
	# One that only says how it was called, and that it listens.
	mkdir "$FILE_DIR/fake"
	cat >"$FILE_DIR/fake/docker-proxy" <<-'END'
		#!/bin/sh
		echo "$@" >"$RK_ARGUMENTS"
		printf '0\n' >&3
		exec sleep 60 3>&-
	END
	chmod 755 "$FILE_DIR/fake" "$FILE_DIR/fake/docker-proxy"
}

setup() {
	test_start
	PORT=$(free_port)
	PROXY_PATH=$RK_BIN:/usr/sbin:/usr/bin:/bin
	PROXY_STATE=$STATE
}

teardown() {
	[ -z "${PROXY_PID:-}" ] || kill -KILL "$PROXY_PID" 2>/dev/null || true
	test_end
}

# proxy_start ARGUMENT...: in the namespaces; sets PROXY_PID. What it writes to descriptor 3 is in
# DIR/status, its messages are in DIR/err, and the fake's arguments in DIR/arguments.
proxy_start() {
	"${AS_USER[@]}" "PATH=$PROXY_PATH" "ROOTLESSKIT_STATE_DIR=$PROXY_STATE" \
		"RK_ARGUMENTS=$DIR/arguments" \
		nsenter --preserve-credentials -t "$(cat "$STATE/child_pid")" -U -m -n -- \
		rootlesskit-docker-proxy "$@" </dev/null >/dev/null 2>"$DIR/err" 3>"$DIR/status" &
	PROXY_PID=$!
}

serve() { # PROTO HOST-IP
	proxy_start -proto "$1" -host-ip "$2" -host-port "$PORT" -container-ip 127.0.0.9 \
		-container-port 7007
	wait_until 10 test -s "$DIR/status"
}

# proxy_wait STATUS: it ends with this exit status.
proxy_wait() {
	local status=0
	wait_until 10 is_gone "$PROXY_PID" || return 1
	wait "$PROXY_PID" || status=$?
	unset PROXY_PID
	assert_equal "$status" "$1"
}

child_listens() { # PROTO(t|u) PORT
	[ -n "$(in_ns ss -Hln"$1" "sport = :$2")" ]
}

specs() {
	api_body /v1/ports | json \
		'[" ".join(str(p["spec"].get(k)) for k in ("proto", "parentIP", "parentPort", "childIP", "childPort")) for p in d]'
}

no_ports() {
	[ "$(specs)" = "[]" ]
}

assert_unpublished() {
	assert_equal "$(specs)" '[]'
	run ! is_listening t "$PORT"
	run ! is_listening u "$PORT"
}

digests() { # HOST
	run -0 tool tcp-client half-close "$1" "$PORT" 100000
	assert_equal "${lines[0]}" "sent ${lines[1]}"
}

@test "docker-proxy: an IPv4 port is published, served, and freed on SIGINT" {
	serve tcp 0.0.0.0
	assert_equal "$(cat "$DIR/status")" 0
	assert_equal "$(specs)" "['tcp4 0.0.0.0 $PORT 127.0.0.1 $PORT']"
	digests 127.0.0.1
	kill -INT "$PROXY_PID"
	proxy_wait 0
	assert_unpublished
	assert_none_left "$MARK"
}

@test "docker-proxy: an IPv6 port is published, served, and freed on SIGTERM" {
	serve tcp ::1
	assert_equal "$(cat "$DIR/status")" 0
	assert_equal "$(specs)" "['tcp6 ::1 $PORT ::1 $PORT']"
	digests ::1
	kill -TERM "$PROXY_PID"
	proxy_wait 0
	assert_unpublished
	assert_none_left "$MARK"
}

@test "docker-proxy: a UDP port of one address" {
	serve udp 127.0.0.1
	assert_equal "$(specs)" "['udp4 127.0.0.1 $PORT 127.0.0.1 $PORT']"
	assert_equal "$(tool udp-client echo 127.0.0.1 "$PORT" 1000)" '1000 ok from 127.0.0.1'
	kill -INT "$PROXY_PID"
	proxy_wait 0
	assert_unpublished
}

@test "docker-proxy: a port that the host uses: dockerd reads why, nothing stays" {
	host_server_start squatter "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	serve tcp 127.0.0.1
	proxy_wait 1
	assert_equal "$(head -n 1 "$DIR/status")" 1
	assert_match "$(tail -n +2 "$DIR/status")" "$PORT.*Address already in use"
	assert_equal "$(specs)" '[]'
}

@test "docker-proxy: a port that the child uses: docker-proxy says why, the host's port is freed" {
	server_start inside "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	serve tcp 127.0.0.1
	proxy_wait 1
	assert_equal "$(head -n 1 "$DIR/status")" 1
	assert_match "$(tail -n +2 "$DIR/status")" 'address already in use'
	assert_unpublished
}

@test "docker-proxy: a docker-proxy that dies takes the port with it" {
	serve tcp 127.0.0.1
	kill -KILL "$(descendant "$PROXY_PID" docker-proxy)"
	proxy_wait 137
	assert_unpublished
}

@test "docker-proxy: SIGKILL of rootlesskit-docker-proxy ends docker-proxy and frees the port" {
	serve tcp 127.0.0.1
	kill -KILL "$PROXY_PID"
	assert_none_left "$MARK"
	wait_until 10 no_ports
	assert_unpublished
}

@test "docker-proxy: the next one gets the port of one that was killed, at once" {
	local round
	for round in 1 2 3 4 5; do
		serve tcp 127.0.0.1
		assert_equal "$(cat "$DIR/status")" 0
		kill -KILL "$PROXY_PID"
		wait "$PROXY_PID" || true
		rm "$DIR/status"
		# The port of the child, which docker-proxy had.
		assert_none_left "$MARK"
		assert_port_freed t "$PORT" child_listens
	done
}

@test "docker-proxy: a protocol that the port driver lacks is skipped with a warning" {
	serve sctp 0.0.0.0
	proxy_wait 0
	assert_equal "$(cat "$DIR/status")" 0
	assert_match "$(cat "$DIR/err")" 'warning: .*sctp4.*builtin'
	assert_unpublished
}

@test "docker-proxy: without docker-proxy on PATH the port is not left behind" {
	PROXY_PATH=$RK_BIN:/usr/bin:/bin
	serve tcp 127.0.0.1
	proxy_wait 1
	assert_match "$(cat "$DIR/status")" 'docker-proxy.*not found.*docker\.io'
	assert_unpublished
}

@test "docker-proxy: no engine: dockerd reads why" {
	PROXY_STATE=
	serve tcp 127.0.0.1
	proxy_wait 1
	assert_match "$(tail -n +2 "$DIR/status")" 'ROOTLESSKIT_STATE_DIR is not set'
	PROXY_STATE=$DIR/missing
	: >"$DIR/status"
	serve tcp 127.0.0.1
	proxy_wait 1
	assert_match "$(tail -n +2 "$DIR/status")" 'missing/api.sock: No such file'
}

@test "docker-proxy: wrong flags and addresses" {
	proxy_start -proto tcp -no-such-flag 1
	proxy_wait 2
	assert_match "$(cat "$DIR/err")" 'not defined: -no-such-flag'
	proxy_start -host-ip
	proxy_wait 2
	proxy_start --host-ip=nowhere --host-port="$PORT"
	proxy_wait 1
	assert_match "$(cat "$DIR/status")" 'host-ip "nowhere"'
	proxy_start --host-ip 127.0.0.1 --host-port=70000
	proxy_wait 1
	assert_match "$(cat "$DIR/status")" 'host-port 70000'
	proxy_start -help
	proxy_wait 0
	assert_equal "$(specs)" '[]'
}

# A second engine, with port driver $1, takes the place of the file's for the rest of a test.
other_engine() {
	write_config "$DIR/other.ini" </dev/null
	ENGINE_OPTIONS=("--port.driver=$1")
	engine_start "$DIR/other.ini"
	PROXY_STATE=$STATE
}

@test "docker-proxy: without a port driver it becomes docker-proxy" {
	PROXY_PATH=$RK_BIN:$FILE_DIR/fake:/usr/bin:/bin
	other_engine none
	serve tcp 0.0.0.0
	assert_equal "$(cat "$DIR/arguments")" \
		"-proto tcp -host-ip 0.0.0.0 -host-port $PORT -container-ip 127.0.0.9 -container-port 7007"
	# It says that it listens, then becomes sleep.
	became_sleep() { [ "$(cat "/proc/$PROXY_PID/comm")" = sleep ]; }
	wait_until 10 became_sleep
	engine_stop
}

@test "docker-proxy: port driver slirp4netns leads to the interface's address, IPv6 is skipped" {
	PROXY_PATH=$RK_BIN:$FILE_DIR/fake:/usr/bin:/bin
	other_engine slirp4netns
	serve tcp 127.0.0.1
	assert_equal "$(specs)" "['tcp4 127.0.0.1 $PORT 10.0.2.100 $PORT']"
	assert_match "$(cat "$DIR/arguments")" "-host-ip 10.0.2.100 -host-port $PORT "
	kill -INT "$PROXY_PID"
	proxy_wait 0
	assert_equal "$(specs)" '[]'
	serve tcp ::1
	proxy_wait 0
	assert_match "$(cat "$DIR/err")" 'tcp6 is not supported'
	engine_stop
}
