# drivers-lxc.bats: the network driver lxc-user-nic, on a bridge that these tests make.
#
# The bridge, its DHCP server, /etc/lxc and /run/lxc are those of the "host" network and its mount
# namespace alone: what the machine has stays as it is.

load lib
load drivers

BRIDGE=rkbr0
BRIDGE_IP=10.91.7.1

setup_file() {
	[ "$(id -u)" -eq 0 ] || return 0
	file_start
	etc_lxc_hold
	host_network_enter
	bridge_make
	usernet "$TEST_USER veth $BRIDGE 10"
	dnsmasq_start
	export WEB UDP
	WEB=$(free_port) UDP=$(free_port)
	lxc_config "$FILE_DIR/lxc.ini" "127.0.0.1:$WEB:7001/tcp" "127.0.0.1:$UDP:7001/udp" </dev/null
	engine_start "$FILE_DIR/lxc.ini"
	server_start tcp "$RK_TOOLS/tcp-server" echo 0.0.0.0 7001
	server_start udp "$RK_TOOLS/udp-server" 0.0.0.0 7001
}

teardown_file() {
	[ "$(id -u)" -eq 0 ] || return 0
	engine_stop || true
	file_end
	etc_lxc_remove
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make a bridge"
	test_start
	host_network_enter
	PORT=$(free_port)
}

# /etc/lxc, which bridge_make mounts over, is the machine's. To remove it takes the mounts of another
# run away with it, so each run holds a lock, and the last one removes what one of them has made.
MADE_ETC_LXC=/run/lxc/rk-tests-made-etc-lxc

etc_lxc_hold() {
	mkdir -p /run/lxc
	RK_TEST_ID=$FILE_MARK flock --shared /run/lxc sh -c '
		! mkdir /etc/lxc 2>/dev/null || touch "$1"
		echo held
		exec sleep infinity' sh "$MADE_ETC_LXC" </dev/null >"$FILE_DIR/etc-lxc" 2>&1 3>&- &
	wait_until 10 grep -q held "$FILE_DIR/etc-lxc"
}

etc_lxc_remove() {
	flock --nonblock --conflict-exit-code 200 /run/lxc sh -c '
		[ ! -e "$1" ] || { rmdir /etc/lxc && rm "$1"; }' sh "$MADE_ETC_LXC" || [ $? -eq 200 ]
}

# lxc-user-nic looks for the bridge in sysfs, which shows the network that it was mounted in. A bridge
# without a hardware address of its own has the lowest one of its ports: another when a run ends, and
# what the others then send to the old one is lost until they ask again.
bridge_make() {
	"${ON_HOST[@]}" sh -e -c '
		mount -t sysfs sysfs /sys
		mount -t tmpfs tmpfs /etc/lxc
		mount -t tmpfs tmpfs /run/lxc
		ip link add name "$1" address "$3" type bridge
		ip addr add "$2/24" dev "$1"
		ip link set "$1" up' sh "$BRIDGE" "$BRIDGE_IP" 02:00:0a:5b:07:01
}

# usernet LINE...: the whole of /etc/lxc/lxc-usernet.
usernet() {
	printf '%s\n' "$@" | "${ON_HOST[@]}" tee /etc/lxc/lxc-usernet >/dev/null
}

# Two minutes are the shortest lease that it gives.
dnsmasq_start() {
	"${ON_HOST[@]}" env "RK_TEST_ID=$FILE_MARK" dnsmasq --keep-in-foreground \
		--conf-file=/dev/null --user=root --no-hosts --no-resolv --no-ping --bind-interfaces \
		--interface="$BRIDGE" --except-interface=lo --listen-address="$BRIDGE_IP" \
		--dhcp-range=10.91.7.50,10.91.7.99,255.255.255.0,2m --dhcp-authoritative --log-dhcp \
		--dhcp-leasefile="$FILE_DIR/leases" --pid-file="$FILE_DIR/dnsmasq.pid" \
		--address=/some.name.example/198.18.0.77 --log-facility=- \
		</dev/null >"$FILE_DIR/dnsmasq.log" 2>&1 3>&- &
	wait_until 10 grep -q 'sockets bound' "$FILE_DIR/dnsmasq.log" ||
		{ cat "$FILE_DIR/dnsmasq.log" >&2; return 1; }
}

