# surroundings.bats: what changes around a running engine: its directory, its disk, the clock, the
# network's interfaces, a suspended machine.

load ../integration/lib
load matrix

setup() {
	test_start
	PORT=$(free_port) UDP=$(free_port)
	CONFIG=$DIR/e.ini STATE=$DIR/e.state
	write_config "$CONFIG" "127.0.0.1:$PORT:7001/tcp" "127.0.0.1:$UDP:7002/udp" <<-END
		[engine]
		udp-idle-timeout = 5s
	END
}

teardown() {
	[ -z "${NET:-}" ] || ip netns delete "$NET" 2>/dev/null || true
	[ -z "${NET:-}" ] || ip netns delete "${NET}c" 2>/dev/null || true
	test_end
	! mountpoint -q "$FILE_DIR/disk" || umount "$FILE_DIR/disk"
}

servers() {
	server_start tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7002
}

udp_answers() {
	[ "$(timeout 3 "$RK_TOOLS/udp-client" echo 127.0.0.1 "$UDP" 10)" = '10 ok from 127.0.0.1' ]
}

udp_flows() {
	api_body /v1/stats | json "sum(p['connections']['open'] for p in d if p['id'] == 2)"
}

# --- the state directory

# small_disk: FILE_DIR/disk, one MiB; the state directory is there.
small_disk() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to mount a small file system"
	mkdir -p "$FILE_DIR/disk"
	mount -t tmpfs -o "size=1m,uid=$TEST_UID,mode=755" rk-test "$FILE_DIR/disk"
	sed -i "s#^state-dir.*#state-dir = $FILE_DIR/disk/e.state#" "$CONFIG"
	cp "$CONFIG" "$FILE_DIR/disk/e.ini"
	CONFIG=$FILE_DIR/disk/e.ini STATE=$FILE_DIR/disk/e.state
}

@test "surroundings: the disk of the state directory is full at the start" {
	small_disk
	head -c 2000000 /dev/zero >"$FILE_DIR/disk/fill" 2>/dev/null || true
	run as_user "$RK_BIN/rk-engine" -c "$CONFIG" -- echo it-ran
	assert_equal "$status" 1
	refute_match "$output" it-ran
	assert_match "$output" 'No space left on device.*state-dir'
	[ ! -e "$STATE" ]
	assert_none_left "$MARK"
}

@test "surroundings: the disk is full when child_pid is written" {
	local FAULTY
	fault_words "$DIR/fault"
	fault "$DIR/fault" set renameat ENOSPC rk-engine 0 1
	run as_user "${FAULTY[@]}" "$RK_BIN/rk-engine" -c "$CONFIG" -- echo it-ran
	assert_equal "$status" 1
	refute_match "$output" it-ran
	assert_match "$output" 'child_pid.*No space left on device.*state-dir'
	[ ! -e "$STATE" ]
	assert_none_left "$MARK"
}

@test "surroundings: the disk fills while the engine runs: it serves, and stops as usual" {
	small_disk
	engine_start "$CONFIG"
	servers
	head -c 2000000 /dev/zero >"$FILE_DIR/disk/fill" 2>/dev/null || true
	case_answers "$PORT"
	ctl add-ports "127.0.0.1:$(free_port):7001/tcp"
	engine_stop
	[ ! -e "$STATE" ]
}

@test "surroundings: the state directory is on a file system that may not be written" {
	small_disk
	mount -o remount,ro "$FILE_DIR/disk"
	run as_user "$RK_BIN/rk-engine" -c "$CONFIG" -- echo it-ran
	assert_equal "$status" 1
	assert_match "$output" 'Read-only file system.*state-dir'
	assert_none_left "$MARK"
}

@test "surroundings: the state directory is removed while the engine runs: ports go on" {
	engine_start "$CONFIG"
	servers
	rm -rf "$STATE"
	case_answers "$PORT"
	udp_answers
	engine_stop
	refute_match "$(cat "$ENGINE_LOG")" 'error'
	run ! is_listening t "$PORT"
}

@test "surroundings: the longest state directory works, one byte more is refused" {
	local long
	mkdir "$DIR/p"
	chown "$TEST_UID" "$DIR/p"
	long=$DIR/p/$(printf 'x%.0s' {1..98})
	long=${long:0:98}
	run -0 as_user "$RK_BIN/rk-engine" -c "$CONFIG" -o "engine.state-dir=$long" -- test -S "$long/api.sock"
	[ ! -e "$long" ]
	run as_user "$RK_BIN/rk-engine" -c "$CONFIG" -o "engine.state-dir=${long}x" -- true
	assert_equal "$status" 1
	assert_match "$output" 'state-dir.*(allowed: 107|at most 98)'
}

# --- time

