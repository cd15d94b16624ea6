# api.bats: the control API, our rootlessctl, and Debian's rootlessctl against it.

load lib

setup_file() {
	file_start
	export WEB
	WEB=$(free_port)
	write_config "$FILE_DIR/api.ini" "127.0.0.1:$WEB:7001/tcp" </dev/null
	engine_start "$FILE_DIR/api.ini"
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
}

setup() {
	test_start
	PORT=$(free_port)
}

# The ids of all ports but the one that the file published.
extra_ids() {
	api_body /v1/ports | json '" ".join(str(p["id"]) for p in d if p["id"] != 1)'
}

@test "api: info has what clients read" {
	local info
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["apiVersion"]' <<<"$info")" 1.1.1
	assert_equal "$(json 'd["version"]' <<<"$info")" "$(cat "$RK_TOP/VERSION")"
	assert_equal "$(json 'd["stateDir"]' <<<"$info")" "$STATE"
	assert_equal "$(json 'd["childPID"]' <<<"$info")" "$(cat "$STATE/child_pid")"
	assert_equal "$(json 'd["networkDriver"]["driver"]' <<<"$info")" slirp4netns
	assert_equal "$(json 'd["networkDriver"]["childIP"]' <<<"$info")" 10.0.2.100
	assert_match "$(json 'd["networkDriver"]["dns"]' <<<"$info")" '10\.0\.2\.3'
	assert_equal "$(json 'd["portDriver"]["driver"]' <<<"$info")" builtin
	assert_equal "$(json 'sorted(d["portDriver"]["protos"])' <<<"$info")" \
		"['tcp', 'tcp4', 'tcp6', 'udp', 'udp4', 'udp6']"
}

@test "api: the published port is listed" {
	assert_equal "$(api_body /v1/ports | json '[p["spec"]["parentPort"] for p in d if p["id"] == 1]')" \
		"[$WEB]"
}

@test "api: a port is added, works, is removed and is closed when the answer comes" {
	local answer id
	answer=$(api POST /v1/ports \
		"{\"proto\":\"tcp\",\"parentIP\":\"127.0.0.1\",\"parentPort\":$PORT,\"childPort\":7001}")
	assert_equal "$(tail -n 1 <<<"$answer")" 201
	id=$(head -n 1 <<<"$answer" | json 'd["id"]')
	assert_equal "$(head -n 1 <<<"$answer" | json 'd["spec"]["childPort"]')" 7001
	assert_match "$(tool tcp-many 127.0.0.1 "$PORT" 2 2)" '^ok 2 '
	assert_match "$(api DELETE "/v1/ports/$id")" '200$'
	run ! is_listening t "$PORT"
	run tool tcp-many 127.0.0.1 "$PORT" 1 1
	assert_match "$output" 'Connection refused'
}

@test "api: a port can be added and removed again and again without a pause" {
	local round id
	for round in 1 2 3 4 5 6 7 8 9 10; do
		id=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
		tool tcp-many 127.0.0.1 "$PORT" 1 1
		assert_equal "$(ctl remove-ports "$id")" "$id"
	done
}

@test "api: removing a port lets its open connections finish" {
	local id
	id=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	exec 5<>"/dev/tcp/127.0.0.1/$PORT"
	echo before >&5
	read -r -t 20 line <&5
	assert_equal "$line" before
	ctl remove-ports "$id"
	run ! is_listening t "$PORT"
	echo after >&5
	read -r -t 20 line <&5
	assert_equal "$line" after
	exec 5>&-
}

@test "api: ids are never used twice" {
	local first second
	first=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	ctl remove-ports "$first"
	second=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	ctl remove-ports "$second"
	[ "$second" -gt "$first" ]
}

@test "api: the same port twice is a conflict that names the id" {
	local id
	id=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	run ctl add-ports "127.0.0.1:$PORT:7002/tcp"
	assert_equal "$status" 1
	assert_match "$output" "conflict with ID $id .*127\.0\.0\.1:$PORT:.*remove it"
	ctl remove-ports "$id"
}

@test "api: a port that another program owns is refused with its address" {
	host_server_start other "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	run ctl add-ports "127.0.0.1:$PORT:7001/tcp"
	assert_equal "$status" 1
	assert_match "$output" "127\.0\.0\.1:$PORT.*[Aa]ddress already in use"
}

