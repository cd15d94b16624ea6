# lifecycle.bats: start, exit codes, signals, and what is left when a process dies.

load lib

setup() {
	test_start
	PORT=$(free_port)
	write_config "$DIR/life.ini" "127.0.0.1:$PORT:7001/tcp" </dev/null
	STATE=$DIR/life.state
}

engine() {
	as_user "$RK_BIN/rk-engine" -c "$DIR/life.ini" "$@"
}

# Nothing runs, nothing listens, nothing is mounted, the state directory is gone.
assert_clean() {
	assert_none_left "$MARK"
	run ! is_listening t "$PORT"
	[ ! -e "$STATE" ]
	run ! grep -F "$DIR" /proc/self/mountinfo
}

@test "lifecycle: the command's exit status becomes ours" {
	local code
	for code in 0 1 42 255; do
		run engine -- sh -c "exit $code"
		assert_equal "$status" "$code"
	done
	assert_clean
}

@test "lifecycle: a command killed by a signal ends us with a failure that names it" {
	run engine -- sh -c 'kill -USR1 $$'
	[ "$status" -ne 0 ]
	assert_match "$output" '[Ss]ignal'
	assert_clean
}

@test "lifecycle: standard input, output and error are the command's own" {
	head -c 3000000 /dev/urandom >"$DIR/in"
	engine -- sh -c 'cat; echo problem >&2' <"$DIR/in" >"$DIR/out" 2>"$DIR/err"
	cmp "$DIR/in" "$DIR/out"
	grep -q '^problem$' "$DIR/err"
}

@test "lifecycle: arguments and environment reach the command unchanged" {
	run engine -- sh -c 'printf "<%s>" "$@" "$HOME"' sh 'a b' '' '*' -c --x=y
	assert_match "$output" "<a b><><\*><-c><--x=y><$RK_TMP/home>"
}

@test "lifecycle: the command finds ROOTLESSKIT_STATE_DIR and our effective ids" {
	run engine -- sh -c 'echo "$ROOTLESSKIT_STATE_DIR $ROOTLESSKIT_PARENT_EUID $ROOTLESSKIT_PARENT_EGID"'
	assert_match "$output" "$STATE $TEST_UID $TEST_GID"
}

@test "lifecycle: no descriptor of ours leaks into the command" {
	run engine -- sh -c 'ls /proc/self/fd | tr "\n" " "'
	# 0, 1, 2 and the one that ls itself opens.
	assert_match "${lines[-1]}" '^0 1 2 3 ?$'
}

@test "lifecycle: without -- the command of the configuration runs" {
	printf '[process]\ncommand = echo from-config; exit 7\n' >>"$DIR/life.ini"
	run engine
	assert_equal "$status" 7
	assert_match "$output" 'from-config'
}

@test "lifecycle: a command that does not exist is one clear line" {
	run -127 engine -- /no/such/program
	assert_match "$output" '/no/such/program'
	assert_clean
}

@test "lifecycle: SIGTERM stops everything" {
	engine_start "$DIR/life.ini"
	is_listening t "$PORT"
	engine_stop
	assert_clean
}

@test "lifecycle: SIGINT stops everything" {
	# A background process of a script starts with SIGINT ignored: env gives the default back.
	engine_start "$DIR/life.ini" env --default-signal=INT
	kill -INT "$ENGINE_PID"
	engine_wait
	assert_clean
}

@test "lifecycle: signals are passed to the command" {
	"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/life.ini" -- \
		sh -c 'trap "echo got-usr1; exit 9" USR1; echo waiting; while :; do sleep 0.1; done' \
		</dev/null >"$DIR/out" 2>&1 3>&- &
	ENGINE_PID=$! ENGINE_LOG=$DIR/out
	wait_until 20 grep -q waiting "$DIR/out"
	kill -USR1 "$ENGINE_PID"
	wait_until 10 grep -q got-usr1 "$DIR/out"
	engine_wait
	assert_equal "$ENGINE_STATUS" 9
	assert_clean
}

@test "lifecycle: started by nohup, engine and command outlive their terminal" {
	local program
	engine_start "$DIR/life.ini" env --ignore-signal=HUP
	for program in nsctl nsctl-child sleep; do
		kill -HUP "$(descendant "$ENGINE_PID" "$program")"
	done
	kill -HUP "$ENGINE_PID"
	sleep 0.5
	[ -n "$(descendant "$ENGINE_PID" sleep)" ]
	ctl info >/dev/null
	engine_stop
	assert_clean
}

