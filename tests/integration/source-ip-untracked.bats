# source-ip-untracked.bats: connections with the client's address go past the namespace's connection
# tracking, but for those that NAT needs it for.

load lib
load source-ip

prepare_file() {
	export ANY LOOP NAT MOVED LEGACY FILTERED STOPPED CONTAINER
	ANY=$(free_port) LOOP=$(free_port) NAT=$(free_port) MOVED=$(free_port) LEGACY=$(free_port)
	FILTERED=$(free_port) STOPPED=$(free_port)
	cp "$RK_TOP/tests/tools/source-server.py" "$FILE_DIR/"
	write_config "$FILE_DIR/source.ini" ":$ANY:7001/tcp" ":$LOOP:7002/tcp" ":$NAT:8001/tcp" \
		":$MOVED:7003/tcp" ":$LEGACY:7004/tcp" ":$FILTERED:7005/tcp" ":$STOPPED:7006/tcp"
	engine_start "$FILE_DIR/source.ini"
	source_server tcp both 7001
	source_server tcp 127.0.0.1 7002
	bridge_start 8001
	CONTAINER=172.30.${REMOTE#rksrc}.2
}

# untracked PORT: how many connections were not tracked.
untracked() {
	port_stat "$1" "p['connections']['untracked']"
}

# Times that a connection that went untracked had no answer.
unanswered() {
	api_body /metrics | awk '/^rk_engine_worker_timers_total.*kind="untracked"/ { sum += $2 } END { print sum }'
}

some_unanswered() {
	[ "$(unanswered)" -ge 1 ]
}

tracked_now() {
	in_ns cat /proc/sys/net/netfilter/nf_conntrack_count
}

# What was found out about a port holds for a second: one that asks after it learns what is new.
forget() {
	sleep 1.1
}

in_container() {
	in_ns nsenter -n -t "$(tail -n 1 "$FILE_DIR/inner")" "$@"
}

# Counts what arrives at the container as the beginning of a connection.
watch_container() {
	in_container nft -f - <<-END
		table ip seen {
			chain in {
				type filter hook input priority 0;
				tcp flags & (syn | ack) == syn counter;
			}
		}
	END
}

# How many there were.
container_saw() {
	in_container nft list table ip seen | sed -n 's/.*packets \([0-9]*\).*/\1/p'
	in_container nft delete table ip seen
}

# to_container PORT: NAT, as from now, to the container's server.
to_container() {
	in_ns nft -f - <<-END
		table ip moved {
			chain out {
				type nat hook output priority -100;
				ip daddr != 127.0.0.0/8 fib daddr type local tcp dport $1 dnat to $CONTAINER:80;
			}
		}
	END
}

@test "untracked: connections to servers of the namespace, with the client's address" {
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --times 20 --bytes 1000 | sort | uniq -c | xargs)" '20 same'
	assert_equal "$(ask A tcp "$HOST6" "$ANY" --times 20 --bytes 1000 | sort | uniq -c | xargs)" '20 same'
	assert_equal "$(untracked "$ANY")" 40
}

# hold PORT: how many connections are tracked more while 20 clients are there, each of them seen.
hold() {
	local before pid
	before=$(tracked_now)
	mkfifo "$DIR/end"
	remote A python3 -c 'import socket, sys
clients = [socket.create_connection(sys.argv[1:3], 20) for _ in range(20)]
for client in clients:
    ip, port = client.recv(100).decode().split()
    assert (ip, int(port)) == client.getsockname()
print("there", flush=True)
open(sys.argv[3]).read()' "$HOST4" "$1" "$DIR/end" >"$DIR/open" 3>&- &
	pid=$!
	wait_until 10 test -s "$DIR/open"
	echo $(($(tracked_now) - before))
	echo >"$DIR/end"
	wait "$pid"
	rm "$DIR/end" "$DIR/open"
}

# Those of other tests may end meanwhile.
@test "untracked: connection tracking knows of those behind NAT only" {
	[ "$(hold "$ANY")" -le 0 ]
	[ "$(hold "$NAT")" -gt 0 ]
}

@test "untracked: to a server on 127.0.0.1, too, once it is known to be there" {
	local before
	# So many that each worker has some.
	assert_equal "$(ask A tcp "$HOST4" "$LOOP" --times 40 | sort | uniq -c | xargs)" '40 same'
	before=$(untracked "$LOOP")
	forget
	assert_equal "$(ask A tcp "$HOST4" "$LOOP" --times 10 | sort | uniq -c | xargs)" '10 same'
	assert_equal "$(untracked "$LOOP")" $((before + 10))
}

@test "untracked: none to a container behind NAT" {
	assert_equal "$(ask A tcp "$HOST4" "$NAT" --times 10 --bytes 1000 | sort | uniq -c | xargs)" '10 same'
	assert_equal "$(ask A tcp "$HOST6" "$NAT" --times 10 --bytes 1000 | sort | uniq -c | xargs)" '10 same'
	assert_equal "$(untracked "$NAT")" 0
	assert_equal "$(port_stat "$NAT" "p['connections']['retries']")" 0
}

