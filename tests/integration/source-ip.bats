# source-ip.bats: servers in the namespace see the client's own address.

load lib
load source-ip

prepare_file() {
	export ANY LOOP BOTH DOCKER CLOSED UANY ULOOP UBOTH UCLOSED OFF REQUIRE
	ANY=$(free_port) LOOP=$(free_port) BOTH=$(free_port) DOCKER=$(free_port) CLOSED=$(free_port)
	UANY=$(free_port) ULOOP=$(free_port) UBOTH=$(free_port) UCLOSED=$(free_port)
	OFF=$(free_port) REQUIRE=$(free_port)
	cp "$RK_TOP/tests/tools/source-server.py" "$FILE_DIR/"
	write_config "$FILE_DIR/source.ini" \
		":$ANY:7001/tcp" ":$LOOP:7002/tcp" ":$BOTH:7003/tcp" ":$DOCKER:127.0.0.1:7001/tcp" \
		":$CLOSED:7009/tcp" ":$UANY:7001/udp" ":$ULOOP:7002/udp" ":$UBOTH:7003/udp" \
		":$UCLOSED:7009/udp" <<-END
		source-ip = prefer
	END
	engine_start "$FILE_DIR/source.ini"
	local proto
	for proto in tcp udp; do
		source_server $proto 0.0.0.0 7001
		source_server $proto :: 7001
		source_server $proto 127.0.0.1 7002
		source_server $proto ::1 7002
		source_server $proto both 7003
	done
	bridge_start 8001
	export BTCP BUDP BLOOP BTCP_ID
	BTCP=$(free_port) BUDP=$(free_port) BLOOP=$(free_port)
	BTCP_ID=$(ctl add-ports ":$BTCP:8001/tcp")
	ctl add-ports ":$BUDP:8001/udp" ":$BLOOP:127.0.0.1:8001/udp"
}

# Takes the times of --timed away where they are below 4 s; connect-timeout, 10 s, is what a client
# must not wait for.
soon() {
	sed -E 's/, [1-3]?[0-9]{1,3} ms$//'
}

# --- TCP

@test "source-ip: info says that everything works here" {
	assert_equal "$(api_body /v1/info | json 'd["engine"]["sourceIP"]')" \
		"{'tcp4': 'full', 'tcp6': 'full', 'udp4': 'full', 'udp6': 'full'}"
}

@test "source-ip: TCP servers on all addresses see the client over IPv4 and IPv6" {
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --bytes 200000)" same
	assert_equal "$(ask A tcp "$HOST6" "$ANY" --bytes 200000)" same
	assert_equal "$(ask B tcp "$HOST4B" "$ANY")" same
	assert_equal "$(ask B tcp "$HOST6B" "$ANY")" same
}

@test "source-ip: a TCP server on :: for both families sees both" {
	assert_equal "$(ask A tcp "$HOST4" "$BOTH")" same
	assert_equal "$(ask A tcp "$HOST6" "$BOTH")" same
}

@test "source-ip: TCP servers on 127.0.0.1 and ::1 see the client" {
	assert_equal "$(ask A tcp "$HOST4" "$LOOP" --bytes 100000)" same
	assert_equal "$(ask A tcp "$HOST6" "$LOOP" --bytes 100000)" same
}

@test "source-ip: with a loopback child address, too" {
	assert_equal "$(ask A tcp "$HOST4" "$DOCKER")" same
}

@test "source-ip: a server on the namespace's own address sees the client" {
	local port id
	port=$(free_port)
	source_server tcp 10.0.2.100 7004
	id=$(ctl add-ports ":$port:10.0.2.100:7004/tcp")
	assert_equal "$(ask A tcp "$HOST4" "$port")" same
	ctl remove-ports "$id"
}

@test "source-ip: a client of this host with an address of its own is seen" {
	assert_equal "$(python3 "$RK_TOP/tests/tools/source-client.py" tcp "$HOST4" "$ANY")" same
}

@test "source-ip: loopback clients stay on a loopback address" {
	local client=(python3 "$RK_TOP/tests/tools/source-client.py")
	assert_equal "$("${client[@]}" tcp 127.0.0.1 "$LOOP")" address
	assert_equal "$("${client[@]}" tcp ::1 "$LOOP")" 'seen 127.0.0.1'
	assert_equal "$("${client[@]}" udp 127.0.0.1 "$ULOOP")" address
	assert_equal "$(downgraded 2)" 0
}

@test "source-ip: one client port leads to several published ports at once" {
	assert_equal "$(ask A tcp "$HOST4" "$ANY,$LOOP,$BOTH" --from 5501)" $'same\nsame\nsame'
	assert_equal "$(ask A tcp "$HOST6" "$ANY,$LOOP,$BOTH" --from 5501)" $'same\nsame\nsame'
	assert_equal "$(ask A udp "$HOST4" "$UANY,$ULOOP,$UBOTH" --from 5502)" $'same\nsame\nsame'
}

