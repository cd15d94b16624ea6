# ports-many.bats: published ports in large numbers: ranges of thousands, a thousand times the same port.

load ../integration/lib

setup_file() {
	file_start
	cp "$RK_TOP/tests/tools/port-client.py" "$FILE_DIR/"
	# A host of its own, where all ports are free. Two protocols need 40000 sockets, or as many as
	# this machine's hard limit allows.
	local hard
	hard=$(ulimit -Hn)
	export COUNT=20000
	[ "$hard" = unlimited ] || [ "$hard" -ge 44000 ] || COUNT=$(((hard - 4000) / 2))
	export HOST_NETNS=rklong$BASHPID
	ip netns add "$HOST_NETNS"
	ip -n "$HOST_NETNS" link set lo up
	AS_USER=(ip netns exec "$HOST_NETNS" "${AS_USER[@]}")
	write_config "$FILE_DIR/ports.ini" </dev/null
	engine_start "$FILE_DIR/ports.ini"
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start last "$RK_TOOLS/tcp-server" name 127.0.0.1 $((10000 + COUNT - 1)) last
	server_start udp-last "$RK_TOOLS/udp-server" 127.0.0.1 $((10000 + COUNT - 1))
}

teardown_file() {
	AS_USER=(ip netns exec "$HOST_NETNS" "${AS_USER[@]}")
	engine_stop || true
	file_end
	ip netns delete "$HOST_NETNS"
}

setup() {
	test_start
	AS_USER=(ip netns exec "$HOST_NETNS" "${AS_USER[@]}")
}

on_host() {
	timeout -k 1 "$LIMIT_S" ip netns exec "$HOST_NETNS" "$@"
}

range_body() { # PROTO
	echo "{\"proto\":\"$1\",\"parentIP\":\"127.0.0.1\",\"parentPort\":10000,\"parentPortEnd\":$((10000 + COUNT - 1)),\"childPort\":10000}"
}

milliseconds() { # COMMAND...: its duration
	local start
	start=$(date +%s%N)
	"$@" >/dev/null
	echo $((($(date +%s%N) - start) / 1000000))
}

@test "ports: 20000 TCP and 20000 UDP ports (as the limit of files allows), their memory, and the time to make and remove them" {
	local before after tcp udp gone
	before=$(rss_kib "$ENGINE_PID")
	tcp=$(milliseconds api POST /v1/ports "$(range_body tcp)")
	udp=$(milliseconds api POST /v1/ports "$(range_body udp)")
	after=$(rss_kib "$ENGINE_PID")
	assert_equal "$(api_body /v1/ports | json 'len(d)')" 2
	assert_equal "$(on_host ss -Hlnt 'sport >= :10000 and sport < :30000' | wc -l)" "$COUNT"
	assert_equal "$(on_host ss -Hlnu 'sport >= :10000 and sport < :30000' | wc -l)" "$COUNT"
	assert_equal "$(on_host bash -c 'exec 5<>/dev/tcp/127.0.0.1/$1; cat <&5' _ "$((10000 + COUNT - 1))")" last
	assert_match "$(on_host "$RK_TOOLS/udp-client" echo 127.0.0.1 $((10000 + COUNT - 1)) 1000)" '^1000 ok'
	gone=$(milliseconds api DELETE /v1/ports/bulk "$(api_body /v1/ports | json '[p["id"] for p in d]')")
	assert_equal "$(on_host ss -Hlntu 'sport >= :10000 and sport < :30000')" ''
	echo "# $COUNT ports each: tcp $tcp ms, udp $udp ms, removed $gone ms, $((after - before)) KiB" >&3
	[ $((after - before)) -lt 65536 ]
}

# single_ports FIRST COUNT: the body of a request for that many ports of their own.
single_ports() {
	python3 -c 'import json, sys
first, count = map(int, sys.argv[1:])
print(json.dumps([{"proto": "tcp", "parentIP": "127.0.0.1", "parentPort": port, "childPort": 7001}
	for port in range(first, first + count)]))' "$@"
}

# curl_api OPTION... PATH: prints no body.
curl_api() {
	as_user curl -sS --max-time 60 --unix-socket "$STATE/api.sock" -o /dev/null "${@:1:$#-1}" "http://rk${*: -1}"
}

@test "ports: /metrics of 8000 ports is bounded in size and memory, and nobody waits for its reader" {
	local count before after talk scrapes=0 size slow part
	# Each has a socket per worker, of which there is one per processor.
	count=$((2 * COUNT / $(nproc)))
	[ "$count" -le 8000 ] || count=8000
	for part in 0 1; do
		single_ports $((10000 + part * count / 2)) $((count / 2)) >"$DIR/body"
		curl_api --fail -X POST -H 'Content-Type: application/json' --data-binary @- /v1/ports/bulk <"$DIR/body"
	done
	before=$(rss_kib "$ENGINE_PID")
	on_host "$RK_TOOLS/tcp-load" talk 127.0.0.1 10000 50 5 >"$DIR/talk" 3>&- &
	talk=$!
	while kill -0 "$talk" 2>/dev/null; do
		size=$(curl_api -w '%{size_download}' /metrics)
		[ "$size" -gt $((count * 1024)) ]
		[ "$size" -lt $((count * 4096 + 65536)) ]
		scrapes=$((scrapes + 1))
	done
	after=$(rss_kib "$ENGINE_PID")
	assert_match "$(cat "$DIR/talk")" '^ok 250 '
	echo "# $count ports, $size bytes, $scrapes times in 5 s, $((after - before)) KiB; exchanges meanwhile: $(cat "$DIR/talk")" >&3
	[ $((after - before)) -lt 16384 ]
	# Someone who reads slowly holds up nobody else.
	curl_api --limit-rate 100K /metrics 3>&- &
	slow=$!
	sleep 0.5
	assert_equal "$(api_body /v1/info | json 'd["apiVersion"]')" 1.1.1
	kill -0 "$slow"
	kill "$slow"
	for part in 0 1; do
		api_body /v1/ports | json '[p["id"] for p in d][:4000]' >"$DIR/body"
		curl_api --fail -X DELETE --data-binary @- /v1/ports/bulk <"$DIR/body"
	done
	assert_equal "$(on_host ss -Hlnt 'sport >= :10000 and sport < :30000')" ''
}

@test "ports: one port made and removed 1000 times under traffic, never in use" {
	local result
	result=$(as_user python3 "$FILE_DIR/port-client.py" cycle "$STATE/api.sock" 127.0.0.1 9000 7001 1000)
	echo "# $result" >&3
	assert_match "$result" '^1000 cycles, [1-9][0-9]* clients served, 0 refused by the API$'
}
