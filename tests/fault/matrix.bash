# matrix.bash: makes one call of one process fail and looks at what comes of it; see matrix.txt.
#
# A case passes when the fault happened, the outcome is the expected one, and nothing is left of it:
# no process, no listener, no state directory; in a running engine, no descriptor either. The engine
# never hangs, never dies of a signal, never burns the processor. A case prints what is wrong and is
# silent when it passes.

# fault FILE WORD...: tests/tools/fault.c.
fault() {
	"$RK_TOOLS/fault" "$@"
}

# Sets FAULTY, the words that load the library of faults (controlled by file $1) into a program. A
# sanitizer's own library wants to be loaded before any other.
fault_words() {
	local sanitizer
	sanitizer=$(ldd "$RK_BIN/rk-engine" | awk '$1 ~ /^libasan/ { print $3 }')
	FAULTY=("LD_PRELOAD=${sanitizer:+$sanitizer:}$RK_TOOLS/fault.so" "RK_FAULT=$1")
	# It is then in slirp4netns, too, whose leaks are not ours.
	[ -z "$sanitizer" ] || FAULTY+=(ASAN_OPTIONS=detect_leaks=0)
}

# matrix_cases WHEN IO PROCESS first|all: the cases of matrix.txt, one a line.
matrix_cases() {
	awk -v when="$1" -v io="^($2)\$" -v process="^($3)\$" -v all="$4" '$1 == when && $2 ~ io && $5 ~ process {
		count = split($4, errors, ",")
		for (i = 1; i <= (all == "all" ? count : 1); i++)
			print NR "-" i, $2, $3, errors[i], $5, $6, $7 == "all" ? "4294967295" : $7, $8
	}' "$RK_TOP/tests/fault/matrix.txt"
}

# case_start NAME IO CALL ERROR PROCESS SKIP COUNT EXPECTED: a start of the engine with the fault on.
case_start() {
	local name=case$1 io=$2 expected=$8 label="$2 $3 $4 $5 $6 $7" status=0 outcome=refuses ticks=0
	local AS_USER FAULTY dir=$DIR/case$1 mark=$MARK-case$1 port udp exact engine
	mkdir "$dir"
	chown "$TEST_UID:$TEST_GID" "$dir"
	user_environment "$mark"
	fault "$dir/fault" set "$3" "$4" "$5" "$6" "$7"
	fault_words "$dir/fault"
	port=$(free_port) udp=$(free_port) exact=$(free_port)
	write_config "$dir/e.ini" "127.0.0.1:$port:7001/tcp" "127.0.0.1:$udp:7002/udp" \
		"127.0.0.1:$exact:7003/tcp" </dev/null
	"${AS_USER[@]}" "${FAULTY[@]}" "$RK_BIN/rk-engine" -c "$dir/e.ini" -o "engine.io=$io" \
		-o engine.workers=2 -- sh -c '"$1/udp-server" 127.0.0.1 7002 & "$1/tcp-exact" server 127.0.0.1 7003 &
			exec "$1/tcp-server" echo 127.0.0.1 7001' sh "$RK_TOOLS" \
		</dev/null >"$dir/log" 2>&1 3>&- &
	engine=$!
	if wait_until 30 case_answers_or_gone "$port" "$engine" && kill -0 "$engine" 2>/dev/null; then
		outcome=serves
		[[ $expected != serves:* ]] || case_serves_through "${expected#*:}" >"$dir/traffic" 2>&1
		ticks=$(cpu_ticks "$engine")
		kill -TERM "$engine"
	fi
	case_gone() { ! kill -0 "$engine" 2>/dev/null; }
	if ! wait_until 20 case_gone; then
		echo "$label: the engine hangs"
		kill -KILL "$engine"
	fi
	wait "$engine" || status=$?
	case_judge >"$dir/wrong"
	case_left "$mark" >>"$dir/wrong"
	[ ! -s "$dir/wrong" ] || sed "s/^/$label: /" "$dir/wrong" "$dir/log"
}

case_answers() { # PORT
	timeout 3 "$RK_TOOLS/tcp-many" 127.0.0.1 "$1" 1 1 >/dev/null 2>&1
}

case_answers_or_gone() { # PORT PID
	case_answers "$1" || ! kill -0 "$2" 2>/dev/null
}