@test "surroundings: the clock on the wall jumps a day either way: flows and their end are as before" {
	local FAULTY jump client
	fault "$DIR/fault" off
	fault_words "$DIR/fault"
	engine_start "$CONFIG" env "${FAULTY[@]}"
	servers
	for jump in 86400 -86400; do
		"${CLEAN[@]}" timeout 30 "$RK_TOOLS/tcp-many" 127.0.0.1 "$PORT" 10 2000 >"$DIR/many" 2>&1 3>&- &
		client=$!
		udp_answers
		fault "$DIR/fault" clock "$jump"
		# The flow is there a second later, and gone when its five seconds are over.
		sleep 1
		assert_equal "$(udp_flows)" 1
		flow_ended() { [ "$(udp_flows)" = 0 ]; }
		wait_until 20 flow_ended
		wait "$client"
		assert_match "$(cat "$DIR/many")" '^ok 10 '
		case_answers "$PORT"
		fault "$DIR/fault" clock 0
	done
	engine_stop
}

@test "surroundings: engine, nsctl and helper are stopped for a while and go on" {
	local pids
	engine_start "$CONFIG"
	servers
	case_answers "$PORT"
	pids=$(for pid in $(marked "$MARK"); do
		grep -lE '^(rk-engine|nsctl|slirp4netns)' "/proc/$pid/comm"
	done | cut -d / -f 3)
	# shellcheck disable=SC2086 # a list of numbers
	kill -STOP $pids
	timeout 1 "$RK_TOOLS/tcp-many" 127.0.0.1 "$PORT" 1 1 || true
	sleep 3
	# shellcheck disable=SC2086
	kill -CONT $pids
	wait_until 20 case_answers "$PORT"
	wait_until 20 udp_answers
	api_body /v1/info >/dev/null
	engine_stop
	refute_match "$(cat "$ENGINE_LOG")" 'error'
}

# --- interfaces

# other_host: a network namespace NET in which the engine is to run, with a link to the client's.
other_host() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make network namespaces"
	NET=rkfault$BASHPID
	ip netns add "$NET"
	ip netns add "${NET}c"
	ip -n "$NET" link add eth0 type veth peer name eth0 netns "${NET}c"
	ip -n "$NET" link set lo up
	ip -n "$NET" address add 198.18.7.1/24 dev eth0
	ip -n "$NET" address add 2001:db8:7::1/64 dev eth0 nodad
	ip -n "${NET}c" address add 198.18.7.2/24 dev eth0
	ip -n "${NET}c" address add 2001:db8:7::2/64 dev eth0 nodad
	ip -n "$NET" link set eth0 up
	ip -n "${NET}c" link set eth0 up
	AS_USER=(ip netns exec "$NET" "${AS_USER[@]}")
}

from_outside() {
	timeout 5 ip netns exec "${NET}c" "$@"
}

outside_tcp() { # ADDRESS
	from_outside "$RK_TOOLS/tcp-many" "$1" "$PORT" 2 2 | grep -q '^ok 2 '
}

outside_udp() { # ADDRESS
	[ "$(from_outside "$RK_TOOLS/udp-client" echo "$1" "$UDP" 10)" = "10 ok from $1" ]
}

@test "surroundings: the host's link goes down and up, and gets another address" {
	other_host
	sed -i "s#^publish = 127.0.0.1:#publish = :#" "$CONFIG"
	engine_start "$CONFIG"
	servers
	wait_until 10 outside_tcp 198.18.7.1
	wait_until 10 outside_tcp 2001:db8:7::1
	outside_udp 198.18.7.1
	ip -n "$NET" link set eth0 down
	run ! outside_udp 198.18.7.1
	ip -n "$NET" link set eth0 up
	wait_until 10 outside_tcp 198.18.7.1
	wait_until 10 outside_udp 198.18.7.1
	ip -n "$NET" address flush dev eth0
	ip -n "$NET" address add 198.18.7.9/24 dev eth0
	wait_until 10 outside_tcp 198.18.7.9
	wait_until 10 outside_udp 198.18.7.9
	engine_stop
	refute_match "$(cat "$ENGINE_LOG")" 'error'
}

@test "surroundings: IPv6 is switched off while the engine runs: IPv4 goes on" {
	other_host
	sed -i "s#^publish = 127.0.0.1:#publish = :#" "$CONFIG"
	engine_start "$CONFIG"
	servers
	wait_until 10 outside_tcp 2001:db8:7::1
	ip netns exec "$NET" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
	outside_tcp 198.18.7.1
	outside_udp 198.18.7.1
	ip netns exec "$NET" sh -c 'echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6'
	ip -n "$NET" address add 2001:db8:7::1/64 dev eth0 nodad
	wait_until 10 outside_tcp 2001:db8:7::1
	engine_stop
}

@test "surroundings: tap0 of the namespace goes down and up: published ports go on" {
	engine_start "$CONFIG"
	servers
	in_ns ip link set tap0 down
	case_answers "$PORT"
	udp_answers
	in_ns ip link set tap0 up
	case_answers "$PORT"
	udp_answers
	engine_stop
}
