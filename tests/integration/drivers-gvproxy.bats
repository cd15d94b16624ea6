# drivers-gvproxy.bats: the network driver gvisor-tap-vsock and the port driver of the same name.

load lib
load drivers

setup_file() {
	file_start
	host_network_enter
	export WEB UDP
	WEB=$(free_port) UDP=$(free_port)
	driver_config "$FILE_DIR/gvproxy.ini" gvisor-tap-vsock builtin \
		"127.0.0.1:$WEB:7001/tcp" "127.0.0.1:$UDP:7001/udp" </dev/null
	engine_start "$FILE_DIR/gvproxy.ini"
	server_start tcp "$RK_TOOLS/tcp-server" echo 0.0.0.0 7001
	server_start udp "$RK_TOOLS/udp-server" 0.0.0.0 7001
}

setup() {
	test_start
	host_network_enter
	PORT=$(free_port)
}

config() { # NET PORT [SPEC...]
	driver_config "$DIR/test.ini" "$@"
}

# A program of that name that does what standard input says; the configuration of the driver $2
# uses it.
wrapper() { # NAME SECTION
	{
		echo '#!/bin/sh'
		cat
	} >"$DIR/$1"
	chmod 755 "$DIR/$1"
	printf '[%s]\nbinary = %s\n' "$2" "$DIR/$1"
}

relay_of() { # ENGINE-PID
	descendant "$(descendant "$1" nsctl)" nsctl-relay
}

gvproxy_of() {
	descendant "$(descendant "$1" nsctl)" gvproxy
}

# What stays closed must be closed for a reason: a server of ours that others can reach.
host_loopback_server() {
	host_server_start "inner-$BATS_TEST_NUMBER" "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
}

@test "gvproxy: info has the network's addresses" {
	local info
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["networkDriver"]["driver"]' <<<"$info")" gvisor-tap-vsock
	assert_equal "$(json 'd["networkDriver"]["childIP"]' <<<"$info")" 192.168.127.2
	assert_equal "$(json 'd["networkDriver"]["dns"]' <<<"$info")" "['192.168.127.1']"
	assert_equal "$(json '"dynamicChildIP" in d["networkDriver"]' <<<"$info")" False
	assert_equal "$(json 'd["portDriver"]["driver"]' <<<"$info")" builtin
}

@test "gvproxy: the interface is configured" {
	assert_match "$(in_ns ip -o addr show dev tap0)" 'inet 192\.168\.127\.2/24'
	assert_match "$(in_ns ip -o link show dev tap0)" 'UP.*mtu 65520'
	assert_match "$(in_ns ip route show default)" '^default via 192\.168\.127\.1 dev tap0'
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 192\.168\.127\.1'
}

@test "gvproxy: the child reaches the host over TCP and UDP" {
	host_server_start outer-tcp "$RK_TOOLS/tcp-server" echo "$HOST_IP" "$PORT"
	host_server_start outer-udp "$RK_TOOLS/udp-server" "$HOST_IP" "$PORT"
	assert_match "$(child_tool tcp-many "$HOST_IP" "$PORT" 20 5)" '^ok 20 '
	assert_match "$(child_tool udp-client echo "$HOST_IP" "$PORT" 1 512 1400)" '1400 ok'
}

@test "gvproxy: many megabytes arrive unchanged in both directions" {
	local sent
	host_server_start digest "$RK_TOOLS/tcp-server" source "$HOST_IP" "$PORT" 50000000
	child_tool tcp-client receive "$HOST_IP" "$PORT"
	PORT=$(free_port)
	host_server_start taker "$RK_TOOLS/tcp-server" observe "$HOST_IP" "$PORT"
	sent=$(child_tool tcp-client half-close "$HOST_IP" "$PORT" 50000000 | sed -n 's/^sent //p')
	[ -n "$sent" ]
	wait_until 10 grep -q "^eof $sent" "$FILE_DIR/taker.out"
}

@test "gvproxy: names are resolved by the host's name server" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to replace the name server"
	"${ON_HOST[@]}" env "RK_TEST_ID=$MARK" python3 "$RK_TOP/tests/tools/dns-server.py" \
		198.18.0.1 198.18.0.77 </dev/null >"$FILE_DIR/dns.out" 2>&1 3>&- &
	server_wait dns
	assert_match "$(in_ns getent ahostsv4 some.name.example)" '^198\.18\.0\.77 '
}