cpu_ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# Works on the variables of case_start: traffic of every kind, and what the engine says of itself.
# Prints what is wrong.
case_serves_through() { # IO
	local STATE=$dir/e.state info
	servers_ready() { [ "$(grep -cx ready "$dir/log")" = 3 ]; }
	wait_until 15 servers_ready || echo "the servers are not ready"
	info=$(ctl info | grep Engine)
	[ "$info" = "- Engine: $1" ] || echo "rootlessctl info: $info"
	grep -qE "workers, $1\$" "$dir/log" || echo "the log says otherwise"
	tool tcp-many 127.0.0.1 "$port" 30 5 | grep '^ok 30 ' >/dev/null || echo "connections fail"
	[[ $(tool tcp-exact client 127.0.0.1 "$exact" 1 3 500000 3) == 'ok 3 '* ]] || echo "streams fail"
	[ "$(tool udp-client echo 127.0.0.1 "$udp" 20000)" = '20000 ok from 127.0.0.1' ] || echo "UDP fails"
	# With it go its flows.
	ctl remove-ports 1 2 3 >/dev/null || echo "the ports cannot be removed"
	! is_listening t "$port" || echo "the removed port listens"
}

# Works on the variables of case_start.
case_judge() {
	[ "$outcome" = "${expected%:*}" ] || echo "it $outcome, expected was: $expected"
	[ ! -s "$dir/traffic" ] || cat "$dir/traffic"
	[ "$(fault "$dir/fault" hits)" -gt 0 ] || echo "the fault did not happen"
	if [ "$outcome" = serves ]; then
		[ "$status" = 143 ] || [ "$status" = 0 ] || echo "exit status $status after SIGTERM"
	else
		[ "$status" -gt 0 ] && [ "$status" -lt 128 ] || echo "exit status $status"
		grep -qE 'rk-engine: error: .{12}' "$dir/log" || echo "no message"
	fi
	! grep -E 'Sanitizer|runtime error:' "$dir/log" || true
	! is_listening t "$port" || echo "it still listens"
	[ ! -e "$dir/e.state" ] || echo "the state directory is still there"
	[ "$ticks" -lt 500 ] || echo "$ticks ticks of processor time"
}

case_processes() {
	grep -lz "^RK_TEST_ID=$1\$" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3 || true
}

case_left() { # MARK
	local pid
	none_of_case() { [ -z "$(case_processes "$1")" ]; }
	wait_until 8 none_of_case "$1" && return 0
	for pid in $(case_processes "$1"); do
		echo "left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		kill -KILL "$pid"
	done
}

