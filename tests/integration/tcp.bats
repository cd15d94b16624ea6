# tcp.bats: TCP through published ports: data, ends of streams, refusals, load.

load lib

setup_file() {
	file_start
	export ECHO ECHO46 ECHO64 ONLY DIGEST DIGEST6 GREET SOURCE RESET OBSERVE SLOW REFUSED FILES FILES6
	ECHO=$(free_port) ECHO46=$(free_port) ECHO64=$(free_port) ONLY=$(free_port)
	DIGEST=$(free_port) DIGEST6=$(free_port) GREET=$(free_port) SOURCE=$(free_port)
	RESET=$(free_port) OBSERVE=$(free_port) SLOW=$(free_port) REFUSED=$(free_port)
	FILES=$(free_port) FILES6=$(free_port)
	write_config "$FILE_DIR/tcp.ini" \
		":$ECHO:7001/tcp" "127.0.0.1:$ECHO46:[::1]:7001/tcp" "[::1]:$ECHO64:127.0.0.1:7001/tcp" \
		"0.0.0.0:$ONLY:7008/tcp4" "[::]:$ONLY:7009/tcp6" \
		"127.0.0.1:$DIGEST:7002/tcp" "[::1]:$DIGEST6:7002/tcp" \
		"127.0.0.1:$GREET:7003/tcp" "127.0.0.1:$SOURCE:7004/tcp" "127.0.0.1:$RESET:7005/tcp" \
		"127.0.0.1:$OBSERVE:7006/tcp" "127.0.0.1:$SLOW:7007/tcp" "127.0.0.1:$REFUSED:7999/tcp" \
		"127.0.0.1:$FILES:7010/tcp" "[::1]:$FILES6:7010/tcp" </dev/null
	engine_start "$FILE_DIR/tcp.ini"
	server_start echo4 "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start echo6 "$RK_TOOLS/tcp-server" echo ::1 7001
	server_start only4 "$RK_TOOLS/tcp-server" name 127.0.0.1 7008 four
	server_start only6 "$RK_TOOLS/tcp-server" name ::1 7009 six
	server_start digest4 "$RK_TOOLS/tcp-server" digest 127.0.0.1 7002
	server_start digest6 "$RK_TOOLS/tcp-server" digest ::1 7002
	server_start greet "$RK_TOOLS/tcp-server" greet 127.0.0.1 7003
	server_start source "$RK_TOOLS/tcp-server" source 127.0.0.1 7004 50000017
	server_start reset "$RK_TOOLS/tcp-server" reset 127.0.0.1 7005 1000
	server_start observe "$RK_TOOLS/tcp-server" observe 127.0.0.1 7006
	server_start slow "$RK_TOOLS/tcp-server" slow 127.0.0.1 7007 5
	head -c 200000000 /dev/urandom >"$FILE_DIR/original"
	chmod 644 "$FILE_DIR/original"
	export ORIGINAL_SUM
	ORIGINAL_SUM=$(sha256sum <"$FILE_DIR/original")
}

# --- families --------------------------------------------------------------------------------

@test "tcp: a port on all addresses answers on IPv4 and IPv6" {
	assert_match "$(tool tcp-many 127.0.0.1 "$ECHO" 1 3)" '^ok 1 '
	assert_match "$(tool tcp-many 127.0.0.2 "$ECHO" 1 3)" '^ok 1 '
	assert_match "$(tool tcp-many ::1 "$ECHO" 1 3)" '^ok 1 '
}

@test "tcp: an IPv4 listener leads to an IPv6 child address" {
	assert_match "$(tool tcp-many 127.0.0.1 "$ECHO46" 3 3)" '^ok 3 '
}

@test "tcp: an IPv6 listener leads to an IPv4 child address" {
	assert_match "$(tool tcp-many ::1 "$ECHO64" 3 3)" '^ok 3 '
}

@test "tcp4 and tcp6 share a port number and lead to different services" {
	assert_equal "$(timeout 10 socat - "TCP4:127.0.0.1:$ONLY" </dev/null)" four
	assert_equal "$(timeout 10 socat - "TCP6:[::1]:$ONLY" </dev/null)" six
}

