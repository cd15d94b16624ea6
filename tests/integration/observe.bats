# observe.bats: what the engine says about itself is true: states, last errors, counters, /metrics,
# flows, top. Every state is brought about for real.

load lib
load source-ip

setup_file() {
	file_start
	[ "$(id -u)" -ne 0 ] || remotes_start
	export ECHO DEAD UDP UDPDEAD ANY
	ECHO=$(free_port) DEAD=$(free_port) UDP=$(free_port) UDPDEAD=$(free_port) ANY=$(free_port)
	write_config "$FILE_DIR/observe.ini" "127.0.0.1:$ECHO:7201/tcp" "127.0.0.1:$DEAD:7209/tcp" \
		"127.0.0.1:$UDP:7202/udp" "127.0.0.1:$UDPDEAD:7208/udp" ":$ANY:127.0.0.1:7201/tcp"
	engine_start "$FILE_DIR/observe.ini"
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7201
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7202
}

teardown_file() {
	engine_stop || true
	[ "$(id -u)" -ne 0 ] || remotes_end
	file_end
}

# Those of source-ip.bash skip without root: here one test alone has a client on another machine.
setup() {
	test_start
}

teardown() {
	test_end
}

# port_says PARENT-PORT EXPRESSION: a Python expression over one port's entry `p` of /v1/stats.
port_says() {
	api_body /v1/stats | json "[($2) for p in d if p['spec']['parentPort'] == $1][0]"
}

is_state() { # PARENT-PORT STATE
	[ "$(port_says "$1" 'p["state"]')" = "$2" ]
}

# metric PARENT-PORT NAME [LABEL]: the sample of one port.
metric() {
	api_body /metrics | grep -E "^rk_engine_port_$2\{.*parent=\"[^\"]*:$1\"" | grep -F -- "${3:-}" | cut -d ' ' -f 2
}

@test "observe: figures are those of known traffic" {
	run -0 tool tcp-many 127.0.0.1 "$ECHO" 5 2
	assert_equal "$(tool udp-client echo 127.0.0.1 "$UDP" 10 100 1000)" \
		$'10 ok from 127.0.0.1\n100 ok from 127.0.0.1\n1000 ok from 127.0.0.1'
	all_closed() { [ "$(port_says "$ECHO" 'p["connections"]["open"]')" = 0 ]; }
	wait_until 10 all_closed
	# 5 connections, 2 blocks of 3001 bytes each.
	assert_equal "$(port_says "$ECHO" 'p["connections"]["total"], p["bytes"]["in"], p["bytes"]["out"]')" '(5, 30010, 30010)'
	assert_equal "$(metric "$ECHO" bytes_total 'direction="in"')" 30010
	assert_equal "$(metric "$ECHO" connections_total)" 5
	# A datagram is counted once the kernel has said that it took it: its reader may be first.
	datagrams_counted() {
		[ "$(port_says "$UDP" 'p["datagrams"]["in"], p["datagrams"]["out"], p["bytes"]["in"], p["bytes"]["out"]')" = \
			'(3, 3, 1110, 1110)' ]
	}
	wait_until 10 datagrams_counted
	assert_equal "$(metric "$UDP" datagrams_total 'direction="out"')" 3
	assert_equal "$(port_says "$ECHO" 'p["state"], "lastError" in p')" "('listening', False)"
}

@test "observe: a service that is down makes its port failed, with error, phase, client and time; back up, listening" {
	for _ in 1 2 3; do
		! tool tcp-client observe 127.0.0.1 "$DEAD" 10 >"$DIR/out" 2>&1 || grep -q '^reset' "$DIR/out"
	done
	wait_until 10 is_state "$DEAD" failed
	assert_equal "$(port_says "$DEAD" 'p["connections"]["refused"]')" 3
	assert_match "$(port_says "$DEAD" 'p["stateReason"]')" 'no service: Connection refused'
	assert_match "$(port_says "$DEAD" 'p["lastError"]')" \
		"'Connection refused', 'errno': 111, 'phase': 'connect to the child', 'client': '127.0.0.1:[0-9]+', 'time': '20"
	assert_equal "$(metric "$DEAD" connections_failed_total 'reason="refused"')" 3
	assert_equal "$(metric "$DEAD" state 'state="failed"')" 1
	assert_match "$(ctl stats)" 'failed .*connect to the child: Connection refused, client 127.0.0.1:[0-9]+, [0-9]+ s ago'
	assert_equal "$(api_body /v1/ports | json "[p['state'] for p in d if p['spec']['parentPort'] == $DEAD][0]")" failed
	wait_until 10 grep -qE "warning: port [0-9]+ \(127.0.0.1:$DEAD.*\) failed: .*Connection refused" "$ENGINE_LOG"
	server_start late "$RK_TOOLS/tcp-server" echo 127.0.0.1 7209
	assert_match "$(tool tcp-many 127.0.0.1 "$DEAD" 1 1)" '^ok 1 '
	wait_until 10 is_state "$DEAD" listening
	wait_until 10 grep -qE "info: port [0-9]+ \(127.0.0.1:$DEAD.*\) is listening again" "$ENGINE_LOG"
}

