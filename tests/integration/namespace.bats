# namespace.bats: what the command sees, the way out to the host, drivers none and host, and nsctl.

load lib
load ../fault/matrix

setup_file() {
	file_start
	export ECHO4 ECHO6
	write_config "$FILE_DIR/ns.ini" <<-END
		[mount]
		copy-up = /etc
	END
	engine_start "$FILE_DIR/ns.ini"
	ECHO4=$(free_port)
	ECHO6=$(free_port)
	host_server_start echo4 "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$ECHO4"
	host_server_start echo6 "$RK_TOOLS/tcp-server" echo ::1 "$ECHO6"
	host_server_start udp4 "$RK_TOOLS/udp-server" 127.0.0.1 "$ECHO4"
	host_server_start udp6 "$RK_TOOLS/udp-server" ::1 "$ECHO6"
}

# --- what the command sees -------------------------------------------------------------------

@test "namespace: root inside is the user outside, other ids are the sub-id range" {
	local first
	first=$(grep "^$TEST_USER:" /etc/subuid | cut -d : -f 2 | head -n 1)
	assert_equal "$(in_ns id -u)" 0
	assert_match "$(in_ns cat /proc/self/uid_map | tr -s ' \n' ' ')" "^ 0 $TEST_UID 1 1 $first 65536"
	assert_match "$(in_ns cat /proc/self/gid_map | tr -s ' \n' ' ')" "^ 0 $TEST_GID 1 1 "
	assert_equal "$(in_ns cat /proc/self/setgroups)" allow
}

@test "namespace: it has its own user, mount and network namespaces" {
	local kind
	for kind in user mnt net; do
		run ! test "$(in_ns readlink "/proc/self/ns/$kind")" = "$(readlink "/proc/self/ns/$kind")"
	done
}

@test "namespace: lo and tap0 are up with addresses, routes and MTU" {
	assert_match "$(in_ns ip -o addr show lo)" '127\.0\.0\.1/8'
	assert_match "$(in_ns ip -o addr show tap0)" '10\.0\.2\.100/24'
	assert_match "$(in_ns ip link show tap0)" 'mtu 65520'
	assert_match "$(in_ns ip link show tap0)" '[<,]UP'
	assert_match "$(in_ns ip route show default)" 'via 10\.0\.2\.2 dev tap0'
}

@test "namespace: resolv.conf names the driver's server, hosts resolves our name" {
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 10\.0\.2\.3'
	assert_match "$(in_ns getent hosts "$(hostname)")" '127\.0\.0\.1|::1'
}

@test "namespace: files under a copied-up directory can be replaced, the host's stay" {
	in_ns sh -c 'rm -f /etc/hostname; echo changed >/etc/rk-new; test -e /etc/passwd'
	[ ! -e /etc/rk-new ]
	[ -e /etc/hostname ]
	assert_equal "$(in_ns cat /etc/rk-new)" changed
}

# --- the way out -----------------------------------------------------------------------------

@test "namespace: TCP to the host over IPv4 and IPv6" {
	assert_match "$(in_ns "$RK_TOOLS/tcp-many" 10.0.2.2 "$ECHO4" 5 20)" '^ok 5 300100$'
	assert_match "$(in_ns "$RK_TOOLS/tcp-many" fd00::2 "$ECHO6" 5 20)" '^ok 5 300100$'
}

@test "namespace: UDP to the host over IPv4 and IPv6" {
	assert_equal "$(in_ns "$RK_TOOLS/udp-client" echo 10.0.2.2 "$ECHO4" 1 1400)" \
		$'1 ok from 10.0.2.2\n1400 ok from 10.0.2.2'
	assert_equal "$(in_ns "$RK_TOOLS/udp-client" echo fd00::2 "$ECHO6" 1 1400)" \
		$'1 ok from fd00::2\n1400 ok from fd00::2'
}

@test "namespace: disable-host-loopback keeps the host's loopback out of reach" {
	write_config "$DIR/closed.ini" </dev/null
	run as_user "$RK_BIN/rk-engine" -c "$DIR/closed.ini" -o network.disable-host-loopback=true -- \
		timeout 5 "$RK_TOOLS/tcp-many" 10.0.2.2 "$ECHO4" 1 1
	[ "$status" -ne 0 ]
	refute_match "$output" '^ok'
	assert_match "$output" 'connect 10\.0\.2\.2|^$'
}