@test "untracked: asking whether NAT leads elsewhere reaches nobody" {
	watch_container
	forget
	assert_equal "$(ask A tcp "$HOST4" "$NAT" --times 5 | sort | uniq -c | xargs)" '5 same'
	assert_equal "$(container_saw)" 5
}

@test "untracked: NAT that comes in front of a server that stays is found out" {
	source_server tcp both 7003
	assert_equal "$(ask A tcp "$HOST4" "$MOVED" --times 3 | sort | uniq -c | xargs)" '3 same'
	assert_equal "$(untracked "$MOVED")" 3
	to_container 7003
	watch_container
	forget
	assert_equal "$(ask A tcp "$HOST4" "$MOVED" --times 4 --bytes 1000 | sort | uniq -c | xargs)" '4 same'
	assert_equal "$(container_saw)" 4
	assert_equal "$(untracked "$MOVED")" 3
	in_ns nft delete table ip moved
	forget
	assert_equal "$(ask A tcp "$HOST4" "$MOVED")" same
	assert_equal "$(untracked "$MOVED")" 4
}

old_iptables() {
	in_ns env XTABLES_LOCKFILE="$DIR/xtables.lock" iptables-legacy "$@"
}

@test "untracked: NAT by the old iptables is found out, too" {
	source_server tcp both 7004
	assert_equal "$(ask A tcp "$HOST4" "$LEGACY")" same
	assert_equal "$(untracked "$LEGACY")" 1
	old_iptables -t nat -A OUTPUT -p tcp --dport 7004 -j DNAT --to "$CONTAINER:80"
	watch_container
	forget
	assert_equal "$(ask A tcp "$HOST4" "$LEGACY" --times 4 --bytes 1000 | sort | uniq -c | xargs)" '4 same'
	assert_equal "$(container_saw)" 4
	assert_equal "$(untracked "$LEGACY")" 1
	old_iptables -t nat -F
}

@test "untracked: when the server ends and NAT takes its place no client is lost" {
	local server
	source_server tcp both 7006
	server=$!
	# Each worker knows it.
	assert_equal "$(ask A tcp "$HOST4" "$STOPPED" --times 20 | sort | uniq -c | xargs)" '20 same'
	kill "$server"
	wait "$server" || true
	to_container 7006
	watch_container
	assert_equal "$(ask A tcp "$HOST4" "$STOPPED" --times 4 | sort | uniq -c | xargs)" '4 same'
	assert_equal "$(container_saw)" 4
	in_ns nft delete table ip moved
}

@test "untracked: when the server ends clients are refused, not left waiting" {
	forget
	# Nobody listens on 7006 any more, and nothing forbids to go untracked.
	assert_match "$(ask A tcp "$HOST4" "$STOPPED" --times 3)" 'reset by peer'
	assert_match "$(ask A tcp "$HOST6" "$STOPPED" --times 3)" 'reset by peer'
	assert_equal "$(unanswered)" 0
}

@test "untracked: where others let only tracked connections pass, all are tracked" {
	source_server tcp 10.0.2.100 7005
	in_ns nft -f - <<-END
		table inet strict {
			chain in {
				type filter hook input priority 0;
				tcp dport 7005 ct state untracked counter drop;
			}
		}
	END
	# Of many at once a single one waits for each worker, which finds out for itself.
	hold "$FILTERED" >/dev/null
	wait_until 10 some_unanswered
	[ "$(unanswered)" -le "$(nproc)" ]
	# What it has found out holds for a minute.
	forget
	assert_equal "$(ask A tcp "$HOST4" "$FILTERED" --times 30 --bytes 1000 | sort | uniq -c | xargs)" '30 same'
	[ "$(unanswered)" -le "$(nproc)" ]
	assert_equal "$(untracked "$FILTERED")" 0
	in_ns nft delete table inet strict
}

# The container does not see the reset that ends a connection. It answers the next one from the same
# port for the old, and the kernel's reset for that must find its way.
@test "untracked: a container that did not notice an end is told at the next beginning" {
	in_container nft -f - <<-END
		table ip deaf {
			chain in {
				type filter hook input priority 0;
				tcp flags & rst == rst limit rate over 1/hour burst 1 packets accept;
				tcp flags & rst == rst counter drop;
			}
		}
	END
	assert_equal "$(ask A tcp "$HOST4" "$NAT" --from 5601 --reset)" same
	deaf_once() {
		[[ $(in_container nft list table ip deaf) == *'packets 1 '* ]]
	}
	wait_until 10 deaf_once
	assert_equal "$(ask A tcp "$HOST4" "$NAT" --from 5601 --bytes 1000)" same
	in_container nft delete table ip deaf
}