@test "lifecycle: whoever starts us may ignore the end of its children" {
	run as_user env --ignore-signal=CHLD "$RK_BIN/rk-engine" -c "$DIR/life.ini" -- sh -c 'exit 3'
	assert_equal "$status" 3
	run as_user env --ignore-signal=CHLD "$RK_BIN/nsctl" run -o network.driver=none -- sh -c 'exit 4'
	assert_equal "$status" 4
	assert_clean
}

@test "lifecycle: a command that ignores SIGTERM is killed after the stop timeout" {
	printf '[process]\nstop-timeout = 1s\n' >>"$DIR/life.ini"
	"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/life.ini" -- \
		sh -c 'trap "" TERM; echo waiting; while :; do sleep 0.1; done' \
		</dev/null >"$DIR/out" 2>&1 3>&- &
	ENGINE_PID=$! ENGINE_LOG=$DIR/out
	wait_until 20 grep -q waiting "$DIR/out"
	engine_stop
	assert_clean
}

@test "lifecycle: SIGKILL of the engine leaves nothing, and the directory works again at once" {
	local round
	for round in 1 2; do
		engine_start "$DIR/life.ini"
		is_listening t "$PORT"
		kill -KILL "$ENGINE_PID"
		engine_wait
		assert_none_left "$MARK" 10
		assert_port_freed t "$PORT"
	done
	engine_start "$DIR/life.ini"
	server_start again "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	assert_match "$(tool tcp-many 127.0.0.1 "$PORT" 2 2)" '^ok 2 '
	engine_stop
	kill_marked "$MARK"
	assert_clean
}

@test "lifecycle: SIGKILL of nsctl ends everything with a message" {
	engine_start "$DIR/life.ini"
	kill -KILL "$(descendant "$ENGINE_PID" nsctl)"
	engine_wait
	[ "$ENGINE_STATUS" -ne 0 ]
	assert_match "$(cat "$ENGINE_LOG")" 'nsctl'
	assert_clean
}

@test "lifecycle: SIGKILL of slirp4netns is one clear line" {
	engine_start "$DIR/life.ini"
	kill -KILL "$(descendant "$ENGINE_PID" slirp4netns)"
	wait_until 10 grep -qE 'slirp4netns.*(signal 9|[Kk]illed)' "$ENGINE_LOG"
	engine_stop
	assert_clean
}

@test "lifecycle: two engines on one state directory: the second one says who holds it" {
	engine_start "$DIR/life.ini"
	run engine -o "port.publish=127.0.0.1:$(free_port):7002/tcp" -- true
	assert_equal "$status" 1
	assert_match "$output" "$STATE"
	assert_match "$output" "$ENGINE_PID|in use|already"
	# The first one is unharmed.
	[ -S "$STATE/api.sock" ]
	ctl info >/dev/null
	engine_stop
	assert_clean
}

@test "lifecycle: without a state directory a fresh one is made and removed" {
	sed -i '/^state-dir/d' "$DIR/life.ini"
	run engine -- sh -c 'echo "dir $ROOTLESSKIT_STATE_DIR"; test -S "$ROOTLESSKIT_STATE_DIR/api.sock"'
	assert_equal "$status" 0
	assert_match "$output" 'dir /'
	[ ! -e "${lines[0]#dir }" ]
}

@test "lifecycle: with --pidns the command is in a PID namespace of its own, and dies with us" {
	printf '[process]\npidns = true\n' >>"$DIR/life.ini"
	run engine -- sh -c 'ls -d /proc/[0-9]* | wc -l'
	[ "${lines[-1]}" -lt 8 ]
	engine_start "$DIR/life.ini"
	kill -KILL "$ENGINE_PID"
	engine_wait
	assert_none_left "$MARK" 10
}

@test "lifecycle: orphans of the command are reaped or ended with it" {
	printf '[process]\npidns = true\n' >>"$DIR/life.ini"
	run engine -- sh -c '(setsid sleep 300 &) ; exit 3'
	assert_equal "$status" 3
	assert_clean
}

