# attach.bats: forward into a network namespace that others have made: `rk-engine --attach`, and
# librkengine through docs/examples/embed.c, linked with the shared and with the static library.

load lib
load ../fault/matrix

setup_file() {
	file_start
	# A user namespace with a network namespace, by a program that knows nothing of us.
	"${AS_USER[@]}" unshare --user --map-root-user --net \
		sh -c "ip link set lo up; $RK_TOOLS/udp-server 127.0.0.1 7001 & exec $RK_TOOLS/tcp-server digest 127.0.0.1 7001" \
		</dev/null >"$FILE_DIR/target.out" 2>&1 3>&- &
	export TARGET=$!
	server_wait target
	mkdir "$RK_TMP/lib"
	cp -P "$RK_BUILD"/lib/librkengine.so* "$RK_TMP/lib/"
	cp "$RK_BUILD/examples/embed" "$RK_BUILD/examples/embed-static" "$RK_TMP/lib/"
	chmod 755 "$RK_TMP/lib"
}

teardown_file() {
	file_end
	rm -rf "${RK_TMP:?}/lib"
}

setup() {
	test_start
	PORT=$(free_port)
	UDP_PORT=$(free_port)
}

# attach_start WORD...: a program that forwards, once it says "ready"; sets ATTACHED.
attach_start() {
	: >"$DIR/out" # an earlier one was ready, too
	"${AS_USER[@]}" "LD_LIBRARY_PATH=$RK_TMP/lib" "NSCTL=$RK_BIN/nsctl" "$@" \
		</dev/null >"$DIR/out" 2>&1 3>&- &
	ATTACHED=$!
	wait_until 10 grep -q ready "$DIR/out" && return 0
	cat "$DIR/out" >&2
	return 1
}

attach_wait() { # STATUS
	local status=0
	wait_until 10 is_gone "$ATTACHED" || return 1
	wait "$ATTACHED" || status=$?
	assert_equal "$status" "$1"
	refute_match "$(cat "$DIR/out")" 'Sanitizer|runtime error:'
}

attach_stop() {
	kill -TERM "$ATTACHED"
	attach_wait 0
	run ! is_listening t "$PORT"
	assert_none_left "$MARK"
}

digests() {
	local answer
	answer=$(tool tcp-client half-close "$1" "$PORT" "${2:-100000}") || return 1
	assert_equal "$(head -n 1 <<<"$answer")" "sent $(sed -n 2p <<<"$answer")"
}

echoes() {
	assert_equal "$(tool udp-client echo "$1" "$UDP_PORT" 1200)" "1200 ok from $1"
}

# --- rk-engine --attach ----------------------------------------------------------------------

engine_attach() { # TARGET [WORD...]
	STATE=$DIR/state
	attach_start "$RK_BIN/rk-engine" -o "engine.state-dir=$STATE" --attach "$@"
}

@test "attach: ports of a process's network namespace, TCP and UDP" {
	engine_attach "$TARGET" -p "127.0.0.1:$PORT:7001/tcp" -p ":$UDP_PORT:7001/udp"
	digests 127.0.0.1 3000001
	echoes 127.0.0.1
	echoes ::1
	attach_stop
	[ ! -e "$STATE" ]
}

@test "attach: the engine stays in the host's namespaces, its helper is in the other" {
	local helper
	engine_attach "$TARGET" -p "127.0.0.1:$PORT:7001/tcp"
	assert_equal "$(readlink "/proc/$ATTACHED/ns/net")" "$(readlink /proc/self/ns/net)"
	assert_equal "$(readlink "/proc/$ATTACHED/ns/user")" "$(readlink /proc/self/ns/user)"
	helper=$(descendant "$ATTACHED" nsctl-helper)
	assert_equal "$(awk '$1 == "CapEff:" { print $2 }' "/proc/$helper/status")" 0000000000000000
	if [ "$(id -u)" -eq 0 ]; then # the helper lets no plain user look
		assert_equal "$(readlink "/proc/$helper/ns/net")" "$(readlink "/proc/$TARGET/ns/net")"
	fi
	attach_stop
}