# A second bridge with a server of our own behind it, named in OTHER_BRIDGE. MODE: see
# dhcp-server.py, "none": no server.
other_bridge() { # LEASE-SECONDS MODE
	OTHER_BRIDGE=rkbr$BATS_TEST_NUMBER
	"${ON_HOST[@]}" sh -e -c '
		ip link add name "$1" address "$2" type bridge
		ip addr add 10.92.7.1/24 dev "$1"
		ip link set "$1" up' sh "$OTHER_BRIDGE" 02:00:0a:5c:07:01
	usernet "$TEST_USER veth $BRIDGE 10" "$TEST_USER veth $OTHER_BRIDGE 10"
	lxc_config "$DIR/test.ini" </dev/null
	[ "$2" != none ] || return 0
	: >"$FILE_DIR/dhcp.out" # an earlier one was ready, too
	"${ON_HOST[@]}" env "RK_TEST_ID=$MARK" python3 "$RK_TOP/tests/tools/dhcp-server.py" \
		"$OTHER_BRIDGE" 10.92.7.1 10.92.7.50 "$1" "$2" </dev/null >"$FILE_DIR/dhcp.out" 2>&1 3>&- &
	SERVER_PID=$!
	server_wait dhcp
}

other_bridge_remove() {
	"${ON_HOST[@]}" ip link del "$OTHER_BRIDGE"
	usernet "$TEST_USER veth $BRIDGE 10"
}

server_heard() { # COUNT REGEX
	[ "$(grep -cE "$2" "$FILE_DIR/dhcp.out")" -ge "$1" ]
}

lxc_config() { # FILE [SPEC...]
	local file=$1
	shift
	{
		printf '[lxc-user-nic]\nbridge = %s\n' "${OTHER_BRIDGE:-$BRIDGE}"
		cat
	} >"$file.extra"
	driver_config "$file" lxc-user-nic builtin "$@" <"$file.extra"
}

config() { # [SPEC...]
	lxc_config "$DIR/test.ini" "$@"
}

keeper_of() { # ENGINE-PID
	descendant "$(descendant "$1" nsctl)" nsctl-dhcp
}

child_ip() {
	in_ns ip -4 -o addr show dev eth0 | sed -n 's/.* inet \([0-9.]*\).*/\1/p'
}

ports_on_bridge() {
	"${ON_HOST[@]}" ip -o link show master "$1" | wc -l
}

ports_are() { # BRIDGE COUNT
	[ "$(ports_on_bridge "$1")" -eq "$2" ]
}

# The run that waits ends by itself within ten seconds and says why.
ends_with() { # SECONDS REGEX
	engine_wait "$1"
	[ "$ENGINE_STATUS" -eq 1 ]
	assert_match "$(cat "$ENGINE_LOG")" "$2"
	assert_none_left "$ENGINE_MARK"
	[ ! -e "$STATE" ]
}

@test "lxc: info has the address of the lease, which may change" {
	local info
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["networkDriver"]["driver"]' <<<"$info")" lxc-user-nic
	assert_match "$(json 'd["networkDriver"]["childIP"]' <<<"$info")" '^10\.91\.7\.[5-9][0-9]$'
	assert_equal "$(json 'd["networkDriver"]["dynamicChildIP"]' <<<"$info")" True
	assert_equal "$(json 'd["networkDriver"]["dns"]' <<<"$info")" "['$BRIDGE_IP']"
}

@test "lxc: the interface has what the lease says, and the bridge's MTU" {
	local ip
	ip=$(api_body /v1/info | json 'd["networkDriver"]["childIP"]')
	assert_match "$(in_ns ip -o addr show dev eth0)" "inet $ip/24"
	assert_match "$(in_ns ip -o link show dev eth0)" 'UP.*mtu 1500'
	assert_match "$(in_ns ip route show default)" "^default via 10\\.91\\.7\\.1 dev eth0"
	assert_match "$(in_ns cat /etc/resolv.conf)" 'nameserver 10\.91\.7\.1'
	assert_match "$(cat "$FILE_DIR/leases")" " $ip "
}