# --- stopping --------------------------------------------------------------------------------

# stubborn_start SHELL-TEXT: the engine with a command that says "waiting" and then goes on for ever.
stubborn_start() {
	: >"$DIR/out" # the one before had said so, too
	"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/life.ini" "${ENGINE_OPTIONS[@]}" -- \
		sh -c "$1
			echo waiting; while :; do sleep 0.1; done" </dev/null >"$DIR/out" 2>&1 3>&- &
	ENGINE_PID=$! ENGINE_LOG=$DIR/out
	wait_until 20 waiting_or_gone
	grep -q waiting "$DIR/out"
}

waiting_or_gone() {
	grep -qs waiting "$DIR/out" || engine_gone
}

@test "lifecycle: while the command takes its time to end, its connections and its ports live on" {
	ENGINE_OPTIONS=(-o process.stop-timeout=60s)
	stubborn_start "'$RK_TOOLS/tcp-server' echo 127.0.0.1 7001 & trap 'echo ending' TERM
		trap 'exit 7' USR1"
	wait_until 10 grep -q ready "$DIR/out"
	kill -TERM "$ENGINE_PID"
	wait_until 10 grep -q ending "$DIR/out"
	assert_match "$(tool tcp-many 127.0.0.1 "$PORT" 10 5)" '^ok 10 '
	kill -USR1 "$ENGINE_PID"
	engine_wait
	assert_equal "$ENGINE_STATUS" 7
	assert_clean
}

@test "lifecycle: the second SIGTERM ends what ignores the first, long before the stop timeout" {
	ENGINE_OPTIONS=(-o process.stop-timeout=10m)
	stubborn_start "trap '' TERM"
	kill -TERM "$ENGINE_PID"
	sleep 0.5
	wait_until 10 signals_taken # two that are pending would be one
	run ! engine_gone
	kill -TERM "$ENGINE_PID"
	engine_wait 10
	assert_equal "$ENGINE_STATUS" 137
	assert_clean
}

signals_taken() {
	[ "$(awk '$1 == "ShdPnd:" { print $2 }' "/proc/$ENGINE_PID/status")" = 0000000000000000 ]
}

# The processor time of process $1, in ticks.
cpu_ticks() {
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

@test "lifecycle: signals that come while the command is being killed cost nothing" {
	local nsctl before after
	ENGINE_OPTIONS=(-o process.stop-timeout=10m)
	stubborn_start "trap '' TERM"
	nsctl=$(descendant "$ENGINE_PID" nsctl)
	kill -STOP "$nsctl"
	for _ in 1 2 3; do
		kill -TERM "$ENGINE_PID"
		sleep 0.3
	done
	before=$(cpu_ticks "$ENGINE_PID")
	sleep 1.5
	after=$(cpu_ticks "$ENGINE_PID")
	kill -CONT "$nsctl"
	engine_wait
	assert_clean
	echo "$before to $after ticks"
	[ $((after - before)) -lt 20 ]
}

@test "lifecycle: a start whose network does not come up ends as soon as it is asked to" {
	local driver
	printf '#!/bin/sh\n[ "$1" = --version ] || exec sleep 300\n' >"$DIR/never-ready"
	chmod 755 "$DIR/never-ready"
	# The first is waited for to listen, the second to answer, the third to say that it is ready.
	for driver in vpnkit vdeplug_slirp pasta; do
		"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/life.ini" -o "network.driver=$driver" \
			-o network.ipv6=false -o "$driver.binary=$DIR/never-ready" -- true \
			</dev/null >"$DIR/out" 2>&1 3>&- &
		ENGINE_PID=$! ENGINE_LOG=$DIR/out
		wait_until 20 never_ready_runs
		kill -TERM "$ENGINE_PID"
		engine_wait 6
		assert_equal "$ENGINE_STATUS" 143
		assert_clean
	done
}

# --- SIGKILL in every phase ------------------------------------------------------------------

# kill_victim NAME: the engine itself, or the first descendant that is called so.
kill_victim() {
	local pid=$ENGINE_PID
	[ "$1" = engine ] || pid=$(descendant "$ENGINE_PID" "$1")
	kill -KILL "$pid"
	assert_none_left "$MARK" 10
	engine_wait
	[ "$ENGINE_STATUS" -ne 0 ]
	assert_port_freed t "$PORT"
	run ! grep -F "$DIR" /proc/self/mountinfo
}

# The ways to be started that make processes, namespaces or mounts of their own.
FAMILIES=(network.driver=slirp4netns process.pidns=true network.detach-netns=true)

@test "lifecycle: SIGKILL of each process while the network comes up leaves nothing" {
	local victim option
	cat >"$DIR/never-ready" <<-'END'
		#!/bin/sh
		case $* in *--version* | *--help*) exec slirp4netns "$@" ;; esac
		exec sleep 300
	END
	chmod 755 "$DIR/never-ready"
	# With these on auto a failed start would be tried once more without.
	ENGINE_OPTIONS=(-o "slirp4netns.binary=$DIR/never-ready" -o slirp4netns.sandbox=false
		-o slirp4netns.seccomp=false)
	for option in "${FAMILIES[@]}"; do
		for victim in engine nsctl nsctl-child sleep; do
			"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/life.ini" "${ENGINE_OPTIONS[@]}" \
				-o "$option" -- true </dev/null >"$DIR/out" 2>&1 3>&- &
			ENGINE_PID=$! ENGINE_LOG=$DIR/out
			wait_until 20 never_ready_runs
			kill_victim "$victim"
		done
		run engine -o "$option" -- true
		assert_equal "$status" 0
		assert_clean
	done
}