@test "attach: nsctl status says what the engine is attached to" {
	engine_attach "$TARGET" -p "127.0.0.1:$PORT:7001/tcp"
	run -0 as_user "$RK_BIN/nsctl" status "$STATE"
	assert_match "$output" "running: yes"$'\n'"attached to: $TARGET\$"
	run -0 as_user "$RK_BIN/nsctl" status "$STATE" --json
	assert_equal "$(json '(d["running"], d["attachedTo"], "childPID" in d)' <<<"$output")" \
		"(True, '$TARGET', False)"
	run as_user "$RK_BIN/nsctl" enter "$STATE" -- true
	assert_equal "$status" 1
	assert_match "$output" "attached to $TARGET and has no namespaces.*nsctl enter PID"
	kill -KILL "$ATTACHED"
	wait_until 10 is_gone "$ATTACHED"
	run as_user "$RK_BIN/nsctl" status "$STATE"
	assert_equal "$status" 3
}

@test "attach: the file of a network namespace" {
	engine_attach "/proc/$TARGET/ns/net" -p "127.0.0.1:$PORT:7001/tcp"
	digests 127.0.0.1
	attach_stop
}

@test "attach: a helper that cannot be replaced during a shortage is replaced after it" {
	local FAULTY fault
	fault "$DIR/fault" off
	fault_words "$DIR/fault"
	STATE=$DIR/state
	attach_start "${FAULTY[@]}" "$RK_BIN/rk-engine" -o "engine.state-dir=$STATE" -o engine.pool-size=1 \
		--attach "$TARGET" -p "127.0.0.1:$PORT:7001/tcp"
	for fault in 'socketpair EMFILE' 'fork EAGAIN'; do
		# shellcheck disable=SC2086 # two words
		fault "$DIR/fault" set $fault rk-engine 0 1
		kill -KILL "$(descendant "$ATTACHED" nsctl-helper)"
		fault_happened() { [ "$(fault "$DIR/fault" hits)" -gt 0 ]; }
		wait_until 10 fault_happened
		wait_until 10 many_digests
	done
	attach_stop
}

# More than the workers may still have sockets for.
many_digests() {
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		timeout 3 "$RK_TOOLS/tcp-client" half-close 127.0.0.1 "$PORT" 1000 >/dev/null 2>&1 ||
			return 1
	done
}

@test "attach: ports come and go through the control API" {
	engine_attach "$TARGET"
	run -0 ctl add-ports "127.0.0.1:$PORT:7001/tcp"
	digests 127.0.0.1
	ctl remove-ports "$output"
	run ! is_listening t "$PORT"
	assert_match "$(ctl info)" "Child PID: $TARGET"
	attach_stop
}

@test "attach: a helper that dies is replaced" {
	engine_attach "$TARGET" -o engine.pool-size=4 -p "127.0.0.1:$PORT:7001/tcp"
	kill -KILL "$(descendant "$ATTACHED" nsctl-helper)"
	wait_until 10 grep -q 'helper was restarted' "$DIR/out"
	# More than the sockets that were made ahead of need.
	for _ in {1..40}; do
		digests 127.0.0.1 1000
	done
	attach_stop
}

@test "attach: the engine is killed: the helper ends" {
	engine_attach "$TARGET" -p "127.0.0.1:$PORT:7001/tcp"
	kill -KILL "$ATTACHED"
	assert_none_left "$MARK"
}

@test "attach: it ends with the process that it is attached to" {
	"${AS_USER[@]}" unshare --user --map-root-user --net sleep 60 </dev/null >/dev/null 2>&1 3>&- &
	local target=$!
	wait_until 10 runs_sleep "$target"
	engine_attach "$target" -p "127.0.0.1:$PORT:7001/tcp"
	kill -KILL "$target"
	attach_wait 0
	assert_match "$(cat "$DIR/out")" "process $target has ended"
	assert_none_left "$MARK"
}

# Before that its namespaces may be there without their ids.
runs_sleep() {
	[ "$(cat "/proc/$1/comm")" = sleep ]
}

# refuse REGEX WORD...: rk-engine --attach WORD... fails, says why in one line, leaves nothing.
refuse() {
	local expected=$1
	shift
	run -1 as_user "$RK_BIN/rk-engine" -o "engine.state-dir=$DIR/state" --attach "$@"
	assert_match "$output" "$expected"
	assert_equal "${#lines[@]}" 1
	[ ! -e "$DIR/state" ]
	assert_none_left "$MARK"
}

# A start with a helper that never answers.
silent_start() { # TARGET
	mkdir -p "$DIR/bin"
	cp "$RK_BIN/rk-engine" "$DIR/bin/"
	printf '#!/bin/sh\necho helper waits\nexec sleep 60\n' >"$DIR/bin/nsctl"
	chmod 755 "$DIR/bin/nsctl"
	: >"$DIR/out" # an earlier helper waited, too
	"${AS_USER[@]}" "$DIR/bin/rk-engine" -o "engine.state-dir=$DIR/state" --attach "$1" \
		-p "127.0.0.1:$PORT:7001/tcp" </dev/null >"$DIR/out" 2>&1 3>&- &
	ATTACHED=$!
	wait_until 10 grep -q 'helper waits' "$DIR/out"
}