@test "observe: datagrams to nobody are refusals of the service, not silence" {
	tool udp-client echo 127.0.0.1 "$UDPDEAD" 5 || true
	wait_until 10 is_state "$UDPDEAD" failed
	[ "$(port_says "$UDPDEAD" 'p["connections"]["refused"]')" -ge 1 ]
	assert_equal "$(port_says "$UDPDEAD" 'p["datagrams"]["in"]')" "$(port_says "$UDPDEAD" 'p["connections"]["refused"]')"
}

@test "observe: out of descriptors a port is paused and says so; with descriptors it listens again" {
	local hard holder watcher tcp
	tcp=$(free_port)
	# With so few flows clients are accepted one by one; an accept that takes many keeps the limit
	# that was in force when it began (Linux 6.1).
	write_config "$DIR/few.ini" "127.0.0.1:$tcp:7001/tcp" <<-END
		[engine]
		workers = 1
		max-flows = 16
	END
	engine_start "$DIR/few.ini"
	FILE_DIR=$DIR server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	soft_limit() { as_user prlimit --pid "$ENGINE_PID" --nofile="$1:"; }
	hard=$(as_user prlimit --pid "$ENGINE_PID" --nofile --output HARD --noheadings | tr -d ' ')
	# A connection to the API that is there already: the engine cannot accept another one then.
	cat >"$DIR/paused.py" <<-'END'
		import http.client, json, socket, sys, time
		class Connection(http.client.HTTPConnection):
		    def connect(self):
		        self.sock = socket.socket(socket.AF_UNIX)
		        self.sock.connect(sys.argv[1])
		api = Connection("rk")
		for _ in range(600):
		    api.request("GET", "/v1/stats")
		    for p in json.load(api.getresponse()):
		        if p["state"] == "paused" and p["spec"]["parentPort"] == int(sys.argv[2]):
		            print("paused:", p["stateReason"], "phase:", p["lastError"]["phase"])
		            sys.exit()
		    print("ready", flush=True)
		    time.sleep(0.05)
	END
	as_user python3 "$DIR/paused.py" "$STATE/api.sock" "$tcp" >"$DIR/paused" 3>&- &
	watcher=$!
	wait_until 10 grep -q ready "$DIR/paused"
	# Numbers that are in use from the start to the end; polls have fewer descriptors than that.
	soft_limit 10
	tool tcp-many 127.0.0.1 "$tcp" 2 1 >"$DIR/many" 2>&1 3>&- &
	holder=$!
	wait "$watcher"
	assert_match "$(cat "$DIR/paused")" 'paused: Too many open files; raise the limit of open files.* phase: accept'
	wait_until 10 grep -qE "warning: port [0-9]+ \(127.0.0.1:$tcp.*\) paused: Too many open files" "$ENGINE_LOG"
	soft_limit "$hard"
	wait "$holder"
	assert_match "$(cat "$DIR/many")" '^ok 2 '
	wait_until 10 is_state "$tcp" listening
	[ "$(port_says "$tcp" 'p["listener"]["pauses"]')" -gt 0 ]
	wait_until 10 grep -qE "info: port [0-9]+ \(127.0.0.1:$tcp.*\) is listening again" "$ENGINE_LOG"
	# Paused twenty times a second, said once.
	[ "$(grep -cE "port [0-9]+ \(127.0.0.1:$tcp.*\) paused" "$ENGINE_LOG")" -le 3 ]
	engine_stop
}

# An engine of one worker with 16 flows.
few_flows_start() { # SPEC...
	write_config "$DIR/few.ini" "$@" <<-END
		[engine]
		workers = 1
		max-flows = 16
	END
	engine_start "$DIR/few.ini"
}