@test "api: a privileged port is refused with the ways out" {
	run ctl add-ports 127.0.0.1:81:7001/tcp
	assert_equal "$status" 1
	assert_match "$output" '81'
	assert_match "$output" 'ip_unprivileged_port_start'
	assert_match "$output" 'CAP_NET_BIND_SERVICE|cap_net_bind_service'
}

@test "api: unknown ids, paths and methods" {
	assert_match "$(api DELETE /v1/ports/4242)" 'unknown id: 4242 \(.*list-ports.*400$'
	assert_match "$(api DELETE /v1/ports/x)" 'bad id .*x.*list-ports.*400$'
	assert_match "$(api GET /v1/nothing)" '404$'
	assert_match "$(api PATCH /v1/ports '{}')" '405$'
}

@test "api: a NUL in a path or an argument names nothing" {
	local id
	id=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	assert_match "$(api DELETE "/v1/ports/$id%00x")" 'bad id .*%00x.*400$'
	assert_match "$(api DELETE "/v1/ports/$id%00")" 'bad id .*400$'
	assert_match "$(api GET "/v1/flows?port=$id%00x")" 'bad id .*400$'
	assert_match "$(api GET "/v1/info%00")" 'no such path.*404$'
	assert_equal "$(extra_ids)" "$id"
	assert_match "$(api GET "/v1/flow%73")" '200$'
	ctl remove-ports "$id"
}

@test "api: bad bodies get 400 and change nothing" {
	local body
	for body in '' 'x' '{' '[]' '{}' 'null' '{"proto":"tcp"}' \
		'{"proto":"tcp","childPort":1}' \
		'{"proto":"tcp","parentPort":70000,"childPort":1}' \
		'{"proto":"tcp","parentPort":-1,"childPort":1}' \
		'{"proto":"tcp","parentPort":"9","childPort":1}' \
		'{"proto":"TCP","parentPort":9999,"childPort":1}' \
		'{"proto":"sctp","parentPort":9999,"childPort":1}' \
		'{"proto":"tcp","parentIP":"localhost","parentPort":9999,"childPort":1}' \
		'{"proto":"tcp4","parentIP":"::1","parentPort":9999,"childPort":1}' \
		'{"proto":"tcp","parentIP":7,"parentPort":9999,"childPort":1}'; do
		echo "body: $body"
		assert_match "$(api POST /v1/ports "$body")" '"message".*400$'
	done
	assert_equal "$(extra_ids)" ''
}

@test "api: a body that is too long gets 400, and the API still answers" {
	head -c 200000 /dev/zero | tr '\0' ' ' >"$DIR/long"
	chmod 644 "$DIR/long"
	run as_user curl -sS --max-time 10 --unix-socket "$STATE/api.sock" -X POST \
		--data-binary "@$DIR/long" -o /dev/null -w '%{http_code}' http://rk/v1/ports
	assert_match "$output" '400'
	api_body /v1/info | json 'd["apiVersion"]'
}

@test "api: a client that sends half a request and goes leaves it working" {
	printf 'POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"pro' |
		as_user socat -t 0.2 - "UNIX-CONNECT:$STATE/api.sock"
	printf 'garbage\r\n\r\n' | as_user socat -t 0.2 - "UNIX-CONNECT:$STATE/api.sock"
	assert_equal "$(api_body /v1/info | json 'd["apiVersion"]')" 1.1.1
}

@test "api: the socket belongs to the user alone" {
	assert_equal "$(stat -c %a "$STATE/api.sock")" 600
	assert_equal "$(stat -c %u "$STATE/api.sock")" "$TEST_UID"
}

@test "api: another user is turned away" {
	local round count started=$SECONDS
	[ "$(id -u)" -eq 0 ] || skip "needs a second user"
	chmod 755 "$STATE"
	chmod 666 "$STATE/api.sock"
	for round in 1 2 3 4 5; do
		run setpriv --reuid=65534 --regid=65534 --clear-groups \
			curl -sS --max-time 20 --unix-socket "$STATE/api.sock" http://rk/v1/info
	done
	chmod 600 "$STATE/api.sock"
	chmod 700 "$STATE"
	refute_match "$output" 'apiVersion'
	# A line now and then (ten seconds), however many come.
	count=$(grep -c 'refused a connection of another user' "$ENGINE_LOG")
	[ "$count" -ge 1 ]
	[ "$count" -le $((1 + (SECONDS - started) / 10)) ]
}