@test "attach: a start whose helper says nothing ends when it is asked to, and with the target" {
	local target
	silent_start "$TARGET"
	kill -TERM "$ATTACHED"
	attach_wait 0
	refute_match "$(cat "$DIR/out")" 'did not answer'
	"${AS_USER[@]}" unshare --user --map-root-user --net sleep infinity </dev/null 3>&- &
	target=$!
	wait_until 10 runs_sleep "$target"
	silent_start "$target"
	kill -KILL "$target"
	attach_wait 1
	assert_match "$(cat "$DIR/out")" "process $target has ended"
	assert_none_left "$MARK"
	[ ! -e "$DIR/state" ]
}

@test "attach: targets that cannot be are refused with the reason" {
	refuse 'process 999999999: No such process' 999999999 -p "127.0.0.1:$PORT:7001/tcp"
	refuse 'not a process id' 0
	refuse '/etc/passwd is not a network namespace' /etc/passwd
	refuse 'ns/user is not a network namespace' "/proc/$TARGET/ns/user"
	refuse 'missing: No such file' "$DIR/missing"
	refuse 'process id or the file .* is needed' ''
	refuse 'is in the network namespace that the engine is in.*STATE-DIR/netns' /proc/self/ns/net
	refuse '"true" is too much' "$TARGET" -- true
	refuse '-p: .*port spec "nonsense"' "$TARGET" -p nonsense
	refuse 'needs a value' "$TARGET" -p
}

@test "attach: a process of another user is refused with the remedy" {
	[ "$TEST_UID" -ne 0 ]
	refuse "process 1: Permission denied \\(attach as the user who started it, or as root\\)" 1
}

@test "attach: a namespace of the host's root is refused with the reason" {
	[ "$(id -u)" -eq 0 ] || skip "making such a namespace needs root"
	ip netns add "rk-attach$$"
	run as_user "$RK_BIN/rk-engine" -o "engine.state-dir=$DIR/state" --attach "/run/netns/rk-attach$$"
	ip netns del "rk-attach$$"
	[ "$status" -eq 1 ]
	assert_match "$output" 'join its network namespace: Operation not permitted .*only root of that'
}

@test "attach: root becomes root of the user's namespace, and cannot be traced from in there" {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	local helper engine
	env "RK_TEST_ID=$MARK" "$RK_BIN/rk-engine" -o "engine.state-dir=$DIR/state" --attach "$TARGET" \
		-p "127.0.0.1:$PORT:7001/tcp" </dev/null >"$DIR/out" 2>&1 3>&- &
	engine=$!
	wait_until 10 grep -q ready "$DIR/out"
	digests 127.0.0.1
	helper=$(descendant "$engine" nsctl-helper)
	assert_equal "$(awk '$1 == "Uid:" { print $2 }' "/proc/$helper/status")" "$TEST_UID"
	run as_user nsenter --preserve-credentials -t "$TARGET" -U -- ls "/proc/$helper/fd"
	[ "$status" -ne 0 ]
	kill -TERM "$engine"
	wait "$engine"
	assert_none_left "$MARK"
}

# --- librkengine -----------------------------------------------------------------------------

# embed_serves PROGRAM: it forwards until SIGTERM and then says what it carried.
embed_serves() {
	attach_start "$1" "$TARGET" "127.0.0.1:$PORT:7001/tcp" ":$UDP_PORT:7001/udp"
	digests 127.0.0.1 3000001
	echoes ::1
	attach_stop
	assert_match "$(cat "$DIR/out")" "1 127.0.0.1:$PORT:7001/tcp: 1 connections, 3000001 bytes in, "
	assert_match "$(cat "$DIR/out")" "2 :$UDP_PORT:7001/udp: "
}

@test "librkengine: the example with the shared library" {
	assert_match "$(LD_LIBRARY_PATH=$RK_TMP/lib ldd "$RK_TMP/lib/embed")" "librkengine.so.0 => $RK_TMP"
	embed_serves "$RK_TMP/lib/embed"
}

@test "librkengine: the example with the static library" {
	refute_match "$(ldd "$RK_TMP/lib/embed-static")" librkengine
	embed_serves "$RK_TMP/lib/embed-static"
}

