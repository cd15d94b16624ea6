# lib.bash: what the integration tests share; `load lib` at the top of each file.
#
# A file has one directory (FILE_DIR) for all its tests and each test one of its own (DIR). Programs
# run as the unprivileged user through "${AS_USER[@]}". Whatever a file starts carries
# RK_TEST_ID=... in its environment, so that left-overs are found wherever they run.

. "$RK_TOP/tests/user.bash"
. "$RK_TOP/tests/ports.bash"

# --- files and users -------------------------------------------------------------------------

# Call first in setup_file.
file_start() {
	bats_require_minimum_version 1.5.0
	FILE_DIR=$(mktemp -d "$RK_TMP/$(basename "$BATS_TEST_FILENAME" .bats).XXXXXX")
	chown "$TEST_UID:$TEST_GID" "$FILE_DIR"
	chmod 755 "$FILE_DIR"
	# Not called RK_TEST_ID: the processes of bats itself must not carry the mark.
	export FILE_DIR FILE_MARK=${FILE_DIR##*/}
	user_environment "$FILE_MARK"
}

# Call last in teardown_file: ends every process that this file started.
file_end() {
	kill_marked "$FILE_MARK"
	rm -rf "$FILE_DIR"
}

# Call first in setup.
test_start() {
	DIR=$FILE_DIR/test$BATS_TEST_NUMBER
	mkdir -p "$DIR"
	chown "$TEST_UID:$TEST_GID" "$DIR"
	MARK=$FILE_MARK-test$BATS_TEST_NUMBER
	user_environment "$MARK"
}

# Call in teardown: ends every process that this test started.
test_end() {
	kill_marked "$MARK"
	rm -rf "$DIR"
}

# What every file does that does nothing else; others define their own. An engine that setup_file
# started is ended.
setup_file() {
	file_start
}

teardown_file() {
	[ -z "${ENGINE_PID:-}" ] || engine_stop 15 || true
	file_end
}

setup() {
	test_start
}

teardown() {
	test_end
}

# AS_USER with the mark $1 in the environment of whatever it starts.
user_environment() {
	# For sanitizer builds: a report makes the program fail. ThreadSanitizer does not see io_uring
	# close a descriptor, and takes the next owner of its number for a race: so not from calls of libc.
	user_command "$RK_TMP/home" "$RK_BIN" "RK_TEST_ID=$1" \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		TSAN_OPTIONS=halt_on_error=1:ignore_interceptors_accesses=1
}

# Limits of time grow by this factor in builds that are slow, such as those with sanitizers.
RK_SLOW=${RK_SLOW:-1}

# No command of a test may run for longer than this, so that a hang fails the test that caused it.
LIMIT_S=$((40 * RK_SLOW))

as_user() {
	timeout -k 1 "$LIMIT_S" "${AS_USER[@]}" "$@"
}

# Process ids with mark $1, or with that of a test in file $1 (zombies have no environment).
marked() {
	grep -lzE "^RK_TEST_ID=$1(-test[0-9]+)?\$" /proc/[0-9]*/environ 2>/dev/null | cut -d / -f 3 || true
}

kill_marked() {
	wait_until 20 none_after_kill "$1" && return 0
	echo "processes of $1 cannot be ended: $(marked "$1")" >&2
	return 1
}

none_after_kill() {
	local pids
	pids=$(marked "$1")
	[ -n "$pids" ] || return 0
	# shellcheck disable=SC2086 # a list of numbers
	kill -KILL $pids 2>/dev/null || true
	return 1
}

# Fails, and says who, when a process with mark $1 is still there after $2 seconds.
assert_none_left() {
	local pids pid
	wait_until "${2:-5}" none_marked "$1" && return 0
	pids=$(marked "$1")
	for pid in $pids; do
		echo "left behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" >&2
	done
	return 1
}

none_marked() {
	[ -z "$(marked "$1")" ]
}

# is_gone PID: with all its threads. While others still end, and so hold its files and sockets, the
# first one is a zombie already.
is_gone() {
	local status
	status=$(cat "/proc/$1/status" 2>/dev/null) || return 0
	[[ -z $status || $status == *$'\nState:\tZ'*$'\nThreads:\t1\n'* ]]
}

# --- waiting and checking --------------------------------------------------------------------

# wait_until SECONDS COMMAND...: repeats it until it succeeds, for that long at least (SECONDS counts
# whole ones, the first may be nearly over); see RK_SLOW.
wait_until() {
	local end=$((SECONDS + $1 * RK_SLOW))
	shift
	until "$@"; do
		[ "$SECONDS" -le "$end" ] || return 1
		sleep 0.05
	done
}

# Fails with both texts when $1 does not match the extended regular expression $2.
assert_match() {
	[[ $1 =~ $2 ]] && return 0
	printf 'expected to match: %s\nis: %s\n' "$2" "$1" >&2
	return 1
}

refute_match() {
	[[ ! $1 =~ $2 ]] && return 0
	printf 'expected not to match: %s\nis: %s\n' "$2" "$1" >&2
	return 1
}

assert_equal() {
	[ "$1" = "$2" ] && return 0
	printf 'expected: %s\nis: %s\n' "$2" "$1" >&2
	return 1
}

# json EXPRESSION: evaluates a Python expression over the JSON document `d` on standard input.
json() {
	python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

is_listening() { # PROTO(t|u) PORT
	[ -n "$(ss -Hln"$1" "sport = :$2")" ]
}

# What a killed process had open is closed by the kernel, which may be a moment later than its memory,
# and so its mark, is gone. Who ends by himself has closed his ports before: then there is no wait.
assert_port_freed() { # PROTO(t|u) PORT [HOW-TO-LOOK]
	port_is_freed() { ! "${3:-is_listening}" "$1" "$2"; }
	wait_until 10 port_is_freed "$@" && return 0
	echo "$1 port $2 is still open" >&2
	return 1
}

# --- the engine ------------------------------------------------------------------------------

# write_config FILE PORT-SPEC...: a configuration with slirp4netns and these ports; standard input
# is appended to it.
write_config() {
	local file=$1 spec
	shift
	{
		printf '[engine]\nstate-dir = %s\n' "${file%.ini}.state"
		printf '[network]\ndriver = slirp4netns\nipv6 = true\n'
		printf 'disable-host-loopback = false\n'
		printf '[port]\ndriver = builtin\n'
		for spec in "$@"; do
			printf 'publish = %s\n' "$spec"
		done
		[ -t 0 ] || cat
	} >"$file"
	chown "$TEST_UID:$TEST_GID" "$file"
}

# engine_start CONFIG [WORD...]: starts it with a command that waits; sets ENGINE_PID, STATE and
# ENGINE_LOG; returns when the command runs. The words come before rk-engine (prlimit...),
# ENGINE_OPTIONS after its configuration. RK_IO and RK_BULK, when set, are the data plane's I/O method
# and how it moves what is sent in bulk.
ENGINE_OPTIONS=()
engine_start() {
	local config=$1 plane=()
	shift
	[ -z "${RK_IO:-}" ] || plane=(-o "engine.io=$RK_IO")
	[ -z "${RK_BULK:-}" ] || plane+=(-o "engine.bulk=$RK_BULK")
	STATE=${config%.ini}.state
	ENGINE_LOG=${config%.ini}.log
	: >"$ENGINE_LOG" # one that was killed here had been ready, too
	"${AS_USER[@]}" "$@" "$RK_BIN/rk-engine" -c "$config" "${plane[@]}" "${ENGINE_OPTIONS[@]}" -- sleep infinity \
		</dev/null >"$ENGINE_LOG" 2>&1 3>&- &
	ENGINE_PID=$!
	export STATE ENGINE_LOG ENGINE_PID
	wait_until 30 engine_ready_or_gone || true
	if engine_gone || ! engine_ready; then
		echo "rk-engine is not ready" >&2
		cat "$ENGINE_LOG" >&2
		return 1
	fi
}

# The files alone may be those of a run that was killed.
engine_ready() {
	grep -q 'ready:' "$ENGINE_LOG" && [ -s "$STATE/child_pid" ] && [ -S "$STATE/api.sock" ]
}

engine_ready_or_gone() {
	engine_ready || engine_gone
}

# Ends the engine as a user would, and leaves its exit status in ENGINE_STATUS.
engine_stop() {
	kill -TERM "$ENGINE_PID" 2>/dev/null || true
	engine_wait "${1:-15}"
}

engine_wait() {
	ENGINE_STATUS=0
	if ! wait_until "${1:-15}" engine_gone; then
		echo "rk-engine did not end" >&2
		cat "$ENGINE_LOG" >&2
		return 1
	fi
	# When it was started in setup_file, this shell is not its parent and has no status.
	wait "$ENGINE_PID" 2>/dev/null || ENGINE_STATUS=$?
	refute_match "$(cat "$ENGINE_LOG")" 'Sanitizer|runtime error:'
}

engine_gone() {
	is_gone "$ENGINE_PID"
}

# in_ns COMMAND...: runs it as root of the namespaces.
in_ns() {
	as_user nsenter --preserve-credentials -t "$(cat "$STATE/child_pid")" -U -m -n -- "$@"
}

# server_start NAME COMMAND...: a server in the namespaces that prints "ready"; its output is in
# FILE_DIR/NAME.out. host_server_start: the same outside.
server_start() {
	local name=$1
	shift
	: >"$FILE_DIR/$name.out" # an earlier one of that name was ready, too
	# Not through in_ns: the process that is started here must be the server itself.
	"${AS_USER[@]}" nsenter --preserve-credentials -t "$(cat "$STATE/child_pid")" -U -m -n -- "$@" \
		</dev/null >"$FILE_DIR/$name.out" 2>&1 3>&- &
	server_wait "$name"
}

host_server_start() {
	local name=$1
	shift
	: >"$FILE_DIR/$name.out"
	"${AS_USER[@]}" "$@" </dev/null >"$FILE_DIR/$name.out" 2>&1 3>&- &
	server_wait "$name"
}

server_wait() {
	wait_until 20 grep -q ready "$FILE_DIR/$1.out" && return 0
	cat "$FILE_DIR/$1.out" >&2
	return 1
}

# The output of a server since the last call of server_mark.
server_mark() {
	SERVER_LINES=$(wc -l <"$FILE_DIR/$1.out")
}

server_output() {
	tail -n "+$((SERVER_LINES + 1))" "$FILE_DIR/$1.out"
}

server_said() { # NAME REGEX
	server_output "$1" | grep -qE "$2"
}

tool() {
	local name=$1
	shift
	timeout -k 1 "$LIMIT_S" "$RK_TOOLS/$name" "$@"
}

# --- the control API -------------------------------------------------------------------------

# api METHOD PATH [BODY]: prints the body, then the status on a line of its own.
api() {
	local body=()
	[ $# -lt 3 ] || body=(-H 'Content-Type: application/json' --data-binary "$3")
	as_user curl -sS --max-time 10 --unix-socket "$STATE/api.sock" -X "$1" "${body[@]}" \
		-w '\n%{http_code}\n' "http://rk$2"
}

api_body() {
	as_user curl -sS --max-time 10 --unix-socket "$STATE/api.sock" "http://rk$1"
}

ctl() {
	as_user "$RK_BIN/rootlessctl" --socket "$STATE/api.sock" "$@"
}

# Debian's rootlessctl, from package rootlesskit.
go_ctl() {
	as_user /usr/bin/rootlessctl --socket "$STATE/api.sock" "$@"
}

# --- figures of a process --------------------------------------------------------------------

# Resident memory in KiB; the number of open descriptors.
rss_kib() {
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status"
}

fd_count() {
	local fds=(/proc/"$1"/fd/*)
	echo ${#fds[@]}
}

# The first descendant of process $1 whose command name is $2.
descendant() {
	local pid found children
	read -r -d '' -a children < <(cat /proc/"$1"/task/*/children 2>/dev/null) || true
	for pid in "${children[@]}"; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "$2" ] || { echo "$pid"; return; }
		found=$(descendant "$pid" "$2")
		[ -z "$found" ] || { echo "$found"; return; }
	done
}