@test "gvproxy: the child can ping the gateway" {
	in_ns ping -c 1 -W 5 192.168.127.1
}

@test "gvproxy: ports published by builtin work over TCP and UDP" {
	assert_match "$(host_tool tcp-many 127.0.0.1 "$WEB" 20 5)" '^ok 20 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$UDP" 1 512 8000)" '8000 ok'
}

@test "gvproxy: what listens on the host's loopback is out of reach" {
	host_loopback_server
	run ! in_ns timeout 2 "$RK_TOOLS/tcp-many" 192.168.127.254 "$PORT" 1 1
	run ! in_ns timeout 2 "$RK_TOOLS/tcp-many" 127.0.0.1 "$PORT" 1 1
	assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 1 1)" '^ok 1 '
}

@test "gvproxy: disable-host-loopback = false opens the alias of the host" {
	config gvisor-tap-vsock none <<<$'[network]\ndisable-host-loopback = false'
	engine_start "$DIR/test.ini"
	host_loopback_server
	assert_match "$(child_tool tcp-many 192.168.127.254 "$PORT" 1 1)" '^ok 1 '
	engine_stop
}

@test "gvproxy: the child cannot open ports of the host" {
	local url=http://192.168.127.1/services/forwarder
	# The request is a good one: over gvproxy's own socket it is answered.
	as_user curl -sS --max-time 20 --unix-socket "$STATE/gvproxy/api.sock" "$url/all"
	run in_ns curl -sS --max-time 2 "$url/all"
	assert_equal "$status" 28 # timed out
	run in_ns curl -sS --max-time 2 -X POST "$url/expose" \
		-d "{\"local\":\"127.0.0.1:$PORT\",\"remote\":\"192.168.127.2:7001\"}"
	[ "$status" -ne 0 ]
	run ! host_listens t "$PORT"
}

@test "gvproxy: mtu and ifname are applied" {
	config gvisor-tap-vsock none <<<$'[network]\nmtu = 1500\nifname = wan7'
	engine_start "$DIR/test.ini"
	assert_match "$(in_ns ip -o link show dev wan7)" 'mtu 1500'
	assert_match "$(tr '\0' ' ' <"/proc/$(gvproxy_of "$ENGINE_PID")/cmdline")" '-mtu 1500'
	engine_stop
}

@test "gvproxy: settings that it cannot fulfil are refused" {
	config gvisor-tap-vsock builtin <<<$'[network]\nipv6 = true'
	refused "$DIR/test.ini" 'ipv6.*IPv4 only'
	if ! gvproxy_configurable; then
		config gvisor-tap-vsock builtin <<<$'[network]\ncidr = 10.9.0.0/24'
		refused "$DIR/test.ini" 'cidr.*192\.168\.127\.0/24 compiled in'
	fi
}

gvproxy_configurable() {
	"${AS_USER[@]}" gvproxy -help 2>&1 | grep -q '^  -config '
}