@test "source-ip: a port that is used again at once keeps the address" {
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --from 5503 --quit --times 4 | sort | uniq -c | xargs)" \
		'4 same'
	# The new connection may overtake the reset of the old one: then only the port is another.
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --from 5504 --reset --times 4 |
		grep -cE '^(same|address)$')" 4
}

@test "source-ip: a client port that the namespace has taken costs the port, not the address" {
	source_server tcp 0.0.0.0 5505
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --from 5505)" address
	assert_equal "$(downgraded 1)" 0
}

@test "source-ip: nobody listens: refused at once" {
	assert_match "$(ask A tcp "$HOST4" "$CLOSED" --timed | soon)" '^error .*reset by peer$'
	assert_match "$(ask A tcp "$HOST6" "$CLOSED" --timed | soon)" '^error .*reset by peer$'
}

# --- UDP

@test "source-ip: UDP servers on all addresses see the client and reach it" {
	assert_equal "$(ask A udp "$HOST4" "$UANY" --times 3)" $'same\nsame\nsame'
	assert_equal "$(ask A udp "$HOST6" "$UANY" --times 3)" $'same\nsame\nsame'
	assert_equal "$(ask B udp "$HOST6B" "$UBOTH")" same
	assert_equal "$(ask B udp "$HOST4B" "$UBOTH")" same
}

@test "source-ip: UDP servers on 127.0.0.1 and ::1 see the client and reach it" {
	assert_equal "$(ask A udp "$HOST4" "$ULOOP")" same
	assert_equal "$(ask A udp "$HOST6" "$ULOOP")" same
}

@test "source-ip: 100 UDP clients at once from two machines" {
	ask B udp "$HOST4B" "$UANY" --clients 50 >"$DIR/b" 3>&- &
	assert_equal "$(ask A udp "$HOST6" "$UANY" --clients 50)" '50 of 50 same'
	wait $!
	assert_equal "$(cat "$DIR/b")" '50 of 50 same'
}

@test "source-ip: a UDP answer that comes late arrives" {
	assert_equal "$(ask A udp "$HOST4" "$UANY" --wait 3)" same
}

@test "source-ip: a UDP server that starts late is reached by a client that was there before" {
	python3 - "$HOST4" "$UCLOSED" 3>&- <<-'END' &
		import socket, sys, time
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.settimeout(0.3)
		s.connect((sys.argv[1], int(sys.argv[2])))
		for i in range(30):
		    s.send(b"who")
		    try:
		        ip, port = s.recv(100).decode().split()
		        sys.exit((ip, int(port)) != s.getsockname())
		    except OSError:
		        time.sleep(0.1)
		sys.exit(1)
	END
	local pid=$!
	sleep 1
	source_server udp 0.0.0.0 7009
	wait $pid
}

# --- modes

@test "source-ip: list-ports and stats say what is in effect" {
	assert_equal "$(api_body /v1/ports | json 'd[0]["sourceIP"]')" \
		"{'mode': 'prefer', 'ipv4': 'full', 'ipv6': 'full'}"
	assert_match "$(ctl list-ports --json)" '"sourceIP":\{"mode":"prefer","ipv4":"full","ipv6":"full"\}'
	assert_match "$(ctl stats)" 'DOWNGRADED .*SOURCE-IP'
	assert_match "$(ctl info)" 'Source IP: tcp4=full'
}

@test "source-ip: per port off hides the client, require shows it" {
	local off require
	off=$(api POST /v1/ports \
		'{"proto":"tcp","parentPort":'"$OFF"',"childPort":7001,"sourceIP":"off"}' | head -n 1)
	require=$(api POST /v1/ports \
		'{"proto":"tcp","parentPort":'"$REQUIRE"',"childPort":7001,"sourceIP":"require"}' | head -n 1)
	assert_equal "$(ask A tcp "$HOST4" "$OFF")" 'seen 127.0.0.1'
	assert_equal "$(ask A tcp "$HOST4" "$REQUIRE")" same
	assert_equal "$(json 'd["sourceIP"]["mode"]' <<<"$require")" require
	assert_equal "$(json '"sourceIP" in d' <<<"$off")" False
	ctl remove-ports "$(json 'd["id"]' <<<"$off")" "$(json 'd["id"]' <<<"$require")"
}

@test "source-ip: a client that cannot be shown is never shown as loopback, and counted" {
	local id
	# An IPv6 client of a port that leads to an IPv4 address.
	id=$(port_stat 4 'p["id"]')
	assert_match "$(ask A tcp "$HOST6" "$DOCKER")" '^seen fd00::'
	assert_equal "$(downgraded "$id")" 1
	assert_equal "$(port_stat "$id" 'p["downgrades"]')" "{'family': 1}"
}

