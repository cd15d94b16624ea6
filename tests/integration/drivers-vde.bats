# drivers-vde.bats: the network driver vdeplug_slirp.

load lib
load drivers

setup_file() {
	file_start
	host_network_enter
	export WEB UDP
	WEB=$(free_port) UDP=$(free_port)
	driver_config "$FILE_DIR/vde.ini" vdeplug_slirp builtin \
		"127.0.0.1:$WEB:7001/tcp" "127.0.0.1:$UDP:7001/udp" <<<$'[network]\nipv6 = true'
	engine_start "$FILE_DIR/vde.ini"
	server_start tcp "$RK_TOOLS/tcp-server" echo 0.0.0.0 7001
	server_start udp "$RK_TOOLS/udp-server" 0.0.0.0 7001
}

setup() {
	test_start
	host_network_enter
	PORT=$(free_port)
}

config() { # PORT [SPEC...]
	driver_config "$DIR/test.ini" vdeplug_slirp "$@"
}

process_of() { # ENGINE-PID NAME
	descendant "$(descendant "$1" nsctl)" "$2"
}

@test "vde: info has the network's addresses" {
	local info
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["networkDriver"]["driver"]' <<<"$info")" vdeplug_slirp
	assert_equal "$(json 'd["networkDriver"]["childIP"]' <<<"$info")" 10.0.2.100
	assert_equal "$(json 'd["networkDriver"]["dns"]' <<<"$info")" "['10.0.2.3', 'fd00::3']"
}

@test "vde: the interface is configured in both families" {
	assert_match "$(in_ns ip -o addr show dev tap0)" 'inet 10\.0\.2\.100/24'
	assert_match "$(in_ns ip -o addr show dev tap0)" 'inet6 fd00::100/64'
	assert_match "$(in_ns ip -o link show dev tap0)" 'UP.*mtu 1500'
	assert_match "$(in_ns ip route show default)" '^default via 10\.0\.2\.2 dev tap0'
	assert_match "$(in_ns ip -6 route show default)" '^default via fd00::2 dev tap0'
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 10\.0\.2\.3'
}

@test "vde: the child reaches the host over TCP and UDP" {
	host_server_start outer-tcp "$RK_TOOLS/tcp-server" echo "$HOST_IP" "$PORT"
	host_server_start outer-udp "$RK_TOOLS/udp-server" "$HOST_IP" "$PORT"
	assert_match "$(child_tool tcp-many "$HOST_IP" "$PORT" 20 5)" '^ok 20 '
	assert_match "$(child_tool udp-client echo "$HOST_IP" "$PORT" 1 512 1400)" '1400 ok'
}

@test "vde: the child reaches the host over IPv6" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a network with IPv6"
	host_server_start outer6 "$RK_TOOLS/tcp-server" echo fd99::1 "$PORT"
	assert_match "$(child_tool tcp-many fd99::1 "$PORT" 5 5)" '^ok 5 '
}

@test "vde: many megabytes arrive unchanged in both directions" {
	local sent
	host_server_start source "$RK_TOOLS/tcp-server" source "$HOST_IP" "$PORT" 20000000
	child_tool tcp-client receive "$HOST_IP" "$PORT"
	PORT=$(free_port)
	host_server_start taker "$RK_TOOLS/tcp-server" observe "$HOST_IP" "$PORT"
	sent=$(child_tool tcp-client half-close "$HOST_IP" "$PORT" 20000000 | sed -n 's/^sent //p')
	[ -n "$sent" ]
	wait_until 10 grep -q "^eof $sent" "$FILE_DIR/taker.out"
}

@test "vde: names are resolved by the host's name server" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to replace the name server"
	: >"$FILE_DIR/dns.out" # an earlier one was ready, too
	"${ON_HOST[@]}" env "RK_TEST_ID=$MARK" python3 "$RK_TOP/tests/tools/dns-server.py" \
		198.18.0.1 198.18.0.77 </dev/null >"$FILE_DIR/dns.out" 2>&1 3>&- &
	server_wait dns
	assert_match "$(in_ns getent ahostsv4 some.name.example)" '^198\.18\.0\.77 '
}

@test "vde: the child can ping the gateway and the host" {
	in_ns ping -c 1 -W 5 10.0.2.2
	[ "$(id -u)" -eq 0 ] || skip "needs root to permit ping in the host's network"
	in_ns ping -c 1 -W 5 "$HOST_IP"
}

@test "vde: ports published by builtin work over TCP and UDP" {
	assert_match "$(host_tool tcp-many 127.0.0.1 "$WEB" 20 5)" '^ok 20 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$UDP" 1 512 8000)" '8000 ok'
}

@test "vde: what listens on the host's loopback is out of reach" {
	host_server_start inner "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	run ! in_ns timeout 3 "$RK_TOOLS/tcp-many" 10.0.2.2 "$PORT" 1 1
	assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 1 1)" '^ok 1 '
}