@test "gvproxy: a version that can is given another network" {
	gvproxy_configurable && skip "this gvproxy is one; the next test has it"
	# A program that says it can and keeps the file it was given.
	wrapper gvproxy gvisor-tap-vsock <<-'EOF' >"$DIR/extra"
		[ "$1" != -help ] || { printf 'Usage:\n  -config string\n'; exit 0; }
		while [ $# -gt 1 ]; do
			[ "$1" != -config ] || cp "$2" "${0%/*}/seen.yaml"
			shift
		done
		echo "seen" >&2
		exit 1
	EOF
	printf '[network]\ncidr = 10.9.0.0/22\n' >>"$DIR/extra"
	config gvisor-tap-vsock none <"$DIR/extra"
	refused "$DIR/test.ini" 'gvisor-tap-vsock exited with status 1: seen'
	assert_match "$(cat "$DIR/seen.yaml")" 'subnet: 10\.9\.0\.0/22'
	assert_match "$(cat "$DIR/seen.yaml")" 'gatewayIP: 10\.9\.0\.1'
	assert_match "$(cat "$DIR/seen.yaml")" '10\.9\.3\.254: 127\.0\.0\.1'
}

@test "gvproxy: another network is used where the version can" {
	gvproxy_configurable || { refuses_cidr; return; }
	config gvisor-tap-vsock none <<<$'[network]\ncidr = 10.9.0.0/22'
	engine_start "$DIR/test.ini"
	assert_match "$(in_ns ip -o addr show dev tap0)" 'inet 10\.9\.0\.2/22'
	in_ns ping -c 1 -W 5 10.9.0.1
	engine_stop
}

refuses_cidr() {
	config gvisor-tap-vsock none <<<$'[network]\ncidr = 10.9.0.0/22'
	refused "$DIR/test.ini" 'remove cidr, or use gvproxy 0\.8\.8'
}

@test "gvproxy: a clean stop leaves nothing" {
	config gvisor-tap-vsock builtin "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	[ -n "$(gvproxy_of "$ENGINE_PID")" ]
	[ -n "$(relay_of "$ENGINE_PID")" ]
	engine_stop
	assert_equal "$ENGINE_STATUS" 143
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
	host_closed t "$PORT"
}

@test "gvproxy: the relay holds the tap, the socket and the log, and is closed to others" {
	local relay fds
	relay=$(relay_of "$ENGINE_PID")
	assert_match "$(grep NoNewPrivs "/proc/$relay/status")" '1$'
	run as_user cat "/proc/$relay/environ"
	[ "$status" -ne 0 ]
	[ "$(id -u)" -eq 0 ] || skip "needs root to look into it"
	fds=$(readlink "/proc/$relay"/fd/* | sed 's/:.*//' | sort | tr '\n' ' ')
	assert_equal "$fds" '/dev/net/tun /dev/null /dev/null /dev/null anon_inode pipe socket '
	assert_equal "$(readlink "/proc/$relay/ns/user")" "$(readlink /proc/self/ns/user)"
}

@test "gvproxy: its death ends the run with a message" {
	config gvisor-tap-vsock builtin </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(gvproxy_of "$ENGINE_PID")" 'gvisor-tap-vsock.*killed by signal 9'
}

@test "gvproxy: the death of the relay ends the run with a message" {
	config gvisor-tap-vsock builtin </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(relay_of "$ENGINE_PID")" 'gvisor-tap-vsock.*tap relay killed by signal 9'
}

@test "gvproxy: SIGKILL of the engine takes all along" {
	config gvisor-tap-vsock builtin </dev/null
	engine_start "$DIR/test.ini"
	kill -KILL "$(marked "$MARK" | while read -r pid; do
		[ "$(cat "/proc/$pid/comm")" != rk-engine ] || echo "$pid"
	done)"
	assert_none_left "$MARK"
}

@test "gvproxy: a missing program is named with its package" {
	config gvisor-tap-vsock builtin <<<$'[gvisor-tap-vsock]\nbinary = /nonexistent/gvproxy'
	refused "$DIR/test.ini" \
		'/nonexistent/gvproxy: not found.*apt install gvproxy.*\[gvisor-tap-vsock\] binary'
}

@test "gvproxy: a program that fails at once is quoted" {
	wrapper gvproxy gvisor-tap-vsock <<-'EOF' >"$DIR/extra"
		[ "$1" != -help ] || exit 0
		echo broken on purpose >&2
		exit 3
	EOF
	config gvisor-tap-vsock builtin <"$DIR/extra"
	refused "$DIR/test.ini" 'gvisor-tap-vsock exited with status 3: broken on purpose'
	assert_none_left "$MARK"
}

@test "gvproxy: there is always room for what the program logs" {
	# A Go program would wait for it for ever; this one notes that there was none.
	wrapper gvproxy gvisor-tap-vsock <<-'EOF' >"$DIR/extra"
		[ "$1" != -help ] || exec gvproxy -help
		( while sleep 0.02; do
			head -c 2000 /dev/zero | tr '\0' x >&2 || echo full >"$0.lost"
		done ) &
		exec gvproxy "$@"
	EOF
	config gvisor-tap-vsock builtin <"$DIR/extra"
	engine_start "$DIR/test.ini"
	sleep 3 # some 200 KiB
	[ ! -e "$DIR/gvproxy.lost" ]
	engine_stop
}

@test "port gvproxy: published ports work over TCP and UDP, info names the driver" {
	local info udp
	udp=$(free_port)
	config gvisor-tap-vsock gvisor-tap-vsock "127.0.0.1:$PORT:7001/tcp" \
		"127.0.0.1:$udp:192.168.127.2:7001/udp" </dev/null
	engine_start "$DIR/test.ini"
	server_start in-tcp "$RK_TOOLS/tcp-server" echo 0.0.0.0 7001
	server_start in-udp "$RK_TOOLS/udp-server" 0.0.0.0 7001
	assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 20 5)" '^ok 20 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$udp" 1 512)" '512 ok'
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["portDriver"]["driver"]' <<<"$info")" gvisor-tap-vsock
	assert_equal "$(json 'd["portDriver"]["protos"]' <<<"$info")" "['tcp', 'udp']"
	assert_equal "$(json 'd["portDriver"]["disallowLoopbackChildIP"]' <<<"$info")" True
	engine_stop
	assert_equal "$ENGINE_STATUS" 143
	host_closed t "$PORT"
	host_closed u "$udp"
}

