# drivers-pasta.bats: the network driver pasta and its port driver implicit.

load lib
load drivers

setup_file() {
	file_start
	host_network_enter
	export WEB UDP
	WEB=$(free_port) UDP=$(free_port)
	driver_config "$FILE_DIR/pasta.ini" pasta builtin \
		"127.0.0.1:$WEB:7001/tcp" "127.0.0.1:$UDP:7001/udp" <<<$'[network]\nipv6 = true'
	engine_start "$FILE_DIR/pasta.ini"
	server_start tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7001
}

setup() {
	test_start
	host_network_enter
	PORT=$(free_port)
}

# The configuration of this test, with what the words say added to it.
config() { # NET PORT [SPEC...]
	driver_config "$DIR/test.ini" "$@"
}

# By its arguments: its name depends on the processor (passt.avx2), and it clears its environment.
pasta_pid() {
	local nsctl pid children
	nsctl=$(descendant "$ENGINE_PID" nsctl)
	read -r -d '' -a children < <(cat "/proc/$nsctl"/task/*/children) || true
	for pid in "${children[@]}"; do
		! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -e ' --ns-ifname ' || echo "$pid"
	done
}

# The process of this test with that command name.
named_process() {
	local pid
	for pid in $(marked "$MARK"); do
		[ "$(cat "/proc/$pid/comm")" != "$1" ] || echo "$pid"
	done
}

# Versions of 2023 scan for UDP listeners at their start only.
pasta_is_old() {
	! as_user pasta --host-lo-to-ns-lo --version >/dev/null 2>&1
}

@test "pasta: info has the network's addresses" {
	local info
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["networkDriver"]["driver"]' <<<"$info")" pasta
	assert_equal "$(json 'd["networkDriver"]["childIP"]' <<<"$info")" 10.0.2.100
	assert_equal "$(json 'd["networkDriver"]["dns"]' <<<"$info")" "['10.0.2.3', 'fd00::3']"
	assert_equal "$(json '"dynamicChildIP" in d["networkDriver"]' <<<"$info")" False
	assert_equal "$(json 'd["portDriver"]["driver"]' <<<"$info")" builtin
}

@test "pasta: the interface is configured in both families" {
	local addresses
	addresses=$(in_ns ip -o addr show dev tap0)
	assert_match "$addresses" 'inet 10\.0\.2\.100/24'
	assert_match "$addresses" 'inet6 fd00::100/64'
	assert_match "$(in_ns ip -o link show dev tap0)" 'UP.*mtu 65520'
	assert_match "$(in_ns ip -o link show dev lo)" ',UP'
	assert_match "$(in_ns ip route show default)" '^default via 10\.0\.2\.2 dev tap0'
	assert_match "$(in_ns ip -6 route show default)" '^default via fd00::2 dev tap0'
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 10\.0\.2\.3'
}

@test "pasta: the child reaches the host over TCP and UDP" {
	host_server_start outer-tcp "$RK_TOOLS/tcp-server" echo "$HOST_IP" "$PORT"
	host_server_start outer-udp "$RK_TOOLS/udp-server" "$HOST_IP" "$PORT"
	assert_match "$(child_tool tcp-many "$HOST_IP" "$PORT" 5 5)" '^ok 5 '
	assert_match "$(child_tool udp-client echo "$HOST_IP" "$PORT" 1 512 1400)" '1400 ok'
}

@test "pasta: the child reaches the host over IPv6" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a network with IPv6"
	host_server_start outer6 "$RK_TOOLS/tcp-server" echo fd99::1 "$PORT"
	assert_match "$(child_tool tcp-many fd99::1 "$PORT" 5 5)" '^ok 5 '
}

@test "pasta: names are resolved by the host's name server" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to replace the name server"
	"${ON_HOST[@]}" env "RK_TEST_ID=$MARK" python3 "$RK_TOP/tests/tools/dns-server.py" \
		198.18.0.1 198.18.0.77 </dev/null >"$FILE_DIR/dns.out" 2>&1 3>&- &
	server_wait dns
	assert_match "$(in_ns getent ahostsv4 some.name.example)" '^198\.18\.0\.77 '
}

@test "pasta: the child can ping the host" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to permit ping in the host's network"
	in_ns ping -c 1 -W 5 "$HOST_IP"
}

@test "pasta: published ports work over TCP and UDP" {
	assert_match "$(host_tool tcp-many 127.0.0.1 "$WEB" 20 5)" '^ok 20 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$UDP" 1 512 8000)" '8000 ok'
}

@test "pasta: what listens on the host's loopback is out of reach" {
	host_server_start inner4 "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	sleep 1.2 # pasta looks for listeners once a second
	run ! child_tool tcp-many 127.0.0.1 "$PORT" 1 1
	run ! in_ns timeout 3 "$RK_TOOLS/tcp-many" 10.0.2.2 "$PORT" 1 1
	assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 1 1)" '^ok 1 '
}

@test "pasta: disable-host-loopback = false opens the gateway's address, and no more" {
	config pasta none <<<$'[network]\ndisable-host-loopback = false'
	engine_start "$DIR/test.ini"
	host_server_start inner4 "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	sleep 1.2
	assert_match "$(child_tool tcp-many 10.0.2.2 "$PORT" 1 1)" '^ok 1 '
	run ! child_tool tcp-many 127.0.0.1 "$PORT" 1 1
	engine_stop
}

@test "pasta: cidr, mtu and ifname are applied" {
	config pasta none <<<$'[network]\ncidr = 10.77.0.0/16\nmtu = 1500\nifname = wan7'
	engine_start "$DIR/test.ini"
	assert_match "$(in_ns ip -o addr show dev wan7)" 'inet 10\.77\.0\.100/16'
	assert_match "$(in_ns ip -o link show dev wan7)" 'mtu 1500'
	refute_match "$(in_ns ip -o addr show dev wan7)" 'inet6 fd00'
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 10\.77\.0\.3'
	engine_stop
}

@test "pasta: bad settings are refused" {
	config pasta builtin <<<$'[network]\ncidr = 10.0.2.0/26'
	refused "$DIR/test.ini" 'prefix'
	config pasta builtin <<<$'[network]\nmtu = 65521'
	refused "$DIR/test.ini" 'mtu.*65520'
}

@test "pasta: a clean stop leaves nothing" {
	config pasta builtin "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	[ -n "$(pasta_pid)" ]
	engine_stop
	assert_equal "$ENGINE_STATUS" 143
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
	host_closed t "$PORT"
}

@test "pasta: its death ends the run with a message" {
	config pasta builtin </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(pasta_pid)" 'pasta.*killed by signal 9'
}

@test "pasta: SIGKILL of the engine takes it along" {
	config pasta builtin </dev/null
	engine_start "$DIR/test.ini"
	kill -KILL "$(named_process rk-engine)"
	assert_none_left "$MARK"
}

@test "pasta: a missing program is named with its package" {
	config pasta builtin <<<$'[pasta]\nbinary = /nonexistent/pasta'
	refused "$DIR/test.ini" '/nonexistent/pasta: not found.*apt install passt.*\[pasta\] binary'
}

@test "pasta: a host without a default route is explained" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a network without a route"
	config pasta builtin </dev/null
	AS_USER=(unshare -n "${AS_USER[@]:${#ON_HOST[@]}}")
	if ! pasta_is_old; then # it goes on with what it has
		run -0 as_user "$RK_BIN/rk-engine" -c "$DIR/test.ini" -- echo it-ran
		assert_match "$output" 'it-ran'
		return
	fi
	refused "$DIR/test.ini" 'routable interface.*default route'
	refute_match "$output" 'Failed to send'
	assert_none_left "$MARK"
}

@test "implicit: what listens in the child listens on the host" {
	config pasta implicit <<<$'[network]\ndisable-host-loopback = false'
	engine_start "$DIR/test.ini"
	server_start auto-tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	wait_until 15 host_listens t "$PORT"
	assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 5 5)" '^ok 5 '
	if ! pasta_is_old; then
		server_start auto-udp "$RK_TOOLS/udp-server" 0.0.0.0 "$PORT"
		wait_until 15 host_listens u "$PORT"
		assert_match "$(host_tool udp-client echo 127.0.0.1 "$PORT" 1 512)" '512 ok'
	fi
	kill "$(named_process tcp-server)"
	wait_until 15 host_closed t "$PORT"
	engine_stop
	wait_until 10 host_closed u "$PORT"
}

@test "implicit: keeps the host's loopback closed, or says that it cannot" {
	config pasta implicit </dev/null
	if pasta_is_old; then
		refused "$DIR/test.ini" 'implicit.*127\.0\.0\.1.*disable-host-loopback'
		return
	fi
	engine_start "$DIR/test.ini"
	host_server_start inner4 "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	sleep 1.2
	run ! child_tool tcp-many 127.0.0.1 "$PORT" 1 1
	engine_stop
}

@test "implicit: info has no port driver, the API refuses ports" {
	config pasta implicit <<<$'[network]\ndisable-host-loopback = false'
	engine_start "$DIR/test.ini"
	assert_equal "$(api_body /v1/info | json '"portDriver" in d')" False
	run ctl add-ports "127.0.0.1:$PORT:7001/tcp"
	assert_equal "$status" 1
	assert_match "$output" 'no PortDriver is available'
	engine_stop
}

@test "implicit: publish is refused, and so is another network" {
	config pasta implicit "127.0.0.1:$PORT:7001/tcp" </dev/null
	refused "$DIR/test.ini" 'implicit.*does not support publishing ports'
	config slirp4netns implicit </dev/null
	refused "$DIR/test.ini" 'requires pasta network'
}
