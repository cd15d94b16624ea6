# kills.bash: SIGKILL of a process of the family at a chosen point, and a start on what is left.

# now_ms: a clock in milliseconds.
now_ms() {
	local now=${EPOCHREALTIME/[.,]/}
	echo "${now%???}"
}

# kill_at PROCESS CALLS: starts the engine of CONFIG on STATE; a process of that name is killed at call
# number CALLS, wherever that is. Everything ends, or what was killed is replaced (the helper) or done
# without (a program that was asked for something); then the engine is killed.
kill_at() {
	local process=$1 calls=$2 engine FAULTY
	fault "$DIR/fault" set '*' KILL "$process" "$calls" 1
	fault_words "$DIR/fault"
	"${AS_USER[@]}" "${FAULTY[@]}" "$RK_BIN/rk-engine" -c "$CONFIG" -o engine.workers=2 -- \
		"$RK_TOOLS/tcp-server" echo 127.0.0.1 7001 </dev/null >"$DIR/log" 2>&1 3>&- &
	engine=$!
	wait_until 20 case_answers_or_gone "$PORT" "$engine" || true
	engine_killed_gone() { ! kill -0 "$engine" 2>/dev/null; }
	# What was killed was replaced, or did not matter, or made fewer calls: it serves.
	! case_answers "$PORT" || kill -KILL "$engine" 2>/dev/null || true
	wait_until 20 engine_killed_gone || { echo "$process at $calls: the engine hangs"; return 1; }
	wait "$engine" || true
	assert_none_left "$MARK" 10 || { echo "$process at $calls"; return 1; }
	assert_port_freed t "$PORT"
}

# Starts on the same directory; prints how long it took until a client was answered, in ms.
restart_ms() {
	local engine start
	start=$(now_ms)
	"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$CONFIG" -o engine.workers=2 -- \
		"$RK_TOOLS/tcp-server" echo 127.0.0.1 7001 </dev/null >"$DIR/log" 2>&1 3>&- &
	engine=$!
	if ! wait_until 15 case_answers "$PORT"; then
		cat "$DIR/log" >&2
		return 1
	fi
	echo "$(($(now_ms) - start))"
	kill -TERM "$engine"
	wait "$engine" || true
}

# kill_rounds COUNT: at random points; the seed is printed.
kill_rounds() {
	local seed=${RK_SEED:-$RANDOM} round process calls took worst=0
	local processes=(rk-engine nsctl nsctl-child nsctl-helper slirp4netns)
	local limits=(500 250 300 150 60)
	echo "RK_SEED=$seed"
	RANDOM=$seed
	for ((round = 0; round < $1; round++)); do
		process=${processes[round % 5]}
		calls=$((RANDOM % limits[round % 5]))
		kill_at "$process" "$calls"
		# Every third time: a run whose left-overs were those of two kills.
		[ $((round % 3)) -ne 2 ] || continue
		took=$(restart_ms)
		[ "$took" -le "$worst" ] || worst=$took
		assert_none_left "$MARK" 10
		[ ! -e "$STATE" ]
	done
	echo "slowest start: $worst ms" >&3
	[ "$worst" -lt 10000 ]
}