@test "port gvproxy: ports come and go by the API" {
	local id
	config gvisor-tap-vsock gvisor-tap-vsock </dev/null
	engine_start "$DIR/test.ini"
	server_start in-api "$RK_TOOLS/tcp-server" echo 0.0.0.0 7001
	for _ in 1 2 3; do
		id=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
		assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 2 2)" '^ok 2 '
		run ctl add-ports "127.0.0.1:$PORT:7002/tcp"
		assert_match "$output" "conflict with ID $id"
		assert_equal "$(ctl remove-ports "$id")" "$id"
		host_closed t "$PORT"
	done
	engine_stop
}

@test "port gvproxy: what cannot be published is refused with the reason" {
	config gvisor-tap-vsock gvisor-tap-vsock </dev/null
	engine_start "$DIR/test.ini"
	run ctl add-ports "127.0.0.1:81:7001/tcp"
	assert_equal "$status" 1
	assert_match "$output" '127\.0\.0\.1:81/tcp.*ip_unprivileged_port_start'
	host_server_start taken "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	run ctl add-ports "127.0.0.1:$PORT:7001/tcp"
	assert_match "$output" "127\.0\.0\.1:$PORT/tcp: Address already in use"
	run ctl add-ports "127.0.0.1:$(free_port):127.0.0.1:7001/tcp"
	assert_equal "$status" 1
	assert_match "$output" 'cannot reach child address 127\.0\.0\.1'
	run ctl add-ports "[::1]:$(free_port):[fd00::100]:7001/tcp"
	assert_match "$output" 'cannot reach child address fd00::100'
	run ctl add-ports "127.0.0.1:$(free_port):7001/tcp4"
	assert_match "$output" 'no protocol tcp4'
	assert_equal "$(api_body /v1/ports)" '[]'
	engine_stop
}

@test "port gvproxy: needs its own network" {
	config slirp4netns gvisor-tap-vsock </dev/null
	refused "$DIR/test.ini" 'port driver gvisor-tap-vsock requires gvisor-tap-vsock network'
	config gvisor-tap-vsock implicit </dev/null
	refused "$DIR/test.ini" 'requires pasta network'
	config gvisor-tap-vsock none "127.0.0.1:$PORT:7001/tcp" </dev/null
	refused "$DIR/test.ini" 'publish'
}

@test "port gvproxy: a missing libcurl is named with its package" {
	: >"$DIR/libcurl.so.4"
	AS_USER+=(env "LD_LIBRARY_PATH=$DIR")
	config gvisor-tap-vsock gvisor-tap-vsock "127.0.0.1:$PORT:7001/tcp" </dev/null
	refused "$DIR/test.ini" 'libcurl\.so\.4.*package libcurl4'
	assert_none_left "$MARK"
}

@test "port gvproxy: the death of gvproxy ends the run with a message" {
	config gvisor-tap-vsock gvisor-tap-vsock "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(gvproxy_of "$ENGINE_PID")" 'gvisor-tap-vsock.*killed by signal 9'
	host_closed t "$PORT"
}