@test "tcp: a port on 127.0.0.1 listens on nothing else" {
	run tool tcp-many 127.0.0.2 "$DIGEST" 1 1
	assert_match "$output" 'Connection refused'
	run tool tcp-many ::1 "$DIGEST" 1 1
	assert_match "$output" 'Connection refused'
}

# --- data ------------------------------------------------------------------------------------

# transfer_in FAMILY LISTEN CLIENT: 200 MB from the host to the namespace, compared by hash.
transfer_in() {
	in_ns sh -c "socat -u $1 STDOUT | sha256sum" >"$DIR/sum" &
	local receiver=$!
	wait_until 10 ns_listens 7010
	timeout "$LIMIT_S" socat -u "OPEN:$FILE_DIR/original" "$2"
	wait "$receiver"
	assert_equal "$(cat "$DIR/sum")" "$ORIGINAL_SUM"
}

# transfer_out: the same from the namespace to the host.
transfer_out() {
	in_ns socat -u "OPEN:$FILE_DIR/original" "$1" &
	local sender=$!
	wait_until 10 ns_listens 7010
	assert_equal "$(timeout "$LIMIT_S" socat -u "$2" STDOUT | sha256sum)" "$ORIGINAL_SUM"
	wait "$sender"
}

ns_listens() {
	[ -n "$(in_ns ss -Htln "sport = :$1")" ]
}

@test "tcp: 200 MB host to child over IPv4 arrive unchanged" {
	transfer_in TCP4-LISTEN:7010,bind=127.0.0.1,reuseaddr "TCP4:127.0.0.1:$FILES"
}

@test "tcp: 200 MB child to host over IPv4 arrive unchanged" {
	transfer_out TCP4-LISTEN:7010,bind=127.0.0.1,reuseaddr "TCP4:127.0.0.1:$FILES"
}

@test "tcp: 200 MB host to child over IPv6 arrive unchanged" {
	transfer_in "TCP6-LISTEN:7010,bind=[::1],reuseaddr" "TCP6:[::1]:$FILES6"
}

@test "tcp: 200 MB child to host over IPv6 arrive unchanged" {
	transfer_out "TCP6-LISTEN:7010,bind=[::1],reuseaddr" "TCP6:[::1]:$FILES6"
}

@test "tcp: curl gets a file from a web server in the namespace" {
	in_ns python3 -u -m http.server --bind 127.0.0.1 --directory "$RK_TOP/config" 7010 \
		>"$DIR/http.log" 2>&1 &
	wait_until 10 ns_listens 7010
	curl -sS --max-time 10 -o "$DIR/got" "http://127.0.0.1:$FILES/rootless.ini"
	cmp "$DIR/got" "$RK_TOP/config/rootless.ini"
}

# On a busy machine iperf3 now and then ends with status 0 and without its totals: then again, and what
# it said instead is shown.
iperf_moves() { # OPTION...
	local try
	for try in 1 2 3; do
		timeout 20 iperf3 --client 127.0.0.1 --port "$FILES" --time 1 --json "$@" >"$DIR/iperf.json"
		! grep -q '"sum_received"' "$DIR/iperf.json" || break
		tail -n 30 "$DIR/iperf.json"
	done
	assert_equal "$(json 'd["end"]["sum_received"]["bytes"] > 10**7' <"$DIR/iperf.json")" True
}

@test "tcp: iperf3 moves data in both directions" {
	in_ns iperf3 --server --bind 127.0.0.1 --port 7010 >"$DIR/iperf3.log" 2>&1 &
	wait_until 10 ns_listens 7010
	iperf_moves
	iperf_moves --reverse
	iperf_moves --parallel 8
}

# --- ends of streams -------------------------------------------------------------------------

@test "tcp: half-close by the client: the answer still comes back" {
	run -0 tool tcp-client half-close 127.0.0.1 "$DIGEST" 3000001
	assert_equal "${lines[0]}" "sent ${lines[1]}"
}

@test "tcp: half-close by the client over IPv6" {
	run -0 tool tcp-client half-close ::1 "$DIGEST6" 70001
	assert_equal "${lines[0]}" "sent ${lines[1]}"
}