# matrix_start IO PROCESS first|all [WHEN]: all cases of a start, some at a time. Fails when one does.
matrix_start() {
	local row count=0 cases=()
	while read -r -a row; do
		# Not "wait -n": bats has a background process of its own.
		[ ${#cases[@]} -lt 4 ] || { wait "${cases[0]}" || true; cases=("${cases[@]:1}"); }
		case_start "${row[@]}" >>"$DIR/failures" 2>>"$DIR/noise" 3>&- &
		cases+=($!)
		count=$((count + 1))
	done < <(matrix_cases "${4:-start}" "$1" "$2" "$3")
	wait "${cases[@]}" || true
	echo "$count cases"
	cat "$DIR/failures"
	[ "$count" -gt 0 ] && [ ! -s "$DIR/failures" ]
}

# --- faults in a running engine

# run_engine IO: one with the library of faults, controlled by RUN_FAULT, and an echo service on TCP
# port RUN_TCP and UDP port RUN_UDP.
run_engine() {
	local FAULTY AS_USER
	RUN_FAULT=$DIR/run.fault RUN_TCP=$(free_port) RUN_UDP=$(free_port)
	user_environment "$MARK"
	fault "$RUN_FAULT" off >/dev/null
	fault_words "$RUN_FAULT"
	write_config "$DIR/run.ini" "127.0.0.1:$RUN_TCP:7001/tcp" "127.0.0.1:$RUN_UDP:7002/udp" \
		"127.0.0.1:$(free_port):7009/tcp" <<-END
		source-ip = prefer
		[engine]
		workers = 1
		pool-size = 4
		udp-idle-timeout = 1s
		connect-timeout = 2s
	END
	RK_IO=$1 engine_start "$DIR/run.ini" env "${FAULTY[@]}"
	server_start tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7002
	run_settled
	RUN_FDS=$(fd_count "$ENGINE_PID")
}

run_answers() {
	case_answers "$RUN_TCP" &&
		[ "$(timeout 5 "$RK_TOOLS/udp-client" echo 127.0.0.1 "$RUN_UDP" 10)" = '10 ok from 127.0.0.1' ]
}

run_settled() {
	wait_until 10 run_answers && wait_until 10 run_no_flow 1,2,3
}

# run_no_flow IDS: of these ports. A UDP flow, of port 2, stays for a second.
run_no_flow() {
	[ "$(api_body /v1/stats |
		json "sum(p['connections']['open'] for p in d if p['id'] in [$1])")" = 0 ]
}

# Some of everything that goes through an engine; whether it works is no question here. The API
# answers from a thread whose calls are the engine's, too.
run_traffic() {
	timeout 2 "$RK_TOOLS/tcp-many" 127.0.0.1 "$RUN_TCP" 20 2
	timeout 2 "$RK_TOOLS/tcp-client" half-close 127.0.0.1 "$RUN_TCP" 100000
	timeout 2 "$RK_TOOLS/udp-client" many 127.0.0.1 "$RUN_UDP" 20
	timeout 1 "$RK_TOOLS/udp-client" echo 127.0.0.1 "$RUN_UDP" 1000
	curl -sS --max-time 1 --unix-socket "$STATE/api.sock" http://rk/v1/stats
} >/dev/null 2>&1

run_descriptors_back() {
	[ "$(fd_count "$ENGINE_PID")" -le $((RUN_FDS + 8)) ]
}

# case_run NAME IO CALL ERROR PROCESS SKIP COUNT EXPECTED: in the engine of run_engine, which is
# started again after it ended.
case_run() {
	local label="running: $2 $3 $4 $5 $6 $7" expected=$8 outcome=serves status=0 ticks
	ticks=$(cpu_ticks "$ENGINE_PID")
	fault "$RUN_FAULT" set "$3" "$4" "$5" "$6" "$7"
	# Again when the machine was too slow for the call to be made within the traffic's own limits.
	fault_happened() { run_traffic || true; [ "$(fault "$RUN_FAULT" hits)" -gt 0 ]; }
	wait_until 15 fault_happened || echo "$label: the fault did not happen"
	[ "$expected" = serves ] || wait_until 10 engine_gone || true
	fault "$RUN_FAULT" off >/dev/null
	engine_gone || ticks=$(($(cpu_ticks "$ENGINE_PID") - ticks))
	if engine_gone; then
		outcome=refuses
		wait "$ENGINE_PID" 2>/dev/null || status=$?
		[ "$status" -gt 0 ] && [ "$status" -lt 128 ] || echo "$label: exit status $status"
		tail -n 1 "$ENGINE_LOG" | grep -qE 'rk-engine: error: .{12}' || echo "$label: no message"
	elif ! wait_until 10 run_answers; then
		echo "$label: does not answer any more"
		outcome=hangs
		kill -KILL "$ENGINE_PID"
	elif ! wait_until 10 run_no_flow 1,3; then
		echo "$label: flows are left"
	fi
	[ "$ticks" -lt 500 ] || echo "$label: $ticks ticks of processor time"
	[ "$outcome" = "$expected" ] || echo "$label: it $outcome, expected was: $expected"
	if [ "$outcome" != serves ]; then
		[ "$outcome" = "$expected" ] || sed "s/^/$label: /" "$ENGINE_LOG"
		kill_marked "$MARK"
		run_engine "$2"
	fi
}

# matrix_run IO PROCESS first|all
matrix_run() {
	local row count=0
	run_engine "$1"
	while read -r -a row; do
		case_run "${row[@]}" >>"$DIR/failures" 2>>"$DIR/noise"
		count=$((count + 1))
	done < <(matrix_cases run "$@")
	run_settled || echo "flows are left" >>"$DIR/failures"
	wait_until 10 run_descriptors_back || echo "descriptors are left" >>"$DIR/failures"
	engine_stop || true
	echo "$count cases"
	cat "$DIR/failures"
	[ "$count" -gt 0 ] && [ ! -s "$DIR/failures" ]
}
