# security.bats: what each process has given up once it is started, what an intruder in the engine
# could still do, who may talk to it, and how little the forwarding needs. docs/security.md.

load lib

setup() {
	test_start
	PORT=$(free_port)
	write_config "$DIR/sec.ini" "127.0.0.1:$PORT:7001/tcp" </dev/null
	STATE=$DIR/sec.state
}

as_root_only() {
	[ "$(id -u)" -eq 0 ] || skip "$1 takes root"
}

# A server in the namespace can be reached.
serves() {
	server_start "echo$BATS_TEST_NUMBER" "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	assert_match "$(tool tcp-many 127.0.0.1 "$PORT" 20 5)" '^ok 20 '
}

# 2 = filtered; sanitizers make system calls of their own, so their builds are not.
filter_mode() {
	grep -q __asan_init "$RK_BIN/rk-engine" && echo 0 || echo 2
}

# check_threads PID NO_NEW_PRIVS SECCOMP CAPABILITIES NETNS: of every thread.
check_threads() {
	local thread status
	for thread in /proc/"$1"/task/*; do
		status=$(awk '/^(NoNewPrivs|Seccomp|CapPrm|CapEff|CapAmb):/ { printf "%s%s ", $1, $2 }' "$thread/status")
		echo "$(cat "$thread/comm"): $status"
		assert_match "$status" "CapPrm:$4 CapEff:$4 CapAmb:0+ NoNewPrivs:$2 Seccomp:$3 "
		assert_equal "$(readlink "$thread/ns/net")" "$5"
	done
}

find_family() {
	HOST=$(descendant "$ENGINE_PID" nsctl)
	CHILD=$(descendant "$ENGINE_PID" nsctl-child)
	HELPER=$(descendant "$ENGINE_PID" nsctl-helper)
	COMMAND=$(descendant "$ENGINE_PID" sleep)
}

# The filter, where there is one, is the last that the child takes upon itself.
locked_down() {
	grep -qE '^NoNewPrivs:[[:space:]]+1$' "/proc/$CHILD/status" &&
		grep -qE "^Seccomp:[[:space:]]+$(filter_mode)\$" "/proc/$CHILD/status"
}

# Another helper has its name, and its parent's filter, before it gives up its parent's rights.
helper_has() { # CAPABILITIES
	[[ $(awk '$1 == "CapEff:" { print $2 }' "/proc/$HELPER/status") =~ ^$1$ ]]
}

ALL_RIGHTS='[0-9a-f]+ffffffff'

# check_family NETWORK-RIGHTS COMMAND-NETNS(inside|outside): the rights of all our processes, those
# over the network in hexadecimal (3 or nothing), and of the command.
check_family() {
	local outside inside filter
	outside=$(readlink /proc/self/ns/net)
	filter=$(filter_mode)
	find_family
	inside=$(readlink "/proc/$HELPER/ns/net")
	[ "$inside" != "$outside" ]
	wait_until 10 locked_down # just after the command's start
	wait_until 10 helper_has "0+${1}000"
	check_threads "$ENGINE_PID" 1 "$filter" 0+ "$outside"
	check_threads "$HOST" 1 "$filter" 0+ "$outside"
	check_threads "$CHILD" 1 "$filter" "0+${1}020" "$inside"
	check_threads "$HELPER" 1 "$filter" "0+${1}000" "$inside"
	[ "$2" = inside ] || inside=$outside
	check_threads "$COMMAND" 0 0 "$ALL_RIGHTS" "$inside"
}

@test "security: every thread gives up its rights, the command keeps all of root's" {
	engine_start "$DIR/sec.ini"
	check_family 3 inside
	assert_match "$(cat /proc/"$ENGINE_PID"/task/*/comm)" rk-worker-0
	# Another helper is as poor.
	kill -KILL "$HELPER"
	wait_until 10 another_helper
	check_family 3 inside
	engine_stop
}

another_helper() {
	local now
	now=$(descendant "$ENGINE_PID" nsctl-helper)
	[ -n "$now" ] && [ "$now" != "$HELPER" ]
}

