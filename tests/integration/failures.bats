# failures.bats: what is missing or forbidden is said in one line with the remedy; nothing stays.

load lib

setup() {
	test_start
	PORT=$(free_port)
	write_config "$DIR/fail.ini" "127.0.0.1:$PORT:7001/tcp" </dev/null
}

# fails REGEX WORD...: rk-engine with these words in front ends with a message, not with a success,
# and leaves nothing behind.
fails() {
	local regex=$1
	shift
	run as_user "$@" "$RK_BIN/rk-engine" -c "$DIR/fail.ini" -- echo it-ran
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$status" -ne 124 ]
	refute_match "$output" 'it-ran'
	assert_match "$output" "$regex"
	assert_none_left "$MARK"
	run ! is_listening t "$PORT"
	[ ! -e "$DIR/fail.state/api.sock" ]
}

# A PATH with every program but $1.
path_without() {
	local dir=$DIR/path
	mkdir -p "$dir"
	ln -sf -t "$dir" /bin/* /sbin/* /usr/bin/* /usr/sbin/* "$RK_BIN"/*
	rm -f "$dir/$1"
	echo "$dir"
}

@test "failures: output that does not get out is an error" {
	local words
	for words in 'rk-engine --print-config' 'rk-engine --help' 'rootlesskit --help' \
		'rootlessctl --help' 'nsctl --help' 'nsctl run --help'; do
		# shellcheck disable=SC2086 # a command line
		run as_user sh -c 'exec "$@" >/dev/full' sh "$RK_BIN/"$words
		echo "$words: $output"
		assert_equal "$status" 1
		assert_match "$output" 'No space left on device'
	done
}

@test "failure: newuidmap is missing" {
	fails 'newuidmap.*uidmap' env "PATH=$(path_without newuidmap)"
}

@test "failure: newgidmap is missing" {
	fails 'newgidmap.*uidmap' env "PATH=$(path_without newgidmap)"
}

@test "failure: slirp4netns is missing" {
	fails 'slirp4netns.*(install|package|apt)' env "PATH=$(path_without slirp4netns)"
}

@test "failure: slirp4netns fails at once" {
	printf '#!/bin/sh\necho broken on purpose >&2\nexit 3\n' >"$DIR/broken"
	chmod 755 "$DIR/broken"
	printf '[slirp4netns]\nbinary = %s\n' "$DIR/broken" >>"$DIR/fail.ini"
	fails 'broken'
}

@test "failure: slirp4netns never gets ready" {
	printf '#!/bin/sh\nexec sleep 100\n' >"$DIR/stuck"
	chmod 755 "$DIR/stuck"
	printf '[slirp4netns]\nbinary = %s\n' "$DIR/stuck" >>"$DIR/fail.ini"
	fails 'stuck'
}

@test "failure: the user has no sub-id range" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to run as another user"
	# The user nobody is in no file.
	install -d -o 65534 -m 755 "$DIR/nobody"
	sed -i "s#^state-dir.*#state-dir = $DIR/nobody/state#" "$DIR/fail.ini"
	run setpriv --reuid=65534 --regid=65534 --clear-groups "${CLEAN[@]}" timeout 30 \
		"$RK_BIN/rk-engine" -c "$DIR/fail.ini" -- echo it-ran
	[ "$status" -ne 0 ]
	refute_match "$output" 'it-ran'
	assert_match "$output" 'subuid'
	assert_match "$output" 'usermod'
	assert_none_left "$MARK"
}

@test "failure: a port is in use" {
	host_server_start taken "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	run as_user "$RK_BIN/rk-engine" -c "$DIR/fail.ini" -- echo it-ran
	[ "$status" -ne 0 ]
	refute_match "$output" 'it-ran'
	assert_match "$output" "127\.0\.0\.1:$PORT.*[Aa]ddress already in use"
	[ ! -e "$DIR/fail.state" ]
}

@test "failure: a privileged port" {
	sed -i 's#^publish.*#publish = 127.0.0.1:81:7001/tcp#' "$DIR/fail.ini"
	fails '81.*ip_unprivileged_port_start'
}

@test "failure: /dev/net/tun cannot be opened" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to change the mode of /dev/net/tun"
	# In a mount namespace of its own, so that nobody else sees the change.
	run unshare -m sh -c 'touch "$0/tun"; chmod 600 "$0/tun"; mount --bind "$0/tun" /dev/net/tun; shift 0; exec "$@"' \
		"$DIR" "${AS_USER[@]}" timeout 30 "$RK_BIN/rk-engine" -c "$DIR/fail.ini" -- echo it-ran
	[ "$status" -ne 0 ]
	refute_match "$output" 'it-ran'
	assert_match "$output" '/dev/net/tun'
	assert_none_left "$MARK"
}

@test "failure: the state directory belongs to somebody else" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a directory of another user"
	install -d -o 65534 -m 777 "$DIR/fail.state"
	run as_user "$RK_BIN/rk-engine" -c "$DIR/fail.ini" -- echo it-ran
	[ "$status" -ne 0 ]
	assert_match "$output" "$DIR/fail.state"
	refute_match "$output" 'it-ran'
}

@test "failure: the state directory cannot be made" {
	sed -i "s#^state-dir.*#state-dir = /proc/none/state#" "$DIR/fail.ini"
	fails '/proc/none'
}

@test "failure: user namespaces are used up" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to limit user namespaces"
	# The limit is that of a user namespace around the engine, not of the machine.
	local outer
	unshare --user sh -c 'until grep -q . /proc/self/uid_map && grep -q . /proc/self/gid_map; do
			sleep 0.05; done
		echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh "${AS_USER[@]}" \
		timeout 20 "$RK_BIN/rk-engine" -c "$DIR/fail.ini" -- echo it-ran >"$DIR/out" 2>&1 3>&- &
	outer=$!
	own_user_namespace() {
		[ "$(readlink "/proc/$outer/ns/user")" != "$(readlink /proc/self/ns/user)" ]
	}
	wait_until 15 own_user_namespace
	echo '0 0 4294967295' >"/proc/$outer/uid_map"
	echo '0 0 4294967295' >"/proc/$outer/gid_map"
	status=0
	wait "$outer" || status=$?
	output=$(cat "$DIR/out")
	[ "$status" -ne 0 ]
	refute_match "$output" 'it-ran'
	assert_match "$output" 'max_user_namespaces'
	assert_none_left "$MARK"
}

@test "failure: nsctl is not there" {
	install -d -o "$TEST_UID" "$DIR/alone"
	cp "$RK_BIN/rk-engine" "$DIR/alone/"
	run as_user env "PATH=$(path_without nsctl)" timeout 30 "$DIR/alone/rk-engine" -c "$DIR/fail.ini" \
		-- echo it-ran
	[ "$status" -ne 0 ]
	refute_match "$output" 'it-ran'
	assert_match "$output" 'nsctl'
	assert_none_left "$MARK"
}

@test "failure: the helper dies: open ports go on" {
	local helper
	engine_start "$DIR/fail.ini"
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	tool tcp-many 127.0.0.1 "$PORT" 5 1
	helper=$(helper_pid)
	[ -n "$helper" ]
	kill -KILL "$helper"
	new_connections_work() { tool tcp-many 127.0.0.1 "$PORT" 200 1; }
	wait_until 10 new_connections_work
	wait_until 10 grep -q helper "$ENGINE_LOG"
	engine_stop
}

# The helper names itself, so that it is told from the other nsctl processes.
helper_pid() {
	local pid
	for pid in $(marked "$MARK"); do
		case "$(tr '\0' ' ' <"/proc/$pid/cmdline") $(cat "/proc/$pid/comm")" in
		*helper*) echo "$pid" ;;
		esac
	done | head -n 1
}