@test "lxc: the child pings the bridge and resolves names there" {
	in_ns ping -c 1 -W 5 "$BRIDGE_IP"
	assert_match "$(in_ns getent ahostsv4 some.name.example)" '^198\.18\.0\.77 '
}

@test "lxc: the child reaches the host over TCP and UDP" {
	host_server_start outer-tcp "$RK_TOOLS/tcp-server" echo "$BRIDGE_IP" "$PORT"
	host_server_start outer-udp "$RK_TOOLS/udp-server" "$BRIDGE_IP" "$PORT"
	assert_match "$(child_tool tcp-many "$BRIDGE_IP" "$PORT" 20 5)" '^ok 20 '
	assert_match "$(child_tool udp-client echo "$BRIDGE_IP" "$PORT" 1 512 1400 9000)" '9000 ok'
}

@test "lxc: many megabytes arrive unchanged in both directions" {
	local sent
	host_server_start source "$RK_TOOLS/tcp-server" source "$BRIDGE_IP" "$PORT" 50000000
	child_tool tcp-client receive "$BRIDGE_IP" "$PORT"
	PORT=$(free_port)
	host_server_start taker "$RK_TOOLS/tcp-server" observe "$BRIDGE_IP" "$PORT"
	sent=$(child_tool tcp-client half-close "$BRIDGE_IP" "$PORT" 50000000 | sed -n 's/^sent //p')
	[ -n "$sent" ]
	wait_until 10 grep -q "^eof $sent" "$FILE_DIR/taker.out"
}

@test "lxc: ports published by builtin work over TCP and UDP" {
	assert_match "$(host_tool tcp-many 127.0.0.1 "$WEB" 20 5)" '^ok 20 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$UDP" 1 512 8000)" '8000 ok'
}

@test "lxc: the child is reached at its own address, too" {
	local ip
	ip=$(child_ip)
	[ -n "$ip" ]
	assert_match "$(host_tool tcp-many "$ip" 7001 5 5)" '^ok 5 '
}

@test "lxc: the process that keeps the lease is out of the child's sight" {
	local keeper
	keeper=$(keeper_of "$ENGINE_PID")
	[ -n "$keeper" ]
	assert_equal "$(readlink "/proc/$keeper/ns/net")" "$("${ON_HOST[@]}" readlink /proc/self/ns/net)"
	assert_equal "$(readlink "/proc/$keeper/ns/user")" "$(readlink /proc/self/ns/user)"
	run ! as_user readlink "/proc/$keeper/exe"
	assert_equal "$(fd_count "$keeper")" 7
}

@test "lxc: ifname and a smaller mtu are applied, a larger one is refused" {
	config <<<$'[network]\nifname = wan7\nmtu = 1400'
	engine_start "$DIR/test.ini"
	assert_match "$(in_ns ip -o addr show dev wan7)" 'inet 10\.91\.7\.'
	assert_match "$(in_ns ip -o link show dev wan7)" 'mtu 1400'
	engine_stop
	config <<<$'[network]\nmtu = 1501'
	refused "$DIR/test.ini" "mtu: 1501 is more than the 1500 of the bridge $BRIDGE"
}

@test "lxc: the mtu of the bridge is taken over" {
	other_bridge 3600 keep
	"${ON_HOST[@]}" ip link set "$OTHER_BRIDGE" mtu 9000
	engine_start "$DIR/test.ini"
	assert_match "$(in_ns ip -o link show dev eth0)" 'mtu 9000'
	in_ns ping -c 1 -W 5 -M "do" -s 8972 10.92.7.1
	engine_stop
	other_bridge_remove
}

@test "lxc: a detached network namespace is connected as well" {
	config <<<$'[network]\ndetach-netns = true'
	engine_start "$DIR/test.ini"
	inside() {
		as_user nsenter --preserve-credentials -t "$(cat "$STATE/child_pid")" -U -m \
			nsenter "--net=$STATE/netns" "$@"
	}
	assert_match "$(inside ip -o addr show dev eth0)" 'inet 10\.91\.7\.'
	inside ping -c 1 -W 5 "$BRIDGE_IP"
	engine_stop
	assert_none_left "$MARK"
}