@test "namespace: mtu, cidr and ifname of the configuration are used" {
	write_config "$DIR/other.ini" <<-END
		[network]
		mtu = 1500
		cidr = 10.77.0.0/24
		ifname = net7
	END
	run -0 as_user "$RK_BIN/rk-engine" -c "$DIR/other.ini" -- sh -c \
		'ip -o addr show net7; ip link show net7; ip route; cat /etc/resolv.conf'
	assert_match "$output" '10\.77\.0\.100/24'
	assert_match "$output" 'mtu 1500'
	assert_match "$output" 'via 10\.77\.0\.2 dev net7'
	assert_match "$output" 'nameserver 10\.77\.0\.3'
}

@test "namespace: with the sandbox and seccomp of slirp4netns the way out still works" {
	write_config "$DIR/sandbox.ini" <<-END
		[slirp4netns]
		sandbox = true
		seccomp = true
	END
	run as_user "$RK_BIN/rk-engine" -c "$DIR/sandbox.ini" -- \
		"$RK_TOOLS/tcp-many" 10.0.2.2 "$ECHO4" 2 2
	assert_equal "$status" 0
	assert_match "$output" 'ok 2 12004'
}

# --- other drivers ---------------------------------------------------------------------------

@test "namespace: driver none has loopback only, and ports work through it" {
	local port
	port=$(free_port)
	write_config "$DIR/none.ini" "127.0.0.1:$port:7001/tcp" </dev/null
	ENGINE_OPTIONS=(-o network.driver=none)
	engine_start "$DIR/none.ini"
	assert_equal "$(in_ns ip -o link show up | wc -l)" 1
	server_start echo-none "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	assert_match "$(tool tcp-many 127.0.0.1 "$port" 3 3)" '^ok 3 '
	engine_stop
}

@test "namespace: driver host shares the host's network" {
	write_config "$DIR/host.ini" </dev/null
	run -0 as_user "$RK_BIN/rk-engine" -c "$DIR/host.ini" -o network.driver=host \
		-o port.driver=none -- \
		sh -c 'id -u; readlink /proc/self/ns/net'
	assert_equal "${lines[-2]}" 0
	assert_equal "${lines[-1]}" "$(readlink /proc/self/ns/net)"
}

@test "namespace: a port driver that forwards needs a network of its own" {
	write_config "$DIR/pair.ini" "127.0.0.1:$(free_port):1/tcp" </dev/null
	run as_user "$RK_BIN/rk-engine" -c "$DIR/pair.ini" -o network.driver=host -- true
	assert_equal "$status" 1
	assert_match "$output" 'host'
}

# --- nsctl alone -----------------------------------------------------------------------------

@test "nsctl: run gives namespaces and network without an engine" {
	write_config "$DIR/run.ini" </dev/null
	run as_user "$RK_BIN/nsctl" run -c "$DIR/run.ini" -- \
		sh -c "id -u; ip -o addr show tap0; $RK_TOOLS/tcp-many 10.0.2.2 $ECHO4 1 1; exit 5"
	assert_equal "$status" 5
	assert_match "$output" '10\.0\.2\.100/24'
	assert_match "$output" 'ok 1 3001'
	assert_none_left "$MARK"
}

@test "nsctl: enter by state directory and by process id, exit status passed on" {
	assert_match "$(as_user "$RK_BIN/nsctl" enter "$STATE" -- ip -o addr show tap0)" '10\.0\.2\.100'
	assert_equal "$(as_user "$RK_BIN/nsctl" enter "$(cat "$STATE/child_pid")" -- id -u)" 0
	run as_user "$RK_BIN/nsctl" enter "$STATE" -- sh -c 'exit 6'
	assert_equal "$status" 6
}

@test "nsctl: enter and status of a directory that is none" {
	run as_user "$RK_BIN/nsctl" enter "$DIR" -- true
	assert_equal "$status" 1
	assert_match "$output" "$DIR"
	run as_user "$RK_BIN/nsctl" status "$DIR"
	[ "$status" -ne 0 ]
	assert_match "$output" "$DIR"
}

@test "nsctl: status tells what runs" {
	run -0 as_user "$RK_BIN/nsctl" status "$STATE"
	assert_match "$output" "$(cat "$STATE/child_pid")"
}

@test "nsctl: enter ends with an error, and its command, when it cannot wait" {
	local FAULTY LIMIT_S=10
	write_config "$DIR/pid.ini" <<<$'[process]\npidns = true'
	engine_start "$DIR/pid.ini"
	fault "$DIR/fault" set poll ENOMEM nsctl 0 4294967295
	fault_words "$DIR/fault"
	run as_user "${FAULTY[@]}" "$RK_BIN/nsctl" enter "$STATE" -- sleep 12345
	assert_equal "$status" 126
	assert_match "$output" 'nsctl: error: wait for the command, which is ended: Cannot allocate memory'
	run ! grep -lzx '1234[5]' /proc/[0-9]*/cmdline
	engine_stop
}