@test "tcp: half-close by the client before any data" {
	run -0 tool tcp-client half-close 127.0.0.1 "$DIGEST" 0
	assert_equal "${lines[0]}" "sent ${lines[1]}"
}

@test "tcp: half-close by the server: the client can still send" {
	server_mark greet
	run -0 tool tcp-client greeted 127.0.0.1 "$GREET" 3000001
	assert_match "${lines[0]}" '^eof 6 '
	wait_until 5 server_said greet "^eof ${lines[1]#sent }\$"
}

@test "tcp: the FIN comes only after the last byte" {
	local round
	for round in 1 2 3; do
		run -0 tool tcp-client receive 127.0.0.1 "$SOURCE"
		assert_match "$output" '^eof 50000017 '
	done
}

@test "tcp: a reset by the child reaches the client as a reset" {
	run -0 tool tcp-client observe 127.0.0.1 "$RESET" 1000
	assert_match "$output" '^reset 0 '
}

@test "tcp: a reset by the client reaches the child as a reset" {
	server_mark observe
	tool tcp-client reset 127.0.0.1 "$OBSERVE" 5000
	wait_until 5 server_said observe '^(eof|reset) 5000 '
	assert_match "$(server_output observe)" '^reset 5000 '
}

@test "tcp: an orderly close by the client is not a reset for the child" {
	server_mark observe
	head -c 5000 /dev/zero | timeout 10 socat -u - "TCP4:127.0.0.1:$OBSERVE"
	wait_until 5 server_said observe '^(eof|reset) 5000 '
	assert_match "$(server_output observe)" '^eof 5000 '
}

@test "tcp: a port that the child refuses is reset at once" {
	run -0 tool tcp-client observe 127.0.0.1 "$REFUSED" 0
	assert_match "$output" '^reset 0 ms=([0-9]|[0-9][0-9]|1[0-9][0-9])$'
}

# --- load ------------------------------------------------------------------------------------

@test "tcp: 1000 connections at the same time, each with its own data" {
	run -0 tool tcp-many 127.0.0.1 "$ECHO" 1000 6
	assert_match "$output" '^ok 1000 18006000$'
}

@test "tcp: a reader that does not read stops the sender, and the engine's memory stays small" {
	local before after client fills=()
	before=$(rss_kib "$ENGINE_PID")
	for client in 1 2 3 4; do
		tool tcp-client fill 127.0.0.1 "$SLOW" >"$DIR/fill$client" 2>&1 3>&- &
		fills+=($!)
	done
	sleep 3
	after=$(rss_kib "$ENGINE_PID")
	wait "${fills[@]}"
	for client in 1 2 3 4; do
		mapfile -t lines <"$DIR/fill$client"
		assert_match "${lines[0]}" '^filled [0-9]+$'
		echo "${lines[0]}"
		# Kernel buffers of two connections (net.ipv4.tcp_rmem, tcp_wmem) and what one flow may
		# hold.
		[ "${lines[0]#filled }" -lt 100000000 ]
		assert_equal "${lines[1]}" "sent ${lines[2]}"
	done
	echo "resident before $before KiB, with four stopped flows $after KiB"
	[ $((after - before)) -lt 32768 ]
}

@test "tcp: no descriptor is left after 1000 connections" {
	local before
	tool tcp-many 127.0.0.1 "$ECHO" 50 1
	sleep 1
	before=$(fd_count "$ENGINE_PID")
	tool tcp-many 127.0.0.1 "$ECHO" 1000 1
	# The pools of ready sockets are anything between half full and full.
	fds_are_back() { [ "$(fd_count "$ENGINE_PID")" -le $((before + 300)) ]; }
	wait_until 10 fds_are_back
	assert_equal "$(api_body /v1/stats | json 'sum(p["connections"]["open"] for p in d)')" 0
}

@test "tcp: the engine runs without a sanitizer's report" {
	refute_match "$(cat "$ENGINE_LOG")" 'Sanitizer|runtime error:'
	kill -0 "$ENGINE_PID"
}