never_ready_runs() {
	[ -n "$(descendant "$ENGINE_PID" sleep)" ]
}

@test "lifecycle: SIGKILL of each process while the command is stopping leaves nothing" {
	local victim option
	printf '[process]\nstop-timeout = 10m\n' >>"$DIR/life.ini"
	for option in "${FAMILIES[@]}"; do
		ENGINE_OPTIONS=(-o "$option")
		for victim in engine nsctl nsctl-child slirp4netns; do
			stubborn_start "trap 'echo stopping' TERM; setsid sleep 300 &"
			kill -TERM "$ENGINE_PID"
			wait_until 10 grep -q stopping "$DIR/out"
			kill_victim "$victim"
		done
	done
	run engine -- true
	assert_equal "$status" 0
	assert_clean
}

# The helper is the one that is replaced, while the command takes its time, too.
@test "lifecycle: SIGKILL of the helper while the command is stopping: another one, then nothing" {
	local option helper
	printf '[process]\nstop-timeout = 10m\n' >>"$DIR/life.ini"
	for option in "${FAMILIES[@]}"; do
		ENGINE_OPTIONS=(-o "$option")
		stubborn_start "trap 'echo stopping' TERM; setsid sleep 300 &"
		kill -TERM "$ENGINE_PID"
		wait_until 10 grep -q stopping "$DIR/out"
		helper=$(descendant "$ENGINE_PID" nsctl-helper)
		kill -KILL "$helper"
		helper_is_another() {
			local now
			now=$(descendant "$ENGINE_PID" nsctl-helper)
			[ -n "$now" ] && [ "$now" != "$helper" ]
		}
		wait_until 10 helper_is_another
		kill -TERM "$ENGINE_PID"
		engine_wait 10
		assert_equal "$ENGINE_STATUS" 137
		assert_clean
	done
}

@test "lifecycle: a stale API socket outside of the state directory is replaced, one that answers is not" {
	local path=$DIR/own/api.sock
	as_user mkdir "$DIR/own"
	as_user python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$path"
	write_config "$DIR/a.ini" <<<"[api]"$'\n'"socket = $path"
	"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/a.ini" -- sleep infinity </dev/null >"$DIR/log" 2>&1 3>&- &
	ENGINE_PID=$! ENGINE_LOG=$DIR/log
	answers() { as_user curl -sf --unix-socket "$path" http://rk/v1/info >/dev/null; }
	wait_until 20 answers
	write_config "$DIR/b.ini" <<<"[api]"$'\n'"socket = $path"
	run as_user "$RK_BIN/rk-engine" -c "$DIR/b.ini" -- true
	[ "$status" -ne 0 ]
	assert_match "$output" "API socket $path: another process listens on it.*\[api\] socket"
	answers
	engine_stop
	assert_equal "$(ls "$DIR/own")" ''
	assert_none_left "$MARK"
}