@test "vde: disable-host-loopback = false opens the gateway's address" {
	config none <<<$'[network]\ndisable-host-loopback = false'
	engine_start "$DIR/test.ini"
	host_server_start inner "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	assert_match "$(child_tool tcp-many 10.0.2.2 "$PORT" 1 1)" '^ok 1 '
	refute_match "$(in_ns ip -o addr show dev tap0)" 'inet6 fd00'
	engine_stop
}

@test "vde: cidr, mtu and ifname are applied, the whole network moves" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to replace the name server"
	config none <<<$'[network]\ncidr = 10.77.0.0/16\nmtu = 9000\nifname = wan7'
	engine_start "$DIR/test.ini"
	assert_match "$(in_ns ip -o addr show dev wan7)" 'inet 10\.77\.0\.100/16'
	assert_match "$(in_ns ip -o link show dev wan7)" 'mtu 9000'
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 10\.77\.0\.3'
	in_ns ping -c 1 -W 5 10.77.0.2
	: >"$FILE_DIR/dns.out" # an earlier one was ready, too
	"${ON_HOST[@]}" env "RK_TEST_ID=$MARK" python3 "$RK_TOP/tests/tools/dns-server.py" \
		198.18.0.1 198.18.0.78 </dev/null >"$FILE_DIR/dns.out" 2>&1 3>&- &
	server_wait dns
	assert_match "$(in_ns getent ahostsv4 other.name.example)" '^198\.18\.0\.78 '
	# The largest frames go both ways.
	host_server_start big "$RK_TOOLS/tcp-server" echo "$HOST_IP" "$PORT"
	assert_match "$(child_tool tcp-many "$HOST_IP" "$PORT" 5 5)" '^ok 5 '
	in_ns ping -c 1 -W 5 -M "do" -s 8972 10.77.0.2
	engine_stop
}

@test "vde: settings that it cannot fulfil are refused" {
	config builtin <<<$'[network]\nmtu = 9001'
	refused "$DIR/test.ini" 'mtu.*9001.*9000'
	config builtin <<<$'[network]\ncidr = 10.0.2.0/26'
	refused "$DIR/test.ini" 'prefix'
	config gvisor-tap-vsock </dev/null
	refused "$DIR/test.ini" 'requires gvisor-tap-vsock network'
}

@test "vde: a program that fails at once is quoted" {
	printf '#!/bin/sh\necho no such plugin >&2\nexit 1\n' >"$DIR/vde_plug"
	chmod 755 "$DIR/vde_plug"
	config builtin <<<"$(printf '[vdeplug_slirp]\nbinary = %s/vde_plug\n' "$DIR")"
	refused "$DIR/test.ini" 'vdeplug_slirp exited with status 1: no such plugin'
	assert_none_left "$MARK"
}

@test "vde: a clean stop leaves nothing" {
	config builtin "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	[ -n "$(process_of "$ENGINE_PID" vde_plug)" ]
	engine_stop
	assert_equal "$ENGINE_STATUS" 143
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
	host_closed t "$PORT"
}

@test "vde: Ctrl-C is for the command, the network lasts as long as that does" {
	local pid status=0
	config none </dev/null
	setsid "${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/test.ini" -- sh -c \
		'trap "ping -c 1 -W 5 10.0.2.2 && exit 7" INT; echo up; while :; do sleep 0.1; done' \
		</dev/null >"$DIR/out" 2>&1 3>&- &
	pid=$!
	wait_until 20 grep -q '^up' "$DIR/out"
	kill -INT -- "-$pid" # the whole group, as a terminal does
	wait "$pid" || status=$?
	assert_equal "$status" 7
	refute_match "$(cat "$DIR/out")" 'network is gone'
}

@test "vde: its death ends the run with a message" {
	config builtin </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(process_of "$ENGINE_PID" vde_plug)" 'vdeplug_slirp.*killed by signal 9'
}

@test "vde: the death of the relay ends the run with a message" {
	config builtin </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(process_of "$ENGINE_PID" nsctl-relay)" 'vdeplug_slirp.*tap relay killed by signal 9'
}

@test "vde: SIGKILL of the engine takes all along" {
	config builtin </dev/null
	engine_start "$DIR/test.ini"
	kill -KILL "$(marked "$MARK" | while read -r pid; do
		[ "$(cat "/proc/$pid/comm")" != rk-engine ] || echo "$pid"
	done)"
	assert_none_left "$MARK"
}

@test "vde: a missing program is named with its packages" {
	config builtin <<<$'[vdeplug_slirp]\nbinary = /nonexistent/vde_plug'
	refused "$DIR/test.ini" \
		'/nonexistent/vde_plug: not found.*apt install vdeplug libvdeplug-slirp.*\[vdeplug_slirp\] binary'
}
