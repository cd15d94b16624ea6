# udp.bats: UDP through published ports: sizes, addresses, flows and their end.

load lib

IDLE_S=3

setup_file() {
	file_start
	export ECHO ECHO46 ECHO64 ONLY PUSH LOOP6
	ECHO=$(free_port) ECHO46=$(free_port) ECHO64=$(free_port) ONLY=$(free_port) PUSH=$(free_port)
	LOOP6=$(free_port)
	write_config "$FILE_DIR/udp.ini" \
		":$ECHO:7001/udp" "127.0.0.1:$ECHO46:[::1]:7001/udp" "[::1]:$ECHO64:127.0.0.1:7001/udp" \
		"0.0.0.0:$ONLY:7002/udp4" "[::]:$ONLY:7003/udp6" "127.0.0.1:$PUSH:7004/udp" \
		"[::1]:$LOOP6:7001/udp" <<-END
		[engine]
		udp-idle-timeout = ${IDLE_S}s
	END
	engine_start "$FILE_DIR/udp.ini"
	server_start echo4 "$RK_TOOLS/udp-server" 127.0.0.1 7001
	server_start echo6 "$RK_TOOLS/udp-server" ::1 7001
	server_start only4 "$RK_TOOLS/udp-server" 127.0.0.1 7002 four
	server_start only6 "$RK_TOOLS/udp-server" ::1 7003 six
	server_start push "$RK_TOOLS/udp-server" 127.0.0.1 7004 --push 7
}

@test "udp: datagrams of 0 to 65507 bytes are echoed over IPv4" {
	run -0 tool udp-client echo 127.0.0.1 "$ECHO" 0 1 1472 1473 9000 65507 0 65507
	assert_equal "$(printf '%s\n' "${lines[@]}" | grep -c ' ok from 127.0.0.1$')" 8
}

@test "udp: datagrams of 0 to 65507 bytes are echoed over IPv6" {
	run -0 tool udp-client echo ::1 "$LOOP6" 0 1 1452 9000 65507
	assert_equal "$(printf '%s\n' "${lines[@]}" | grep -c ' ok from ::1$')" 5
}

@test "udp: an IPv4 listener leads to an IPv6 child address" {
	assert_equal "$(tool udp-client echo 127.0.0.1 "$ECHO46" 1000)" '1000 ok from 127.0.0.1'
}

@test "udp: an IPv6 listener leads to an IPv4 child address" {
	assert_equal "$(tool udp-client echo ::1 "$ECHO64" 1000)" '1000 ok from ::1'
}

@test "udp: on all addresses the answer comes from the address that was asked" {
	assert_equal "$(tool udp-client echo 127.0.0.1 "$ECHO" 10)" '10 ok from 127.0.0.1'
	assert_equal "$(tool udp-client echo 127.0.0.2 "$ECHO" 10)" '10 ok from 127.0.0.2'
	assert_equal "$(tool udp-client echo 127.9.8.7 "$ECHO" 10)" '10 ok from 127.9.8.7'
	assert_equal "$(tool udp-client echo ::1 "$ECHO" 10)" '10 ok from ::1'
}

@test "udp4 and udp6 share a port number and lead to different services" {
	assert_equal "$(tool udp-client listen 127.0.0.1 "$ONLY" 1)" four
	assert_equal "$(tool udp-client listen ::1 "$ONLY" 1)" six
}

@test "udp: the first datagram of each of 300 new clients is echoed" {
	assert_equal "$(tool udp-client many 127.0.0.1 "$ECHO" 300)" 'ok 300 of 300'
}

@test "udp: flows of clients that went silent are freed" {
	open_flows() { api_body /v1/stats | json 'sum(p["connections"]["open"] for p in d)'; }
	flows_are_gone() { [ "$(open_flows)" -eq 0 ]; }
	local before
	wait_until "$((IDLE_S + 5))" flows_are_gone
	before=$(fd_count "$ENGINE_PID")
	tool udp-client many 127.0.0.1 "$ECHO" 600
	assert_equal "$(open_flows)" 600
	wait_until "$((IDLE_S + 5))" flows_are_gone
	# The pools of ready sockets are anything between half full and full.
	fds_are_back() { [ "$(fd_count "$ENGINE_PID")" -le $((before + 300)) ]; }
	wait_until 10 fds_are_back
}

@test "udp: datagrams from the child alone keep a flow alive" {
	# One a second, seven in all: longer than the idle timeout of the file.
	run -0 tool udp-client listen 127.0.0.1 "$PUSH" 7
	assert_equal "${lines[6]}" 'push 6'
}

@test "udp: a dead child port does not stop the flow for good" {
	local port=7055
	run -0 ctl add-ports "127.0.0.1:$(free_port):$port/udp"
	local spec_port
	spec_port=$(api_body /v1/ports | json "[p['spec']['parentPort'] for p in d if p['spec']['childPort'] == $port][0]")
	assert_equal "$(tool udp-client echo 127.0.0.1 "$spec_port" 5)" '5 lost'
	server_start late "$RK_TOOLS/udp-server" 127.0.0.1 "$port"
	assert_equal "$(tool udp-client echo 127.0.0.1 "$spec_port" 5)" '5 ok from 127.0.0.1'
}

# What sockets of the host and of the namespace had no room for, datagrams: their readers did not get
# a processor in time, iperf3's among them.
without_room() {
	{ cat /proc/net/snmp; in_ns cat /proc/net/snmp; } | awk '$1 == "Udp:" {
		if ($2 == "InDatagrams") { for (i = 1; i <= NF; i++) if ($i == "RcvbufErrors") column = i }
		else sum += $column
	} END { print sum }'
}

@test "udp: iperf3 at 50 Mbit/s loses less than one percent" {
	local port before
	port=$(free_port)
	ctl add-ports "127.0.0.1:$port:7056/tcp" "127.0.0.1:$port:7056/udp"
	in_ns iperf3 --server --one-off --bind 127.0.0.1 --port 7056 >"$DIR/server.log" 2>&1 3>&- &
	ns_listens() { [ -n "$(in_ns ss -Htln 'sport = :7056')" ]; }
	wait_until 10 ns_listens
	before=$(without_room)
	timeout 20 iperf3 --client 127.0.0.1 --port "$port" --udp --bitrate 50M --length 1400 --time 2 --json \
		>"$DIR/udp.json"
	before=$(($(without_room) - before))
	json "'lost %d of %d, $before for lack of room' % (d['end']['sum']['lost_packets'], d['end']['sum']['packets'])" \
		<"$DIR/udp.json"
	assert_equal "$(json "d['end']['sum']['lost_packets'] - $before < d['end']['sum']['packets'] / 100" \
		<"$DIR/udp.json")" True
}

@test "udp: the engine runs without a sanitizer's report" {
	refute_match "$(cat "$ENGINE_LOG")" 'Sanitizer|runtime error:'
	kill -0 "$ENGINE_PID"
}
