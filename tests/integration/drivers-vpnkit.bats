# drivers-vpnkit.bats: the network driver vpnkit, on gvproxy's implementation of its protocol.
#
# Debian does not package VPNKit. gvproxy speaks the protocol but refuses nobody: a server of our own
# does that.

load lib
load drivers

setup_file() {
	file_start
	host_network_enter
	export WEB UDP
	WEB=$(free_port) UDP=$(free_port)
	vpnkit_by_gvproxy "$FILE_DIR"
	driver_config "$FILE_DIR/vpnkit.ini" vpnkit builtin \
		"127.0.0.1:$WEB:7001/tcp" "127.0.0.1:$UDP:7001/udp" \
		<<<"$(printf '[vpnkit]\nbinary = %s/vpnkit\n' "$FILE_DIR")"
	engine_start "$FILE_DIR/vpnkit.ini"
	server_start tcp "$RK_TOOLS/tcp-server" echo 0.0.0.0 7001
	server_start udp "$RK_TOOLS/udp-server" 0.0.0.0 7001
}

setup() {
	test_start
	host_network_enter
	PORT=$(free_port)
}

# A program vpnkit in directory $1 that takes the options we give to VPNKit, notes them in
# vpnkit.args, and becomes gvproxy.
vpnkit_by_gvproxy() {
	cat >"$1/vpnkit" <<-'EOF'
		#!/bin/sh
		echo "$*" >"$0.args"
		while [ $# -gt 1 ]; do
			case $1 in
			--ethernet) socket=$2 ;;
			--mtu) mtu=$2 ;;
			--host-ip) ;;
			*) echo "unknown option $1" >&2; exit 1 ;;
			esac
			shift 2
		done
		exec gvproxy -listen-vpnkit "unix://$socket" -listen "unix://$socket.api" \
			-mtu "$mtu" -ssh-port -1
	EOF
	chmod 755 "$1/vpnkit"
	touch "$1/vpnkit.args"
	chown "$TEST_UID:$TEST_GID" "$1/vpnkit.args"
}

# config WORD: like gvproxy's ("works"), or one that refuses as vpnkit-refuses.py says.
config() { # WORD [SPEC...]
	local word=$1
	shift
	if [ "$word" = works ]; then
		vpnkit_by_gvproxy "$DIR"
	else
		printf '#!/bin/sh\nexec python3 %s/tests/tools/vpnkit-refuses.py %s "$@" >"$0.said"\n' \
			"$RK_TOP" "$word" >"$DIR/vpnkit"
		chmod 755 "$DIR/vpnkit"
	fi
	{
		printf '[vpnkit]\nbinary = %s/vpnkit\n' "$DIR"
		[ -t 0 ] || cat
	} >"$DIR/extra"
	driver_config "$DIR/test.ini" vpnkit builtin "$@" <"$DIR/extra"
}

process_of() { # ENGINE-PID NAME
	descendant "$(descendant "$1" nsctl)" "$2"
}

@test "vpnkit: info has the address that DHCP gave" {
	local info
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["networkDriver"]["driver"]' <<<"$info")" vpnkit
	assert_match "$(json 'd["networkDriver"]["childIP"]' <<<"$info")" '^192\.168\.127\.[0-9]+$'
	assert_equal "$(json 'd["networkDriver"]["dns"]' <<<"$info")" "['192.168.127.1']"
}

@test "vpnkit: the interface has that address, the network's MTU and route" {
	local ip
	ip=$(api_body /v1/info | json 'd["networkDriver"]["childIP"]')
	assert_match "$(in_ns ip -o addr show dev tap0)" "inet $ip/24"
	assert_match "$(in_ns ip -o link show dev tap0)" 'UP.*mtu 1500'
	assert_match "$(in_ns ip route show default)" '^default via 192\.168\.127\.1 dev tap0'
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 192\.168\.127\.1'
}

@test "vpnkit: the tap has the hardware address that the handshake gave" {
	local leases ip mac
	ip=$(api_body /v1/info | json 'd["networkDriver"]["childIP"]')
	mac=$(in_ns ip -o link show dev tap0 | sed -n 's/.*link.ether \([^ ]*\).*/\1/p')
	leases=$(as_user curl -sS --unix-socket "$STATE/vpnkit/net.sock.api" http://gvproxy/leases)
	assert_equal "$(json "d['$ip']" <<<"$leases")" "$mac"
}

@test "vpnkit: the child reaches the host over TCP and UDP" {
	host_server_start outer-tcp "$RK_TOOLS/tcp-server" echo "$HOST_IP" "$PORT"
	host_server_start outer-udp "$RK_TOOLS/udp-server" "$HOST_IP" "$PORT"
	assert_match "$(child_tool tcp-many "$HOST_IP" "$PORT" 20 5)" '^ok 20 '
	assert_match "$(child_tool udp-client echo "$HOST_IP" "$PORT" 1 512 1400)" '1400 ok'
}

@test "vpnkit: many megabytes arrive unchanged in both directions" {
	local sent
	host_server_start source "$RK_TOOLS/tcp-server" source "$HOST_IP" "$PORT" 30000000
	child_tool tcp-client receive "$HOST_IP" "$PORT"
	PORT=$(free_port)
	host_server_start taker "$RK_TOOLS/tcp-server" observe "$HOST_IP" "$PORT"
	sent=$(child_tool tcp-client half-close "$HOST_IP" "$PORT" 30000000 | sed -n 's/^sent //p')
	[ -n "$sent" ]
	wait_until 10 grep -q "^eof $sent" "$FILE_DIR/taker.out"
}

@test "vpnkit: names are resolved by the host's name server" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to replace the name server"
	"${ON_HOST[@]}" env "RK_TEST_ID=$MARK" python3 "$RK_TOP/tests/tools/dns-server.py" \
		198.18.0.1 198.18.0.77 </dev/null >"$FILE_DIR/dns.out" 2>&1 3>&- &
	server_wait dns
	assert_match "$(in_ns getent ahostsv4 some.name.example)" '^198\.18\.0\.77 '
}