@test "source-ip: a client with a link-local address is served, and counted" {
	local before address
	before=$(downgraded 1)
	address=$(ip -6 -br address show dev "${REMOTE}A" scope link | awk '{ print $3 }')
	assert_match "$(remote A python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1] + "%eth0", sys.argv[2]), 20)
print(s.recv(100).decode())' "${address%/*}" "$ANY")" '^fd00::'
	assert_equal "$(downgraded 1)" $((before + 1))
}

@test "source-ip: require refuses a client that cannot be shown" {
	local answer
	answer=$(api POST /v1/ports '{"proto":"tcp","parentPort":'"$REQUIRE"',"childPort":7001,
		"childIP":"127.0.0.1","sourceIP":"require"}' | head -n 1)
	assert_match "$(ask A tcp "$HOST6" "$REQUIRE")" '^error .*reset'
	assert_equal "$(ask A tcp "$HOST4" "$REQUIRE")" same
	ctl remove-ports "$(json 'd["id"]' <<<"$answer")"
}

@test "source-ip: the API refuses what it does not know" {
	assert_match "$(api POST /v1/ports '{"proto":"tcp","parentPort":'"$OFF"',"childPort":1,
		"sourceIP":"always"}')" 'off, prefer, require'
	assert_match "$(api POST /v1/ports '{"proto":"udp","parentPort":'"$OFF"',"childPort":1,
		"proxyProtocol":"v2"}')" 'TCP ports only'
}

# --- behind NAT in the namespace: BTCP, BUDP and, with a loopback child address, BLOOP

@test "source-ip: containers behind a bridge with DNAT see the client over TCP" {
	assert_equal "$(ask A tcp "$HOST4" "$BTCP" --bytes 100000)" same
	assert_equal "$(ask A tcp "$HOST6" "$BTCP" --bytes 100000)" same
	# A client port that is used again at once, after a reset in the middle.
	assert_equal "$(ask A tcp "$HOST4" "$BTCP" --from 5506 --reset --times 4 |
		grep -cE '^(same|address)$')" 4
}

@test "source-ip: containers behind a bridge with DNAT see the client over UDP" {
	assert_equal "$(ask A udp "$HOST4" "$BUDP" --times 3)" $'same\nsame\nsame'
	assert_equal "$(ask A udp "$HOST6" "$BUDP" --times 3)" $'same\nsame\nsame'
	assert_equal "$(ask B udp "$HOST6B" "$BUDP" --clients 20)" '20 of 20 same'
	assert_equal "$(ask A udp "$HOST4" "$BLOOP")" same
}

@test "source-ip: loopback clients reach containers, although nothing listens there" {
	assert_equal "$(python3 "$RK_TOP/tests/tools/source-client.py" tcp 127.0.0.1 "$BTCP")" \
		'seen 10.0.2.100'
}

@test "source-ip: a client with an address of the bridge's network is served at once, and counted" {
	assert_equal "$(ask A tcp "$HOST4" "$BTCP" --address "$INSIDE4" --bytes 100000 --timed | soon)" \
		'seen 10.0.2.100'
	assert_match "$(ask A tcp "$HOST6" "$BTCP" --address "$INSIDE6" --timed | soon)" '^seen fd00:[0-9a-f:]*$'
	assert_equal "$(ask A udp "$HOST4" "$BUDP" --address "$INSIDE4" --times 8 --timed | soon |
		sort | uniq -c | xargs)" '8 seen 10.0.2.100'
	assert_equal "$(port_stat "$BTCP_ID" 'p["downgrades"]')" "{'inside': 2}"
	assert_match "$(ctl stats)" 'inside=2'
	# Others go on being shown.
	assert_equal "$(ask A tcp "$HOST4" "$BTCP")" same
}

# --- the rules in the namespace

@test "source-ip: what others do to the packet filter leaves ours alone" {
	in_ns nft flush ruleset
	assert_match "$(in_ns nft list tables)" 'inet rk-engine'
	assert_equal "$(ask A udp "$HOST4" "$UANY")" same
}

@test "source-ip: the helper that was killed is replaced and its sockets show clients" {
	local helper
	helper=$(descendant "$ENGINE_PID" nsctl-helper)
	kill -KILL "$helper"
	another_helper() {
		local now
		now=$(descendant "$ENGINE_PID" nsctl-helper)
		[ -n "$now" ] && [ "$now" != "$helper" ]
	}
	wait_until 10 another_helper
	# More than what the pools still hold.
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --times 300 | sort | uniq -c | xargs)" '300 same'
}