@test "security: the same with a PID namespace, a detached network, and no client addresses" {
	ENGINE_OPTIONS=(-o process.pidns=true -o port.source-ip=off)
	engine_start "$DIR/sec.ini"
	check_family "" inside
	engine_stop
	ENGINE_OPTIONS=(-o network.detach-netns=true)
	engine_start "$DIR/sec.ini"
	check_family 3 outside
	engine_stop
}

@test "security: --attach by root keeps what a new helper takes, and low ports" {
	as_root_only 'an engine of root'
	local target low rights=0+2804c2 outside
	outside=$(readlink /proc/self/ns/net)
	env RK_TEST_ID="$MARK" unshare --net sleep infinity </dev/null >/dev/null 2>&1 3>&- &
	target=$!
	low=$(low_port 600)
	wait_until 15 in_other_netns "$target" "$outside"
	ENGINE_LOG=$DIR/attach.log
	env RK_TEST_ID="$MARK" "$RK_BIN/rk-engine" -o "engine.state-dir=$STATE" --attach "$target" \
		</dev/null >"$ENGINE_LOG" 2>&1 3>&- &
	ENGINE_PID=$!
	wait_until 10 grep -q 'attached to' "$ENGINE_LOG"
	check_threads "$ENGINE_PID" 1 "$(filter_mode)" "$rights" "$outside"
	HELPER=$(descendant "$ENGINE_PID" nsctl-helper)
	wait_until 10 helper_has 0+
	check_threads "$HELPER" 1 "$(filter_mode)" 0+ "$(readlink "/proc/$target/ns/net")"
	"$RK_BIN/rootlessctl" --socket "$STATE/api.sock" add-ports "127.0.0.1:$low:7001/tcp"
	is_listening t "$low"
	kill -KILL "$HELPER"
	wait_until 10 another_helper
	kill -TERM "$ENGINE_PID"
	engine_wait
	[ ! -e "$STATE" ]
}

# From another number on in each run at the same time.
low_port() { # FROM
	local range=$(((RK_PORTS - PORTS_FIRST) / PORTS_SIZE)) port
	port=$(($1 + range * 10))
	while is_listening t "$port"; do
		port=$((port + 1))
	done
	echo "$port"
}

in_other_netns() {
	[ "$(readlink "/proc/$1/ns/net")" != "$2" ]
}

# check_low_port PORT: the engine alone has the right to low ports, every thread of it and none else of
# the family, and keeps it for ports that come later.
check_low_port() {
	local outside inside later
	outside=$(readlink /proc/self/ns/net)
	find_family
	inside=$(readlink "/proc/$HELPER/ns/net")
	wait_until 10 locked_down
	is_listening t "$1"
	check_threads "$ENGINE_PID" 1 "$(filter_mode)" 0+400 "$outside"
	check_threads "$HOST" 1 "$(filter_mode)" 0+ "$outside"
	check_threads "$CHILD" 1 "$(filter_mode)" 0+3020 "$inside"
	check_threads "$HELPER" 1 "$(filter_mode)" 0+3000 "$inside"
	later=$(low_port 700)
	run -0 ctl add-ports "127.0.0.1:$later:7001/tcp"
	PORT=$later serves
	kill_marked "$MARK"
	assert_none_left "$MARK" 10
	assert_port_freed t "$later"
}