@test "lxc: settings that it cannot fulfil are refused" {
	config <<<$'[network]\nipv6 = true'
	refused "$DIR/test.ini" 'ipv6.*IPv4 by DHCP only'
	config <<<$'[network]\ncidr = 10.9.0.0/24'
	refused "$DIR/test.ini" 'cidr.*DHCP server chooses.*remove cidr'
	driver_config "$DIR/test.ini" lxc-user-nic slirp4netns </dev/null
	refused "$DIR/test.ini" 'requires slirp4netns network'
}

@test "lxc: what /etc/lxc/lxc-usernet does not allow is explained with the line to add" {
	config </dev/null
	"${ON_HOST[@]}" rm /etc/lxc/lxc-usernet
	refused "$DIR/test.ini" "lxc-usernet: not there.*mkdir -p /etc/lxc.*echo '$TEST_USER veth $BRIDGE 10'"
	usernet "nobody veth $BRIDGE 10" "$TEST_USER veth other 10"
	refused "$DIR/test.ini" "$TEST_USER may not have an interface on $BRIDGE.*echo '$TEST_USER veth $BRIDGE 10'"
	usernet "$TEST_USER veth $BRIDGE 1" # the file's own engine has that one
	refused "$DIR/test.ini" "as many interfaces on $BRIDGE as it may.*\"$TEST_USER veth $BRIDGE\""
	usernet "$TEST_USER veth $BRIDGE 10"
	assert_none_left "$MARK"
	wait_until 20 ports_are "$BRIDGE" 1
}

@test "lxc: what is no bridge is explained" {
	OTHER_BRIDGE=nobridge config </dev/null
	refused "$DIR/test.ini" 'bridge: nobridge: No such device.*root'
}

@test "lxc: an interface name that is taken is explained" {
	config <<<$'[network]\nifname = lo'
	refused "$DIR/test.ini" 'has an interface lo already.*ifname'
	wait_until 20 ports_are "$BRIDGE" 1
}

@test "lxc: no_new_privs, which switches set-uid off, is explained" {
	printf '#!/bin/sh\nexec setpriv --no-new-privs /usr/libexec/lxc/lxc-user-nic "$@"\n' >"$DIR/lxc"
	chmod 755 "$DIR/lxc"
	config <<<"$(printf '[lxc-user-nic]\nbinary = %s/lxc\n' "$DIR")"
	refused "$DIR/test.ini" 'lxc does not run as root.*set-uid.*no_new_privs'
}

@test "lxc: a missing program is named with its package" {
	config <<<"$(printf '[lxc-user-nic]\nbinary = /nonexistent/lxc-user-nic\n')"
	refused "$DIR/test.ini" 'lxc-user-nic: not found.*apt install liblxc-common.*\[lxc-user-nic\] binary'
}

@test "lxc: without a DHCP server it gives up after 30 seconds" {
	local started=$SECONDS
	other_bridge 0 none
	refused "$DIR/test.ini" "no DHCP server gave an address within 30 s.*$OTHER_BRIDGE"
	[ $((SECONDS - started)) -ge 29 ]
	assert_none_left "$MARK"
	wait_until 20 ports_are "$OTHER_BRIDGE" 0
	other_bridge_remove
}

@test "lxc: the wait for a DHCP server can be broken off" {
	local started
	other_bridge 0 none
	ENGINE_LOG=$DIR/test.log
	"${AS_USER[@]}" "$RK_BIN/rk-engine" -c "$DIR/test.ini" -- sleep infinity \
		</dev/null >"$ENGINE_LOG" 2>&1 3>&- &
	ENGINE_PID=$!
	wait_until 20 ports_are "$OTHER_BRIDGE" 1
	started=$SECONDS
	engine_stop
	[ $((SECONDS - started)) -le 15 ] # not the 30 that it would wait
	assert_equal "$ENGINE_STATUS" 143
	assert_none_left "$MARK"
	[ ! -e "$DIR/test.state" ]
	other_bridge_remove
}

@test "lxc: the lease is renewed with its server as long as that answers" {
	other_bridge 6 keep
	engine_start "$DIR/test.ini"
	wait_until 30 server_heard 4 '^request alone'
	refute_match "$(cat "$FILE_DIR/dhcp.out")" 'to-all'
	assert_equal "$(child_ip)" 10.92.7.50
	engine_stop
	wait_until 10 server_heard 1 '^release alone'
	other_bridge_remove
}