@test "api: stats count connections and bytes" {
	local stats
	tool tcp-many 127.0.0.1 "$WEB" 5 2
	counted() {
		stats=$(api_body /v1/stats)
		[[ $stats == *listening* ]] && [[ $stats == *30010* ]]
	}
	# 5 connections, 2 blocks of 3001 bytes each way; nothing else uses this port.
	wait_until 10 counted || { echo "$stats"; return 1; }
}

@test "rootlessctl: ours lists, adds, removes and shows info" {
	local id
	id=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	assert_match "$id" '^[0-9]+$'
	run -0 ctl list-ports
	assert_match "${lines[0]}" '^ID +PROTO +PARENTIP +PARENTPORT +CHILDIP +CHILDPORT'
	assert_match "$output" "$id +tcp +127\.0\.0\.1 +$PORT +.*7001"
	assert_match "$(ctl list-ports --json)" "\"parentPort\":$PORT"
	assert_match "$(ctl info)" 'slirp4netns'
	assert_equal "$(ctl info --json | json 'd["apiVersion"]')" 1.1.1
	assert_equal "$(ctl remove-ports "$id")" "$id"
	refute_match "$(ctl list-ports)" "$PORT"
}

@test "rootlessctl: bad arguments and a missing socket are errors" {
	local spec
	for spec in bad 8080 8080:80 a:b/tcp x:1:2/tcp 1.2.3.4:0:1/tcp 1.2.3.4:70000:1/tcp \
		127.0.0.1:1:2/TCP; do
		run ctl add-ports "$spec"
		assert_equal "$status" 1
		assert_match "$output" 'error: '
	done
	run ctl remove-ports 4242
	assert_equal "$status" 1
	run as_user "$RK_BIN/rootlessctl" --socket "$DIR/none.sock" list-ports
	assert_equal "$status" 1
	assert_match "$output" 'none\.sock'
	run as_user "$RK_BIN/rootlessctl" --socket "$STATE/api.sock" no-such-command
	[ "$status" -ne 0 ]
	assert_match "$output" 'no-such-command'
}

@test "rootlessctl: the socket is found through ROOTLESSKIT_STATE_DIR" {
	assert_match "$(as_user env "ROOTLESSKIT_STATE_DIR=$STATE" "$RK_BIN/rootlessctl" list-ports)" "$WEB"
}

@test "rootlessctl of Debian: lists, adds, removes and shows info" {
	local id
	id=$(go_ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	assert_match "$id" '^[0-9]+$'
	assert_match "$(tool tcp-many 127.0.0.1 "$PORT" 2 2)" '^ok 2 '
	assert_match "$(go_ctl list-ports)" "$id +tcp +127\.0\.0\.1 +$PORT"
	assert_match "$(go_ctl list-ports --json)" "\"parentPort\":$PORT"
	assert_match "$(go_ctl info)" 'slirp4netns'
	assert_equal "$(go_ctl remove-ports "$id")" "$id"
	run ! is_listening t "$PORT"
	refute_match "$(go_ctl list-ports)" "$PORT"
}

@test "rootlessctl of Debian: our errors reach its user" {
	run go_ctl add-ports "127.0.0.1:$WEB:7001/tcp"
	assert_equal "$status" 1
	assert_match "$output" 'conflict with ID 1'
	run go_ctl remove-ports 4242
	assert_equal "$status" 1
}

@test "rootlessctl: both print the same" {
	assert_equal "$(ctl list-ports)" "$(go_ctl list-ports)"
	# Ours has more members, which upstream's client drops.
	local ours
	ours=$(ctl list-ports --json | python3 -c 'import json, sys
for line in sys.stdin:
    port = json.loads(line)
    print(json.dumps({"id": port["id"], "spec": port["spec"]}, separators=(",", ":")))')
	assert_equal "$ours" "$(go_ctl list-ports --json)"
}

@test "api: adds, removes and reads of many clients at once leave it consistent" {
	local worker workers=()
	for worker in 1 2 3 4; do
		(
			port=$(free_port)
			for _ in 1 2 3 4 5; do
				id=$(ctl add-ports "127.0.0.1:$port:7001/tcp") || exit 1
				ctl list-ports >/dev/null || exit 1
				ctl remove-ports "$id" >/dev/null || exit 1
			done
			echo finished >"$DIR/worker$worker"
		) 3>&- &
		workers+=($!)
	done
	wait "${workers[@]}"
	assert_equal "$(cat "$DIR"/worker* | wc -l)" 4
	assert_equal "$(extra_ids)" ''
}
