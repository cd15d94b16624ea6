# source-ip.bash: two other machines for clients, played by network namespaces with a veth pair each.
#
#   remotes_start   sets HOST4, HOST6 (our addresses on the first link), HOST4B, HOST6B (second),
#                   CLIENT4, CLIENT6 (the first machine's own); needs root
#   remote A|B COMMAND...   runs it there
#   bridge_start PORT       a container network in the namespace, and servers in a container of it, to
#                           which NAT leads what comes to PORT; sets INSIDE4, INSIDE6, addresses of
#                           that network which the first machine gets

# What files with such clients do. Those that do more once define prepare_file.
setup_file() {
	[ "$(id -u)" -eq 0 ] || return 0
	file_start
	remotes_start
	prepare_file
}

prepare_file() {
	:
}

teardown_file() {
	[ "$(id -u)" -eq 0 ] || return 0
	[ -z "${ENGINE_PID:-}" ] || engine_stop || true
	remotes_end
	file_end
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make clients on other machines"
	test_start
}

teardown() {
	[ "$(id -u)" -eq 0 ] || return 0
	test_end
}

remotes_start() {
	# Never 0: an address with that group has a shorter text, and the tests compare texts.
	local number=$((BASHPID % 120 + 1)) tries=1 name net
	# Two runs at the same time must not take the same networks: the name of the namespace decides.
	until ip netns add "rksrc${number}A" 2>"$FILE_DIR/remotes.log"; do
		[ "$tries" -lt 120 ] || { cat "$FILE_DIR/remotes.log" >&2; return 1; }
		tries=$((tries + 1)) number=$((number % 120 + 1))
	done
	REMOTE=rksrc$number
	HOST4=198.18.$number.1 CLIENT4=198.18.$number.2 HOST6=2001:db8:$number::1
	CLIENT6=2001:db8:$number::2
	HOST4B=198.18.$((number + 120)).1 HOST6B=2001:db8:$((number + 120))::1
	export REMOTE HOST4 HOST6 CLIENT4 CLIENT6 HOST4B HOST6B
	for name in A B; do
		net=$number
		[ "$name" = A ] || net=$((number + 120))
		[ "$name" = A ] || ip netns add "$REMOTE$name"
		ip link add "$REMOTE$name" type veth peer name eth0 netns "$REMOTE$name"
		ip address add "198.18.$net.1/24" dev "$REMOTE$name"
		ip address add "2001:db8:$net::1/64" dev "$REMOTE$name" nodad
		ip link set "$REMOTE$name" up
		ip -n "$REMOTE$name" address add "198.18.$net.2/24" dev eth0
		ip -n "$REMOTE$name" address add "2001:db8:$net::2/64" dev eth0 nodad
		ip -n "$REMOTE$name" link set eth0 up
	done
	# The link is usable when neighbours answer.
	wait_until 15 remote A ping -c 1 -W 1 "$HOST4"
	wait_until 15 remote B ping -c 1 -W 1 "$HOST6B"
}

remotes_end() {
	local name
	for name in A B; do
		ip link delete "$REMOTE$name" 2>/dev/null || true
		ip netns delete "$REMOTE$name" 2>/dev/null || true
	done
}

# Like Docker without its proxy: DNAT for what arrives and for what starts here, not for 127.0.0.0/8;
# forwarding denied but for the bridge.
bridge_start() {
	local number=${REMOTE#rksrc} inner proto
	local net4=172.30.$number net6=fd30:$number:
	export INSIDE4=$net4.77 INSIDE6=$net6:77
	in_ns sh -c '
		unshare -n sleep 1000 & inner=$!
		until [ "$(cat /proc/$inner/comm)" = sleep ]; do sleep 0.05; done
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		ip link add br0 type bridge
		ip address add $1.1/24 dev br0
		ip address add $2:1/64 dev br0 nodad
		ip link set br0 up
		ip link add port0 type veth peer name eth0 netns $inner
		ip link set port0 master br0 up
		nsenter -n -t $inner sh -c "
			ip link set lo up; ip link set eth0 up
			ip address add $1.2/24 dev eth0; ip route add default via $1.1
			ip address add $2:2/64 dev eth0 nodad; ip route add default via $2:1"
		nft -f - <<-END
			table inet hand {
				chain ports {
					meta nfproto ipv4 meta l4proto { tcp, udp } th dport $3 dnat ip to $1.2:80;
					meta nfproto ipv6 meta l4proto { tcp, udp } th dport $3 dnat ip6 to [$2:2]:80;
				}
				chain pre {
					type nat hook prerouting priority dstnat;
					fib daddr type local jump ports;
				}
				chain out {
					type nat hook output priority -100;
					ip daddr != 127.0.0.0/8 fib daddr type local jump ports;
					ip6 daddr != ::1 fib daddr type local jump ports;
				}
				chain forward {
					type filter hook forward priority 0; policy drop;
					ct state established,related accept;
					oifname br0 accept;
					iifname br0 accept;
				}
			}
		END
		echo $inner' sh "$net4" "$net6" "$1" 3>&- >"$FILE_DIR/inner"
	inner=$(tail -n 1 "$FILE_DIR/inner")
	for proto in tcp udp; do
		server_start "inner-$proto" nsenter -n -t "$inner" \
			python3 "$FILE_DIR/source-server.py" "$proto" both 80
	done
	ip route add "$INSIDE4/32" dev "${REMOTE}A"
	ip route add "$INSIDE6/128" dev "${REMOTE}A"
	remote A ip address add "$INSIDE4/32" dev eth0
	remote A ip address add "$INSIDE6/128" dev eth0 nodad
}

remote() {
	local name=$1
	shift
	timeout -k 1 "$LIMIT_S" ip netns exec "$REMOTE$name" "$@"
}

# ask A|B PROTO ADDRESS PORT [OPTION...]: what a client over there is told.
ask() {
	local name=$1
	shift
	remote "$name" python3 "$RK_TOP/tests/tools/source-client.py" "$@"
}

# source_server PROTO ADDRESS PORT: one in the namespaces.
source_server() {
	server_start "$1-$2-$3" python3 "$FILE_DIR/source-server.py" "$@"
}

# port_stat ID|HOST-PORT EXPRESSION: of that port's statistics `p`.
port_stat() {
	api_body /v1/stats | json "[$2 for p in d if $1 in (p['id'], p['spec']['parentPort'])][0]"
}

downgraded() {
	port_stat "$1" "p['connections']['downgraded']"
}