@test "security: low ports by setcap or an ambient capability, at the start and later" {
	as_root_only 'giving capabilities'
	local low plain=$RK_BIN user=("${AS_USER[@]}")
	low=$(low_port 600)
	write_config "$DIR/sec.ini" "127.0.0.1:$low:7001/tcp" </dev/null
	# Without, all ways out are named, and the file that setcap takes.
	run as_user "$RK_BIN/rk-engine" -c "$DIR/sec.ini" -- true
	assert_equal "$status" 1
	assert_match "$output" "port $low .*sysctl net\.ipv4\.ip_unprivileged_port_start=$low"
	assert_match "$output" "setcap cap_net_bind_service=ep $RK_BIN/rk-engine.*publish a port from 1024 on"
	mkdir "$DIR/bin"
	cp "$RK_BIN/rk-engine" "$RK_BIN/rootlesskit" "$RK_BIN/nsctl" "$DIR/bin/"
	setcap cap_net_bind_service=ep "$DIR/bin/rk-engine"
	setcap cap_net_bind_service=ep "$DIR/bin/rootlesskit"
	RK_BIN=$DIR/bin engine_start "$DIR/sec.ini"
	check_low_port "$low"
	run -0 as_user "$DIR/bin/rootlesskit" --net=none --port-driver=builtin -p "127.0.0.1:$low:7001/tcp" true
	AS_USER=(setpriv "--reuid=$TEST_UID" "--regid=$TEST_GID" --init-groups
		"--inh-caps=-all,+net_bind_service" --ambient-caps=+net_bind_service "${CLEAN[@]}")
	RK_BIN=$plain engine_start "$DIR/sec.ini"
	AS_USER=("${user[@]}")
	check_low_port "$low"
}

@test "security: programs that a port driver starts need the engine's leave to execute" {
	ENGINE_OPTIONS=(-o port.driver=socat)
	engine_start "$DIR/sec.ini"
	check_threads "$ENGINE_PID" 1 "$(filter_mode)" 0+ "$(readlink /proc/self/ns/net)"
	serves
	run -0 ctl add-ports "127.0.0.1:$(free_port):7001/tcp"
	engine_stop
}

@test "security: seccomp and landlock can be turned off, and demanded" {
	ENGINE_OPTIONS=(-o engine.seccomp=false -o engine.landlock=false)
	engine_start "$DIR/sec.ini"
	find_family
	for pid in "$ENGINE_PID" "$HOST" "$CHILD" "$HELPER"; do
		assert_match "$(cat "/proc/$pid/status")" $'Seccomp:\t0'
	done
	engine_stop
	ENGINE_OPTIONS=(-o engine.seccomp=true -o engine.landlock=true)
	engine_start "$DIR/sec.ini"
	engine_stop
}

@test "security: a kernel without seccomp and Landlock: a warning, or one clear line" {
	as_root_only 'hiding them'
	[ "$(filter_mode)" = 2 ] || skip 'a build with a sanitizer asks for no filter'
	local key
	AS_USER=("$RK_TOOLS/deny-lockdown" "${AS_USER[@]}")
	engine_start "$DIR/sec.ini"
	assert_match "$(cat "$ENGINE_LOG")" 'rk-engine: warning: no filter of system calls'
	serves
	engine_stop
	for key in seccomp landlock; do
		run as_user "$RK_BIN/rk-engine" -c "$DIR/sec.ini" -o "engine.$key=true" -- true
		assert_equal "$status" 1
		assert_match "$output" "\[engine\] $key: .*set it to auto"
		[ ! -e "$STATE" ]
	done
}

# --- an intruder in the engine ---------------------------------------------------------------

# injected NUMBER ARG...: the engine's main thread makes that system call (x86-64).
injected() {
	"$RK_TOOLS/inject-call" "$ENGINE_PID" "$@"
}

# The engine must die of the call, and the rest with it.
check_deadly() {
	engine_start "$DIR/sec.ini"
	assert_equal "$(injected "$@")" 'killed by signal 31'
	assert_none_left "$MARK" 10
}

@test "security: an intruder who executes, traces or enters a namespace ends everything" {
	as_root_only 'tracing'
	[ "$(filter_mode)" = 2 ] || skip 'a build with a sanitizer has no filter'
	check_deadly 59 @/bin/true 0 0 # execve
	check_deadly 101 16 1          # ptrace(PTRACE_ATTACH)
	check_deadly 272 0x10000000    # unshare(CLONE_NEWUSER)
	check_deadly 425 8 0           # io_uring_setup
}