@test "observe: without a free flow a port is paused, and datagrams of new clients are counted" {
	local tcp udp holder
	tcp=$(free_port) udp=$(free_port)
	few_flows_start "127.0.0.1:$tcp:7001/tcp" "127.0.0.1:$udp:7002/udp"
	FILE_DIR=$DIR server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	FILE_DIR=$DIR server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7002
	tool udp-client many 127.0.0.1 "$udp" 20 || true
	assert_equal "$(port_says "$udp" 'p["connections"]["total"], p["datagrams"]["in"], p["drops"]["room"]')" '(20, 16, 4)'
	assert_equal "$(metric "$udp" datagrams_dropped_total 'reason="flow"')" 4
	assert_equal "$(api_body /metrics | grep -E '^rk_engine_worker_flows(_limit)?\{' | cut -d ' ' -f 2 | paste -sd ' ')" '0 16 16'
	tool tcp-many 127.0.0.1 "$tcp" 2 1 >/dev/null 2>&1 3>&- &
	holder=$!
	wait_until 10 is_state "$tcp" paused
	assert_match "$(port_says "$tcp" 'p["stateReason"]')" 'all flows are in use; raise \[engine\] max-flows'
	[ "$(metric "$tcp" waits_total 'for="flow"')" -gt 0 ]
	kill "$holder" && wait "$holder" || true
	engine_stop
}

@test "observe: when one port has taken every flow, clients of another wait, and nobody is reset" {
	local busy idle holder waiters
	busy=$(free_port) idle=$(free_port)
	few_flows_start "127.0.0.1:$busy:7001/tcp" "127.0.0.1:$idle:7001/tcp"
	FILE_DIR=$DIR server_start echo "$RK_TOOLS/tcp-load-server" echo 127.0.0.1 7001
	RK_TEST_ID=$MARK "$RK_TOOLS/tcp-load" hold 127.0.0.1 "$busy" 16 1 >/dev/null 2>&1 3>&- &
	holder=$!
	all_taken() { [ "$(port_says "$busy" 'p["connections"]["open"]')" = 16 ]; }
	wait_until 10 all_taken
	tool tcp-load burst 127.0.0.1 "$idle" 5 >"$DIR/waiters" 2>&1 3>&- &
	waiters=$!
	wait_until 10 is_state "$idle" paused
	# One is parked, the others are in the backlog.
	four_wait() { [ "$(port_says "$idle" 'p["listener"]["backlog"], p["connections"]["total"]')" = '(4, 0)' ]; }
	wait_until 10 four_wait
	kill "$holder"
	wait "$waiters"
	assert_match "$(cat "$DIR/waiters")" '^ok 5$'
	assert_equal "$(port_says "$idle" 'p["connections"]["failed"]')" 0
	engine_stop
}

@test "observe: a port that cannot show its client is downgraded until the next that it can show" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make clients on other machines"
	assert_match "$(tool tcp-many 127.0.0.1 "$ANY" 1 1)" '^ok'
	is_state "$ANY" listening
	# The service has no IPv6.
	remote A timeout 10 "$RK_TOOLS/tcp-many" "$HOST6" "$ANY" 1 1
	wait_until 10 is_state "$ANY" downgraded
	assert_equal "$(port_says "$ANY" 'p["connections"]["downgraded"], p["downgrades"]')" "(1, {'family': 1})"
	assert_equal "$(metric "$ANY" state 'state="downgraded"')" 1
	assert_equal "$(metric "$ANY" connections_downgraded_total 'reason="family"')" 1
	wait_until 10 grep -qE "warning: port [0-9]+ .*$ANY.* downgraded: .*not shown" "$ENGINE_LOG"
	remote A timeout 10 "$RK_TOOLS/tcp-many" "$HOST4" "$ANY" 1 1
	wait_until 10 is_state "$ANY" listening
}

@test "observe: resets are counted by who sent them" {
	local before
	before=$(port_says "$ECHO" 'p["connections"]["resetByClient"]')
	run -0 tool tcp-client reset 127.0.0.1 "$ECHO" 1000
	counted() { [ "$(port_says "$ECHO" 'p["connections"]["resetByClient"]')" = $((before + 1)) ]; }
	wait_until 10 counted
	assert_match "$(port_says "$ECHO" 'p["lastError"]["phase"], "client" in p["lastError"]')" "the client', True\)"
}

