# rootlesskit.bats: what the rootlesskit front end does beyond the release that compat.bats compares
# with, and what must hold whatever the other program does: detached networks, activation sockets,
# the terminal, and that nothing outlives a SIGKILL.

load lib

setup() {
	test_start
	STATE=$DIR/st
	ENGINE_LOG=$DIR/log
}

rootlesskit() {
	as_user "$RK_BIN/rootlesskit" --state-dir="$STATE" "$@"
}

# Starts it with a command that waits and a descendant of it that left its session; returns when
# they run.
rootlesskit_start() {
	rm -f "$ENGINE_LOG" # that of the run before
	"${AS_USER[@]}" "$RK_BIN/rootlesskit" --state-dir="$STATE" "$@" sh -c \
		'setsid sleep 300 & echo running; exec sleep 300' \
		</dev/null >"$ENGINE_LOG" 2>&1 3>&- &
	ENGINE_PID=$!
	wait_until 20 running_or_gone
	grep -q running "$ENGINE_LOG" && return 0
	echo "rootlesskit does not run its command" >&2
	cat "$ENGINE_LOG" "/proc/$ENGINE_PID/status" >&2
	return 1
}

running_or_gone() {
	grep -qs running "$ENGINE_LOG" || engine_gone
}

another_helper() { # than this one
	local now
	now=$(descendant "$ENGINE_PID" nsctl-helper)
	[ -n "$now" ] && [ "$now" != "$1" ]
}

SLIRP=(--net=slirp4netns --disable-host-loopback)

# --- detached network ------------------------------------------------------------------------

# The command in the host's network, the namespace in STATE/netns with interface, DNS and ports.
check_detached() {
	local port host
	port=$(free_port)
	host=$(readlink /proc/self/ns/net)
	run -0 rootlesskit "$@" --detach-netns --port-driver=builtin -p "127.0.0.1:$port:7001/tcp" sh -c '
		cd "$ROOTLESSKIT_STATE_DIR"
		echo "command $(readlink /proc/self/ns/net)"
		nsenter --net=netns sh -c "readlink /proc/self/ns/net; ip -o -4 addr; ip route"
		grep nameserver resolv.conf; test -s hosts && echo hosts
		grep -cE "/st/(resolv.conf|hosts) /etc/" /proc/self/mountinfo
		nsenter --net=netns "$1/tcp-server" echo 127.0.0.1 7001 >ready & server=$!
		until grep -q ready ready 2>/dev/null; do sleep 0.05; done
		"$1/tcp-many" 127.0.0.1 "$2" 3 3; kill $server' sh "$RK_TOOLS" "$port"
	assert_equal "${lines[0]}" "command $host"
	[ "${lines[1]}" != "$host" ]
	assert_match "$output" '10\.0\.2\.100/24'
	assert_match "$output" 'default via 10\.0\.2\.2'
	assert_match "$output" $'nameserver 10\\.0\\.2\\.3\nhosts\n0\n'
	assert_match "$output" 'ok 3 '
	[ ! -e "$STATE" ]
}

@test "rootlesskit: --detach-netns with slirp4netns" {
	check_detached "${SLIRP[@]}"
	check_detached "${SLIRP[@]}" --pidns --slirp4netns-sandbox=auto --slirp4netns-seccomp=auto
}

@test "rootlesskit: --detach-netns with pasta" {
	check_detached --net=pasta --disable-host-loopback
}

@test "rootlesskit: --detach-netns: the helper makes its sockets in there after a restart, too" {
	rootlesskit_start "${SLIRP[@]}" --detach-netns --port-driver=builtin
	local helper netns
	helper=$(descendant "$ENGINE_PID" nsctl-helper)
	netns=$(readlink "/proc/$helper/ns/net")
	[ "$netns" != "$(readlink /proc/self/ns/net)" ]
	kill -KILL "$helper"
	wait_until 10 another_helper "$helper"
	is_in_netns() { [ "$(readlink "/proc/$(descendant "$ENGINE_PID" nsctl-helper)/ns/net")" = "$1" ]; }
	wait_until 10 is_in_netns "$netns"
	engine_stop
}

@test "rootlesskit: --detach-netns with a copied-up state directory, and without a network" {
	run -0 rootlesskit "${SLIRP[@]}" --detach-netns --copy-up="${DIR%/*}" sh -c \
		'nsenter --net="$ROOTLESSKIT_STATE_DIR/netns" ip -o -4 addr'
	assert_match "$output" '10\.0\.2\.100'
	run rootlesskit --detach-netns true
	assert_equal "$status" 1
	assert_match "$output" '--detach-netns'
	run rootlesskit "${SLIRP[@]}" --detach-netns /no/such/program
	assert_equal "$status" 1
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
}

# --- activation sockets ----------------------------------------------------------------------