@test "librkengine: errors come back as text" {
	run -1 as_user env "NSCTL=$RK_BIN/nsctl" "$RK_TMP/lib/embed-static" "$TARGET" nonsense
	assert_match "$output" 'port spec "nonsense"'
	run -1 as_user env "NSCTL=$RK_BIN/nsctl" "$RK_TMP/lib/embed-static" "$TARGET" "127.0.0.1:1:1/tcp"
	assert_match "$output" '127.0.0.1.*Permission denied'
	run -1 as_user env "NSCTL=$DIR/missing" "$RK_TMP/lib/embed-static" "$TARGET" ":$PORT:1/tcp"
	assert_match "$output" 'missing: not found .*install nsctl'
	run -1 as_user env "NSCTL=$RK_BIN/nsctl" "$RK_TMP/lib/embed-static" "$DIR/none" ":$PORT:1/tcp"
	assert_match "$output" 'none: No such file'
	assert_none_left "$MARK"
}

library_client() { # SIZE MAX-PENDING
	local sanitizer
	# A sanitizer's own library wants to be loaded first; what Python leaks is not ours.
	sanitizer=$(ldd "$RK_TMP/lib/librkengine.so" | awk '$1 ~ /^libasan/ { print $3 }')
	as_user env "LD_PRELOAD=$sanitizer" ASAN_OPTIONS=detect_leaks=0 python3 "$DIR/library-client.py" "$RK_TMP/lib/librkengine.so" "$RK_BIN/nsctl" \
		"$TARGET" "$PORT" 7005 "$@"
}

@test "librkengine: max_pending holds, and programs that do not know it yet work" {
	cp "$RK_TOP/tests/tools/library-client.py" "$DIR/"
	# It accepts nobody, and its backlog is full.
	"${AS_USER[@]}" nsenter --preserve-credentials -t "$TARGET" -U -n -- python3 -uc 'import socket, time
s = socket.create_server(("127.0.0.1", 7005), backlog=0)
clients = [socket.socket() for i in range(4)]
for c in clients:
    c.setblocking(False)
    c.connect_ex(("127.0.0.1", 7005))
print("ready")
time.sleep(60)' </dev/null >"$FILE_DIR/full.out" 2>&1 3>&- &
	server_wait full
	assert_equal "$(library_client 56 1)" paused
	assert_equal "$(library_client 56 0)" listening
	assert_equal "$(library_client 48 0)" listening
	assert_match "$(library_client 56 2000000)" 'max-pending.*2000000'
}

@test "librkengine: both libraries show the functions of rk_engine.h and nothing else" {
	local declared
	declared=$(grep -oE 'rk_engine_[a-z_]+\(' "$RK_TOP/engine/rk_engine.h" | tr -d '(' | sort -u |
		grep -vx rk_engine_port_function)
	assert_equal "$(nm -D --defined-only "$RK_BUILD/lib/librkengine.so" | awk '$2 == "T" { print $3 }' |
		sed 's/@.*//' | sort)" "$declared"
	assert_equal "$(nm -g --defined-only "$RK_BUILD/lib/librkengine.a" |
		awk '$2 ~ /^[A-Z]$/ && $3 !~ /^__(asan|odr_asan|ubsan)/ { print $3 }' | sort)" "$declared"
}

@test "librkengine: make install puts it where pkg-config finds it" {
	local flags program=$DIR/embed sanitize=()
	make -s -C "$RK_TOP" "BUILD=$RK_BUILD" "DESTDIR=$DIR/root" PREFIX=/opt/rk install-library
	export PKG_CONFIG_PATH=$DIR/root/opt/rk/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$DIR/root
	assert_equal "$(pkg-config --modversion librkengine)" "$(cat "$RK_TOP/VERSION")"
	flags=$(pkg-config --cflags --libs librkengine)
	if nm -D "$RK_BUILD/lib/librkengine.so" | grep -q __asan; then
		sanitize=(-fsanitize=address -fsanitize=undefined)
	fi
	# shellcheck disable=SC2086 # a list of flags
	cc -Wall -Werror -Wno-unused-result "${sanitize[@]}" "$DIR/root/opt/rk/share/doc/rk-engine/examples/embed.c" \
		$flags -o "$program"
	assert_match "$(LD_LIBRARY_PATH=$DIR/root/opt/rk/lib ldd "$program")" "librkengine.so.0 => $DIR/root"
	clang -x c++ -nostdinc++ -Wall -Wextra -Werror -fsyntax-only "$RK_TOP/engine/rk_engine.h"
}