@test "observe: promtool has nothing to say about /metrics" {
	# The pools may still be filling up after the tests before.
	descriptors_agree() {
		api_body /metrics >"$DIR/metrics"
		awk -v n="$(fd_count "$ENGINE_PID")" '$1 == "process_open_fds" { bad = ($2 - n) ^ 2 >= 100; found = 1 }
			END { exit bad || !found }' "$DIR/metrics"
	}
	wait_until 10 descriptors_agree
	run -0 promtool check metrics <"$DIR/metrics"
	assert_equal "$output" ''
	assert_match "$(as_user curl -sSI -X GET --unix-socket "$STATE/api.sock" http://rk/metrics)" \
		'Content-Type: text/plain; version=0.0.4'
	assert_match "$(grep ^rk_engine_build_info "$DIR/metrics")" 'io="(io_uring|epoll)"'
}

@test "observe: flows are listed with client, target, bytes and idle time" {
	local id client
	exec 4<>"/dev/tcp/127.0.0.1/$ECHO"
	printf hello >&4
	read -r -N 5 -t 10 -u 4 client
	id=$(port_says "$ECHO" 'p["id"]')
	client=$(ss -Htn "dport = :$ECHO and src 127.0.0.1" | awk '$1 == "ESTAB" { print $4; exit }')
	idle_for_a_second() { [ "$(api_body "/v1/flows?port=$id" | json 'd["flows"][0]["idleMs"] >= 1000')" = True ]; }
	wait_until 10 idle_for_a_second
	assert_equal "$(api_body "/v1/flows?port=$id" | json 'len(d["flows"]), d["truncated"]')" '(1, False)'
	assert_equal "$(api_body "/v1/flows?port=$id" | json '[(f["port"], f["proto"], f["client"], f["target"], f["state"], f["bytes"]) for f in d["flows"]][0]')" \
		"($id, 'tcp', '$client', '127.0.0.1:7201', 'open', {'in': 5, 'out': 5})"
	[ "$(api_body "/v1/flows?port=$id" | json '1000 <= d["flows"][0]["ageMs"] < 90000')" = True ]
	assert_match "$(ctl list-flows --port "$id")" "tcp +$client +127.0.0.1:7201 +open"
	assert_equal "$(ctl list-flows --json | json 'd["truncated"]')" False
	exec 4>&-
	assert_match "$(api GET '/v1/flows?port=99')" 'unknown id: 99'
	assert_match "$(api GET '/v1/flows?port=x')" 'bad id'
	run -1 ctl list-flows --port x
	assert_match "$output" 'is no port ID'
}

@test "observe: top in batch mode shows rates, states and clients" {
	tool tcp-many 127.0.0.1 "$ECHO" 3 20 >/dev/null
	run -0 ctl top -b -n 2 -d 0.5
	assert_equal "$(grep -c 'connections/s' <<<"$output")" 2
	assert_match "$output" "ID PROTO PARENT .*LAST-ERROR"
	assert_match "$output" "tcp +127.0.0.1:$ECHO +listening"
	assert_match "$output" "CLIENT +FLOWS +BIT/S"
	refute_match "$output" $'\033'
	run -1 ctl top -d 0
	assert_match "$output" '-d: seconds from 0.1 to 3600'
	run -1 ctl top -n -1
	assert_match "$output" '-n: a whole number'
}

@test "observe: top on a terminal leaves with q and gives the screen back" {
	cat >"$DIR/pty.py" <<-'END'
		import os, pty, re, select, sys, termios, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[1], sys.argv[1:])
		before = termios.tcgetattr(fd)
		text, end, asked = b"", time.time() + 25, False
		while time.time() < end:
		    if not select.select([fd], [], [], 0.2)[0]:
		        continue
		    try:
		        piece = os.read(fd, 65536)
		    except OSError:
		        break
		    if not piece:
		        break
		    text += piece
		    if b"CONN/S" in text and not asked:
		        asked = True
		        raw = termios.tcgetattr(fd)[3] & termios.ICANON == 0
		        os.write(fd, b"xq")
		status = os.waitpid(pid, 0)[1]
		print("status", status, "raw", raw, "screen", text.count(b"\033[?1049h"), text.count(b"\033[?1049l"))
		print("widest", max(len(re.sub(rb"\033\[[?0-9]*[a-zA-Z]", b"", l).strip(b"\r")) for l in text.split(b"\r\n")) <= 80)
	END
	run -0 timeout 30 "${AS_USER[@]}" python3 - "$RK_BIN/rootlessctl" --socket "$STATE/api.sock" top -d 0.3 <"$DIR/pty.py"
	assert_equal "${lines[0]}" 'status 0 raw True screen 1 1'
	assert_equal "${lines[1]}" 'widest True'
}
