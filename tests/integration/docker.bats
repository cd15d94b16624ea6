# docker.bats: real rootless Docker (Debian's docker.io, nothing of it changed) on our rootlesskit:
# published ports of real containers, their end, and restarts of dockerd.

load lib
load docker

CONTAINERS=20

setup_file() {
	file_start
	docker_prepare
	docker_start
	docker_import_image
}

teardown_file() {
	docker_remove_all || true
	docker_stop || true
	docker_remove_files || true
	file_end
}

setup() {
	test_start
	# What a test starts must belong to the file, which dockerd's own processes do.
	user_environment "$FILE_MARK"
}

teardown() {
	[ -z "${SQUATTER:-}" ] || kill "$SQUATTER" || true
	docker_remove_all
	test_end
}

# digests HOST PORT [BYTES]: a container answers with the digest of what it was sent.
digests() {
	local answer
	answer=$(tool tcp-client half-close "$1" "$2" "${3:-100000}") || return 1
	assert_equal "$(head -n 1 <<<"$answer")" "sent $(sed -n 2p <<<"$answer")"
}

echoes() { # HOST PORT
	assert_equal "$(tool udp-client echo "$1" "$2" 1200)" "1200 ok from $1"
}

is_free() { # PORT
	! is_listening t "$1" && ! is_listening u "$1"
}

@test "docker: dockerd is rootless and runs on our rootlesskit" {
	run -0 docker info --format '{{.SecurityOptions}}'
	assert_match "$output" 'name=rootless'
	assert_match "$(ctl info)" "version: $(cat "$RK_TOP/VERSION")"
	assert_equal "$(readlink "/proc/$(docker_pid)/exe")" "$(readlink -f "$RK_BIN/rootlesskit")"
}

@test "docker: a container has ids of the sub-id range and a network" {
	run -0 docker run --rm tools busybox sh -c 'busybox id -u; busybox ip -o -4 addr show eth0'
	assert_equal "${lines[0]}" 0
	assert_match "${lines[1]}" ' inet 172\.'
}

@test "docker: a fixed TCP port over IPv4 and IPv6" {
	local port
	port=$(free_port)
	docker_serve fixed -p "$port:7"
	digests 127.0.0.1 "$port" 3000001
	digests ::1 "$port" 3000001
}

@test "docker: a fixed UDP port over IPv4 and IPv6" {
	local port
	port=$(free_port)
	docker_serve fixed -p "$port:7/udp"
	echoes 127.0.0.1 "$port"
	echoes ::1 "$port"
}

@test "docker: random host ports, TCP and UDP" {
	docker_serve random -p 7 -p 7/udp
	digests 127.0.0.1 "$(docker_port random 7/tcp 4)"
	digests ::1 "$(docker_port random 7/tcp 6)"
	echoes 127.0.0.1 "$(docker_port random 7/udp 4)"
	echoes ::1 "$(docker_port random 7/udp 6)"
}

@test "docker: -p with a loopback address listens there and nowhere else" {
	local port port6
	port=$(free_port) port6=$(free_port)
	docker_serve loopback -p "127.0.0.1:$port:7" -p "[::1]:$port6:7"
	digests 127.0.0.1 "$port"
	digests ::1 "$port6"
	assert_equal "$(ss -Hlnt "sport = :$port" | awk '{ print $4 }' | sort -u)" "127.0.0.1:$port"
	assert_equal "$(ss -Hlnt "sport = :$port6" | awk '{ print $4 }' | sort -u)" "[::1]:$port6"
}

@test "docker: docker rm frees the port at once, on the host and in the engine" {
	local port
	port=$(free_port)
	docker_serve one -p "$port:7" -p "$port:7/udp"
	assert_equal "$(ctl list-ports --json | grep -c ":$port,")" 4
	docker rm -f one >/dev/null
	is_free "$port"
	assert_equal "$(ctl list-ports --json)" ""
	docker_serve two -p "$port:7"
	digests 127.0.0.1 "$port"
}

@test "docker: a port that the host uses already is refused, and nothing of it stays" {
	local port
	port=$(free_port)
	host_server_start squatter "$RK_TOOLS/tcp-server" echo 0.0.0.0 "$port"
	SQUATTER=$!
	run docker run -d --name refused -p "$port:7" tools busybox sleep 60
	[ "$status" -ne 0 ]
	assert_match "$output" "$port"
	assert_match "$output" '[Aa]ddress already in use'
	assert_equal "$(ctl list-ports --json)" ""
	wait_until 10 no_proxies
}

# The proxies of this dockerd, ours and Docker's.
proxies() {
	pgrep -c -P "$(descendant "$(docker_pid)" dockerd)" -f docker-proxy || true
}

no_proxies() {
	[ "$(proxies)" = 0 ]
}

wait_for() { # PID...: each of them succeeds
	local pid
	for pid; do
		wait "$pid"
	done
}

@test "docker: $CONTAINERS containers started at the same time, all ports work, all are freed" {
	local i port=() started=()
	for ((i = 0; i < CONTAINERS; i++)); do
		port[i]=$(free_port)
	done
	# Half of them at a time: this shall work on small machines as well. `wait` alone would wait for
	# the time limit of bats, too.
	for ((i = 0; i < CONTAINERS; i++)); do
		docker_serve "many$i" -p "127.0.0.1:${port[i]}:7" 3>&- &
		started+=($!)
		((i % 10 < 9)) && continue
		wait_for "${started[@]}"
		started=()
	done
	assert_equal "$(docker ps -q | wc -l)" "$CONTAINERS"
	for ((i = 0; i < CONTAINERS; i++)); do
		digests 127.0.0.1 "${port[i]}" 20000
	done
	docker_remove_all
	for ((i = 0; i < CONTAINERS; i++)); do
		is_free "${port[i]}"
	done
	assert_equal "$(ctl list-ports --json)" ""
	wait_until 10 no_proxies
}

@test "docker: dockerd restarts: the ports go, and come back with the containers" {
	local port
	port=$(free_port)
	docker_serve lasting --restart always -p "$port:7" -p "$port:7/udp"
	docker_stop
	is_free "$port"
	[ ! -e "$STATE" ]
	docker_start
	wait_until 30 digests 127.0.0.1 "$port"
	digests ::1 "$port"
	wait_until 15 echoes 127.0.0.1 "$port"
}

@test "docker: rootlesskit is killed: everything ends, and the next start works" {
	local port
	port=$(free_port)
	docker_serve killed --restart always -p "$port:7"
	docker_stop KILL
	wait_until 10 is_free "$port"
	assert_none_left "$FILE_MARK" 20
	docker_start
	wait_until 30 digests 127.0.0.1 "$port"
}
