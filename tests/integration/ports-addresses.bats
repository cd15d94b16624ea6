# ports-addresses.bats: the same port on several addresses and families, hosts without IPv6, clients
# of one link, and what a client sees of a server that refuses.

load lib

setup_file() {
	file_start
	write_config "$FILE_DIR/addresses.ini" </dev/null
	engine_start "$FILE_DIR/addresses.ini"
	server_start one "$RK_TOOLS/tcp-server" name 127.0.0.1 7001 one
	server_start two "$RK_TOOLS/tcp-server" name 127.0.0.1 7002 two
	server_start three "$RK_TOOLS/tcp-server" name 127.0.0.1 7003 three
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7004
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7005
}

setup() {
	test_start
	PORT=$(free_port)
}

teardown() {
	local ids
	[ -z "${NETNS:-}" ] || ip netns delete "$NETNS"
	[ -z "${LINK:-}" ] || ip link delete "$LINK" 2>/dev/null || true
	STATE=$FILE_DIR/addresses.state
	ids=$(api_body /v1/ports | json '[p["id"] for p in d]')
	[ "$ids" = '[]' ] || api DELETE /v1/ports/bulk "$ids" >/dev/null
	test_end
}

answer_of() {
	timeout 10 bash -c "exec 5<>/dev/tcp/$1/$2; cat <&5"
}

@test "addresses: 0.0.0.0 and :: of one port are two ports with a server each" {
	ctl add-ports "0.0.0.0:$PORT:127.0.0.1:7001/tcp4" "[::]:$PORT:127.0.0.1:7002/tcp6"
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" one
	assert_equal "$(answer_of ::1 "$PORT")" two
	# Neither listens for the other: an IPv4 client is not led through the IPv6 socket.
	assert_equal "$(ss -Hlnt "sport = :$PORT" | awk '{ print $4 }' | sort -u)" \
		$'0.0.0.0:'"$PORT"$'\n[::]:'"$PORT"
}

@test "addresses: three addresses of one port lead to three servers at once" {
	local address
	# Not one of the links that other tests make and remove meanwhile.
	address=$(ip -j -4 address show scope global |
		json '[a["local"] for i in d for a in i["addr_info"] if not a["local"].startswith("198.18.")][0]')
	ctl add-ports "127.0.0.1:$PORT:127.0.0.1:7001/tcp" "127.0.0.2:$PORT:127.0.0.1:7002/tcp" \
		"$address:$PORT:127.0.0.1:7003/tcp"
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" one
	assert_equal "$(answer_of 127.0.0.2 "$PORT")" two
	assert_equal "$(answer_of "$address" "$PORT")" three
	run ! answer_of 127.0.0.3 "$PORT"
}

@test "addresses: an IPv6 listener serves an IPv4 server, TCP and UDP" {
	ctl add-ports "[::1]:$PORT:127.0.0.1:7004/tcp" "[::1]:$PORT:127.0.0.1:7005/udp"
	assert_match "$(tool tcp-many ::1 "$PORT" 2 2)" '^ok 2 '
	assert_equal "$(tool udp-client echo ::1 "$PORT" 1000)" '1000 ok from ::1'
}

@test "addresses: on a host without IPv6 IPv4 ports start, IPv6 ports say why not" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a host without IPv6"
	NETNS=rkno6$BASHPID
	ip netns add "$NETNS"
	ip netns exec "$NETNS" sysctl -q net.ipv6.conf.all.disable_ipv6=1
	ip -n "$NETNS" link set lo up
	AS_USER=(ip netns exec "$NETNS" "${AS_USER[@]}")
	local other
	other=$(free_port)
	write_config "$DIR/no6.ini" ":$PORT:7001/tcp" </dev/null
	engine_start "$DIR/no6.ini"
	server_start one "$RK_TOOLS/tcp-server" name 127.0.0.1 7001 one
	assert_equal "$(ip netns exec "$NETNS" bash -c "exec 5<>/dev/tcp/127.0.0.1/$PORT; cat <&5")" one
	run api POST /v1/ports \
		"{\"proto\":\"tcp\",\"parentIP\":\"::1\",\"parentPort\":$other,\"childPort\":7001}"
	assert_match "$output" "\[::1\]:$other/tcp.*EADDRNOTAVAIL.*400$"
	assert_equal "$(ctl add-ports "127.0.0.1:$other:7001/tcp")" 2
	engine_stop
}

@test "addresses: a client of a link-local address with its scope, TCP and UDP" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a link"
	NETNS=rklink$BASHPID LINK=rkl$BASHPID
	local address
	ip netns add "$NETNS"
	ip link add "$LINK" type veth peer name eth0 netns "$NETNS"
	ip link set "$LINK" up
	ip -n "$NETNS" link set eth0 up
	wait_until 10 has_link_local "$LINK"
	wait_until 10 has_link_local eth0 -n "$NETNS"
	address=$(link_local "$LINK")
	ctl add-ports "[$address%$LINK]:$PORT:127.0.0.1:7004/tcp" "[$address%$LINK]:$PORT:127.0.0.1:7005/udp"
	# The server has IPv4 only, and such a client is one of another machine: no loopback address.
	assert_equal "$(link_client tcp "$address")" 'hello on the link'
	assert_equal "$(link_client udp "$address")" 'hello on the link'
}

link_local() { # DEVICE [IP-OPTION...]
	local device=$1
	shift
	ip "$@" -j -6 address show dev "$device" scope link -tentative |
		json '[a["local"] for i in d for a in i.get("addr_info", [])][0]'
}

has_link_local() {
	link_local "$@" >/dev/null 2>&1
}

link_client() { # tcp|udp ADDRESS
	timeout 20 ip netns exec "$NETNS" python3 -c 'import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
with socket.socket(socket.AF_INET6, kind) as client:
    client.settimeout(10)
    client.connect(socket.getaddrinfo(sys.argv[2] + "%eth0", int(sys.argv[3]))[0][4])
    client.send(b"hello on the link")
    print(client.recv(100).decode())' "$1" "$2" "$PORT"
}

@test "addresses: a server that refuses is a reset for the client, with nothing before it" {
	local round
	ctl add-ports "127.0.0.1:$PORT:127.0.0.1:7999/tcp"
	for round in 1 2 3 4 5; do
		run -0 python3 "$RK_TOP/tests/tools/port-client.py" end 127.0.0.1 "$PORT"
		assert_match "$output" '^reset 0 after [0-9]+ us$'
	done
	echo "$output"
}

@test "addresses: a port is made and removed 100 times under traffic, never in use" {
	cp "$RK_TOP/tests/tools/port-client.py" "$FILE_DIR/"
	run -0 as_user python3 "$FILE_DIR/port-client.py" cycle "$STATE/api.sock" 127.0.0.1 "$PORT" 7004 100
	assert_match "$output" '^100 cycles, [1-9][0-9]* clients served, 0 refused by the API$'
}
