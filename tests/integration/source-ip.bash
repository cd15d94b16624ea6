# source-ip.bash: two other machines for clients, played by network namespaces with a veth pair each.
#
#   remotes_start   sets HOST4, HOST6 (our addresses on the first link), HOST4B, HOST6B (second),
#                   CLIENT4, CLIENT6 (the first machine's own); needs root
#   remote A|B COMMAND...   runs it there

remotes_start() {
	local number=$((BASHPID % 120)) name net
	REMOTE=rksrc$BASHPID
	HOST4=198.18.$number.1 CLIENT4=198.18.$number.2 HOST6=2001:db8:$number::1
	CLIENT6=2001:db8:$number::2
	HOST4B=198.18.$((number + 120)).1 HOST6B=2001:db8:$((number + 120))::1
	export REMOTE HOST4 HOST6 CLIENT4 CLIENT6 HOST4B HOST6B
	for name in A B; do
		net=$number
		[ "$name" = A ] || net=$((number + 120))
		ip netns add "$REMOTE$name"
		ip link add "$REMOTE$name" type veth peer name eth0 netns "$REMOTE$name"
		ip address add "198.18.$net.1/24" dev "$REMOTE$name"
		ip address add "2001:db8:$net::1/64" dev "$REMOTE$name" nodad
		ip link set "$REMOTE$name" up
		ip -n "$REMOTE$name" address add "198.18.$net.2/24" dev eth0
		ip -n "$REMOTE$name" address add "2001:db8:$net::2/64" dev eth0 nodad
		ip -n "$REMOTE$name" link set eth0 up
	done
	# The link is usable when neighbours answer.
	wait_until 5 remote A ping -c 1 -W 1 "$HOST4"
	wait_until 5 remote B ping -c 1 -W 1 "$HOST6B"
}

remotes_end() {
	local name
	for name in A B; do
		ip link delete "$REMOTE$name" 2>/dev/null || true
		ip netns delete "$REMOTE$name" 2>/dev/null || true
	done
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

# port_stat ID EXPRESSION: of port ID's statistics `p`.
port_stat() {
	api_body /v1/stats | json "[$2 for p in d if p['id'] == $1][0]"
}

downgraded() {
	port_stat "$1" "p['connections']['downgraded']"
}