@test "vpnkit: ports published by builtin work over TCP and UDP" {
	assert_match "$(host_tool tcp-many 127.0.0.1 "$WEB" 20 5)" '^ok 20 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$UDP" 1 512 8000)" '8000 ok'
}

@test "vpnkit: disable-host-loopback and mtu go to the program" {
	assert_match "$(cat "$FILE_DIR/vpnkit.args")" '^--ethernet [^ ]+ --mtu 1500 --host-ip 0\.0\.0\.0$'
	config works <<<$'[network]\ndisable-host-loopback = false\nmtu = 9000'
	engine_start "$DIR/test.ini"
	assert_match "$(cat "$DIR/vpnkit.args")" '^--ethernet [^ ]+ --mtu 9000$'
	assert_match "$(in_ns ip -o link show dev tap0)" 'mtu 9000'
	engine_stop
}

@test "vpnkit: settings that it cannot fulfil are refused" {
	config works <<<$'[network]\nipv6 = true'
	refused "$DIR/test.ini" 'ipv6.*IPv4 only'
	config works <<<$'[network]\ncidr = 10.9.0.0/24'
	refused "$DIR/test.ini" 'cidr.*DHCP.*remove cidr'
	config works <<<$'[network]\nmtu = 16425'
	refused "$DIR/test.ini" 'mtu.*16424'
}

@test "vpnkit: a server that refuses is quoted" {
	config refuse </dev/null
	refused "$DIR/test.ini" 'vpnkit: handshake: refused: this server is full'
	assert_none_left "$MARK"
	[ ! -e "$DIR/test.state" ]
}

@test "vpnkit: what is no VPNKit is told from one" {
	config magic </dev/null
	refused "$DIR/test.ini" "vpnkit: handshake: the answer is not VPNKit's"
	config version </dev/null
	refused "$DIR/test.ini" 'vpnkit: handshake: protocol version 23, not 22'
	config type </dev/null
	refused "$DIR/test.ini" 'vpnkit: handshake: an answer of unknown type 9'
	config address </dev/null
	refused "$DIR/test.ini" 'vpnkit: handshake: no usable hardware address'
	config hang-up </dev/null
	refused "$DIR/test.ini" 'vpnkit: handshake: Connection reset'
}

@test "vpnkit: a server that says nothing is given up" {
	config silent </dev/null
	refused "$DIR/test.ini" 'vpnkit: handshake: Connection timed out'
	config offer </dev/null
	refused "$DIR/test.ini" 'vpnkit: no address was offered by DHCP within 10000 ms'
	assert_none_left "$MARK"
}

@test "vpnkit: a start whose server says nothing ends when it is asked to" {
	config silent </dev/null
	"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/test.ini" -- echo it-ran \
		</dev/null >"$DIR/out" 2>&1 3>&- &
	ENGINE_PID=$! ENGINE_LOG=$DIR/out
	wait_until 10 grep -qs greeted "$DIR/vpnkit.said"
	kill -TERM "$ENGINE_PID"
	engine_wait 20
	refute_match "$(cat "$DIR/out")" 'it-ran|timed out'
	assert_none_left "$MARK"
	[ ! -e "$DIR/test.state" ]
}

@test "vpnkit: a clean stop leaves nothing" {
	config works "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	[ -n "$(process_of "$ENGINE_PID" gvproxy)" ]
	engine_stop
	assert_equal "$ENGINE_STATUS" 143
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
	host_closed t "$PORT"
}

@test "vpnkit: its death ends the run with a message" {
	config works </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(process_of "$ENGINE_PID" gvproxy)" 'vpnkit.*killed by signal 9'
}

@test "vpnkit: the death of the relay ends the run with a message" {
	config works </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(process_of "$ENGINE_PID" nsctl-relay)" 'vpnkit.*tap relay killed by signal 9'
}

@test "vpnkit: SIGKILL of the engine takes all along" {
	config works </dev/null
	engine_start "$DIR/test.ini"
	kill -KILL "$(marked "$MARK" | while read -r pid; do
		[ "$(cat "/proc/$pid/comm")" != rk-engine ] || echo "$pid"
	done)"
	assert_none_left "$MARK"
}

@test "vpnkit: a missing program is named with the way to get it" {
	driver_config "$DIR/test.ini" vpnkit builtin <<<$'[vpnkit]\nbinary = /nonexistent/vpnkit'
	refused "$DIR/test.ini" '/nonexistent/vpnkit: not found.*build it.*\[vpnkit\] binary'
}
