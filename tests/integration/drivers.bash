# drivers.bash: what the tests of the network and port drivers share; `load drivers` after `load lib`.
#
# A driver's test has a "host" network of its own: one interface with an address and a default route
# in each family, a resolv.conf with a name server of ours, and loopback. So what the machine has
# does not matter, and no packet leaves it. That takes root; a plain user's tests run in the network
# of the machine, where some cannot.

# Call after file_start and after test_start: "${AS_USER[@]}" runs in that network from then on.
host_network_enter() {
	if [ "$(id -u)" -ne 0 ]; then
		ON_HOST=()
		HOST_IP=$(ip -4 -o addr show scope global | awk '{ print $4; exit }' | cut -d / -f 1)
		return
	fi
	[ -s "$FILE_DIR/host-network" ] || host_network_make
	ON_HOST=(nsenter -t "$(cat "$FILE_DIR/host-network")" -n -m)
	AS_USER=("${ON_HOST[@]}" "${AS_USER[@]}")
	HOST_IP=198.18.0.1
}

host_network_make() {
	local holder
	printf 'nameserver 198.18.0.1\n' >"$FILE_DIR/resolv.conf"
	env "RK_TEST_ID=$FILE_MARK" unshare -n -m sleep infinity </dev/null >/dev/null 2>&1 3>&- &
	holder=$!
	# Before it is sleep, its mounts may still be shared with those of the machine.
	own_network() { [ "$(cat "/proc/$holder/comm")" = sleep ]; }
	wait_until 10 own_network
	nsenter -t "$holder" -n -m sh -e -c '
		ip link set lo up
		ip link add uplink type veth peer name gateway
		ip link set uplink up
		ip link set gateway up
		ip addr add 198.18.0.1/24 dev uplink
		ip addr add fd99::1/64 dev uplink nodad
		ip route add default via 198.18.0.2
		ip -6 route add default via fd99::2
		sysctl -qw net.ipv4.ping_group_range="0 2147483647"
		mount --bind "$1" "$(realpath /etc/resolv.conf)"' sh "$FILE_DIR/resolv.conf"
	echo "$holder" >"$FILE_DIR/host-network"
}

# driver_config FILE NET PORT [SPEC...]: a configuration with these drivers and ports; standard input
# is appended to it.
driver_config() {
	local file=$1 net=$2 port=$3 spec
	shift 3
	{
		printf '[engine]\nstate-dir = %s\n' "${file%.ini}.state"
		printf '[network]\ndriver = %s\n' "$net"
		printf '[port]\ndriver = %s\n' "$port"
		for spec in "$@"; do
			printf 'publish = %s\n' "$spec"
		done
		[ -t 0 ] || cat
	} >"$file"
	chown "$TEST_UID:$TEST_GID" "$file"
}

# host_tool NAME ARGS...: one of our test programs in the "host" network.
host_tool() {
	local name=$1
	shift
	timeout -k 1 "$LIMIT_S" "${ON_HOST[@]}" "$RK_TOOLS/$name" "$@"
}

child_tool() {
	local name=$1
	shift
	in_ns "$RK_TOOLS/$name" "$@"
}

# Whether a port is open in the "host" network.
host_listens() { # PROTO(t|u) PORT
	[ -n "$("${ON_HOST[@]}" ss -Hln"$1" "sport = :$2")" ]
}

host_closed() {
	! host_listens "$@"
}

# refused CONFIG REGEX: rk-engine does not run the command and says why.
refused() {
	run as_user "$RK_BIN/rk-engine" -c "$1" -- echo it-ran
	[ "$status" -ne 0 ]
	[ "$status" -ne 124 ]
	refute_match "$output" 'it-ran'
	assert_match "$output" "$2"
}

# The backend's process is killed: the engine ends by itself, says what died and returns a failure.
# That takes a moment, which is printed; the machine may be busy.
dies_with() { # PID REGEX
	local started
	started=$(date +%s%N)
	kill -KILL "$1"
	said() { grep -qE "$2" "$ENGINE_LOG"; }
	wait_until 10 said "$@" || { cat "$ENGINE_LOG" >&2; return 1; }
	engine_wait 10
	[ "$ENGINE_STATUS" -ne 0 ]
	echo "noticed and ended after $((($(date +%s%N) - started) / 1000000)) ms"
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
}