@test "lxc: a server that names neither T1 nor a router is good enough" {
	other_bridge 6 bare
	engine_start "$DIR/test.ini"
	wait_until 30 server_heard 2 '^request alone'
	assert_equal "$(in_ns ip route show default)" ''
	in_ns ping -c 1 -W 5 10.92.7.1
	engine_stop
	other_bridge_remove
}

@test "lxc: an address that changes ends the run" {
	ENGINE_MARK=$MARK
	other_bridge 6 move
	engine_start "$DIR/test.ini"
	wait_until 10 grep -q 'now gives' "$ENGINE_LOG"
	kill "$SERVER_PID"
	ends_with 10 'lxc-user-nic: the DHCP server now gives the address 10\.92\.7\.51 instead of 10\.92\.7\.50'
	other_bridge_remove
}

@test "lxc: an address that is withdrawn ends the run" {
	ENGINE_MARK=$MARK
	other_bridge 6 nak
	engine_start "$DIR/test.ini"
	wait_until 10 grep -q 'has withdrawn' "$ENGINE_LOG"
	kill "$SERVER_PID"
	ends_with 10 'lxc-user-nic: the DHCP server has withdrawn the address 10\.92\.7\.50'
	other_bridge_remove
}

@test "lxc: a server that falls silent is asked until the lease ends, then the run ends" {
	ENGINE_MARK=$MARK
	other_bridge 12 once
	engine_start "$DIR/test.ini"
	wait_until 15 server_heard 2 '^request alone'
	wait_until 15 server_heard 1 '^request to-all'
	wait_until 15 grep -q 'has ended' "$ENGINE_LOG"
	kill "$SERVER_PID"
	ends_with 10 'the network is gone: lxc-user-nic: the lease of 10\.92\.7\.50 has ended: no DHCP server answered'
	wait_until 20 ports_are "$OTHER_BRIDGE" 0
	other_bridge_remove
}

@test "lxc: an offer that is never confirmed is no address" {
	other_bridge 60 mute
	refused "$DIR/test.ini" 'no DHCP server gave an address within 30 s'
	server_heard 2 '^discover'
	server_heard 4 '^request'
	other_bridge_remove
}

@test "lxc: a clean stop leaves nothing, and gives the address back" {
	local ip
	config "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	[ -n "$(keeper_of "$ENGINE_PID")" ]
	wait_until 20 ports_are "$BRIDGE" 2 # those of runs before may still be going
	ip=$(child_ip)
	engine_stop
	wait_until 10 grep -q "DHCPRELEASE($BRIDGE) $ip " "$FILE_DIR/dnsmasq.log"
	lease_gone() { ! grep -qF " $ip " "$FILE_DIR/leases"; }
	wait_until 10 lease_gone
	assert_equal "$ENGINE_STATUS" 143
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
	wait_until 20 ports_are "$BRIDGE" 1
	host_closed t "$PORT"
}

@test "lxc: the death of the lease's keeper ends the run with a message" {
	config </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(keeper_of "$ENGINE_PID")" \
		'lxc-user-nic: the process that keeps the lease killed by signal 9'
	wait_until 20 ports_are "$BRIDGE" 1
}

@test "lxc: SIGKILL of the engine takes all along" {
	config </dev/null
	engine_start "$DIR/test.ini"
	kill -KILL "$(marked "$MARK" | while read -r pid; do
		[ "$(cat "/proc/$pid/comm")" != rk-engine ] || echo "$pid"
	done)"
	assert_none_left "$MARK"
	wait_until 20 ports_are "$BRIDGE" 1
}

# The last test: half of the two minutes is over by now, or nearly so.
@test "lxc: dnsmasq has renewed the lease at half of its time" {
	local ip renewed
	ip=$(child_ip)
	renewed() { [ "$(grep -cF "DHCPACK($BRIDGE) $ip " "$FILE_DIR/dnsmasq.log")" -ge 2 ]; }
	wait_until 65 renewed
	refute_match "$(cat "$FILE_DIR/dnsmasq.log")" DHCPNAK
	refute_match "$(cat "$ENGINE_LOG")" 'error'
	in_ns ping -c 1 -W 5 "$BRIDGE_IP"
}