@test "rootlesskit: LISTEN_FDS reach the command in order, nothing else does" {
	local flag
	for flag in --pidns=false --pidns=true --detach-netns; do
		[ "$flag" != --detach-netns ] || set -- "${SLIRP[@]}"
		printf one >"$DIR/one"
		printf two >"$DIR/two"
		chmod 644 "$DIR/one" "$DIR/two"
		run -0 as_user sh -c 'exec 3<"$1/one" 4<"$1/two" 5<"$1/one" 9<"$1/two"; shift
			LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b exec "$@"' sh "$DIR" \
			"$RK_BIN/rootlesskit" --state-dir="$STATE" "$@" "$flag" \
			sh -c '[ "$LISTEN_PID" = $$ ] && echo mine
				echo "$LISTEN_FDS $LISTEN_FDNAMES $(cat <&3) $(cat <&4)"; ls /proc/$$/fd'
		assert_match "$output" mine
		assert_match "$output" '2 a:b one two'
		assert_match "${output//$'\n'/ }" 'two 0 1 2 3 4$'
	done
	# As many as systemd passes to big services; and not those of somebody else.
	run -0 as_user bash -c 'for ((fd = 3; fd < 67; fd++)); do eval "exec $fd</dev/null"; done
		LISTEN_PID=$$ LISTEN_FDS=64 exec "$@"' bash "$RK_BIN/rootlesskit" --state-dir="$STATE" \
		sh -c 'echo "$LISTEN_FDS"; ls /proc/$$/fd'
	assert_equal "${lines[0]} ${#lines[@]}" '64 68'
	run -0 as_user sh -c 'exec 3</dev/null; LISTEN_PID=1 LISTEN_FDS=1 exec "$@"' sh \
		"$RK_BIN/rootlesskit" --state-dir="$STATE" sh -c 'echo "<$LISTEN_FDS$LISTEN_PID>"; ls /proc/$$/fd'
	assert_equal "${output//$'\n'/ }" '<> 0 1 2'
}

# --- terminal --------------------------------------------------------------------------------

# Runs the words on a terminal of their own, types ^C after "waiting", prints output and status.
on_terminal() {
	timeout -k 1 "$LIMIT_S" python3 - "$@" <<-'END'
		import os, pty, sys
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[1], sys.argv[1:])
		output, typed = b"", False
		while True:
		    try:
		        data = os.read(fd, 4096)
		    except OSError:
		        break
		    if not data:
		        break
		    output += data
		    if b"waiting" in output and not typed:
		        os.write(fd, b"\x03")
		        typed = True
		print(output.decode().replace("\r", ""))
		print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
}

@test "rootlesskit: the command keeps the terminal, ^C reaches it once" {
	local flag
	for flag in --pidns=false --pidns=true; do
		run -0 on_terminal "${AS_USER[@]}" "$RK_BIN/rootlesskit" --state-dir="$STATE" "$flag" sh -c '
			trap "echo got-int" INT; stty -a </dev/tty >/dev/null && echo controlling
			echo waiting; sleep 20; sleep 0.5; exit 5'
		assert_match "$output" 'controlling'
		assert_equal "$(grep -cE '^(\^C)?got-int$' <<<"$output")" 1
		assert_match "$output" 'status 5'
	done
}

# --- SIGKILL ---------------------------------------------------------------------------------

# kill_and_check VICTIM FLAG...: one process gets SIGKILL; all others are gone soon, and the same
# state directory works at once.
kill_and_check() {
	local victim=$1 pid
	shift
	rootlesskit_start "$@"
	case $victim in
	parent) pid=$ENGINE_PID ;;
	*) pid=$(descendant "$ENGINE_PID" "$victim") ;;
	esac
	[ -n "$pid" ]
	kill -KILL "$pid"
	assert_none_left "$MARK" 5
	engine_wait
	[ "$ENGINE_STATUS" -ne 0 ]
	run -0 rootlesskit "$@" echo again
	assert_match "$output" again
	[ ! -e "$STATE" ]
}

@test "rootlesskit: SIGKILL of any process of ours ends the whole tree" {
	local victim flags words
	for flags in '' '--pidns' '--pidns --reaper=false' '--pidns --net=none --port-driver=builtin' \
		'--detach-netns --net=none'; do
		read -r -a words <<<"$flags"
		for victim in parent nsctl nsctl-child; do
			kill_and_check "$victim" "${words[@]}"
		done
	done
	for victim in parent nsctl nsctl-child slirp4netns; do
		kill_and_check "$victim" "${SLIRP[@]}" --detach-netns --port-driver=builtin
		kill_and_check "$victim" "${SLIRP[@]}" --port-driver=builtin
	done
}

@test "rootlesskit: SIGKILL of the helper: another takes its place, the command goes on" {
	local flag helper
	for flag in --pidns=false --pidns=true; do
		rootlesskit_start --net=none --port-driver=builtin "$flag"
		helper=$(descendant "$ENGINE_PID" nsctl-helper)
		kill -KILL "$helper"
		wait_until 10 another_helper "$helper"
		kill -KILL "$ENGINE_PID"
		assert_none_left "$MARK" 5
		engine_wait
	done
}

# --- nested ----------------------------------------------------------------------------------

@test "rootlesskit: inside another user namespace" {
	run -0 rootlesskit --net=none "$RK_BIN/rootlesskit" --net=none --pidns --copy-up=/etc sh -c \
		'id -u; cat /proc/self/uid_map; ls -d /etc/.ro*; ip -o link show up'
	assert_match "$output" '0 +0 +1'
	assert_match "$output" '1 +1 +65536'
	assert_match "$output" 'lo'
	assert_none_left "$MARK"
}