@test "security: an intruder reaches no files but the engine's, makes no process and no code" {
	as_root_only 'tracing'
	[ "$(filter_mode)" = 2 ] || skip 'a build with a sanitizer has no filter'
	engine_start "$DIR/sec.ini"
	assert_equal "$(injected 2 @/etc/passwd 0)" 'returned -13'
	assert_equal "$(injected 2 "@$DIR/sec.ini" 0)" 'returned -13'
	assert_equal "$(injected 2 "@$RK_TMP/home/new" 65 0600)" 'returned -13'
	assert_equal "$(injected 87 "@$DIR/sec.ini")" 'returned -13'
	assert_equal "$(injected 2 "@/proc/$(descendant "$ENGINE_PID" nsctl)/mem" 0)" 'returned -13'
	assert_match "$(injected 2 "@$STATE/child_pid" 0)" 'returned [0-9]+'
	assert_equal "$(injected 57)" 'returned -38'                 # fork
	assert_equal "$(injected 9 0 4096 7 0x22 -1 0)" 'returned -38' # mmap, executable
	assert_equal "$(injected 62 1 9)" 'returned -38'             # kill
	assert_equal "$(injected 41 17 3 768)" 'returned -38'        # socket(AF_PACKET)
	# It was only stopped for moments, and serves on.
	serves
	engine_stop
	[ ! -e "$STATE" ]
}

# --- the control API -------------------------------------------------------------------------

# The API's answer to uid $1 with group $1, with the words in front.
asked_by() {
	local uid=$1
	shift
	setpriv --reuid="$uid" --regid="$uid" --clear-groups "$@" \
		curl -sS --max-time 20 --unix-socket "$STATE/api.sock" http://rk/v1/info 2>&1
}

@test "security: the API's socket is the user's, whatever its mode" {
	as_root_only 'being another user'
	engine_start "$DIR/sec.ini"
	assert_equal "$(stat -c '%a %u' "$STATE/api.sock")" "600 $TEST_UID"
	assert_match "$(api GET /v1/info)" 200
	run ! asked_by 65533
	# Somebody opened everything up: the peer's uid counts.
	chmod 755 "$STATE"
	chmod 666 "$STATE/api.sock"
	run ! asked_by 65533
	refute_match "$output" apiVersion
	wait_until 10 grep -q 'refused a connection of another user' "$ENGINE_LOG"
	# Root, too, and is told whom to be.
	run ! "$RK_BIN/rootlessctl" --socket "$STATE/api.sock" list-ports
	assert_match "$output" "belongs to user $TEST_UID"
	# Root of a namespace of another user is that other user.
	run ! asked_by 65533 unshare --user --map-root-user
	refute_match "$output" apiVersion
	assert_match "$(api GET /v1/info)" apiVersion
	engine_stop
}

@test "security: users of the namespaces may ask the API, as root and as others" {
	engine_start "$DIR/sec.ini"
	chmod 755 "$STATE"
	chmod 666 "$STATE/api.sock"
	run -0 in_ns curl -sS --max-time 20 --unix-socket "$STATE/api.sock" http://rk/v1/info
	assert_match "$output" apiVersion
	run -0 in_ns setpriv --reuid=1000 --regid=1000 --clear-groups \
		curl -sS --max-time 20 --unix-socket "$STATE/api.sock" http://rk/v1/info
	assert_match "$output" apiVersion
	engine_stop
}

# --- what forwarding needs -------------------------------------------------------------------

@test "security: builtin needs neither /dev/net/tun nor a writable /proc/sys" {
	as_root_only 'hiding them'
	AS_USER=(unshare --mount sh -ec 'mount --bind -o ro /proc/sys /proc/sys
		mount -o remount,bind,ro /proc/sys; mount -t tmpfs none /dev/net
		! echo 1 2>/dev/null >/proc/sys/net/ipv4/ip_forward; [ ! -e /dev/net/tun ]
		exec "$@"' sh "${AS_USER[@]}")
	ENGINE_OPTIONS=(-o network.driver=none)
	engine_start "$DIR/sec.ini"
	serves
	engine_stop
	assert_equal "$ENGINE_STATUS" 143
}
