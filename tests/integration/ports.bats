# ports.bats: what the control API can do with ports beyond RootlessKit's: ranges, ports that the
# kernel chooses, another target without a pause, lists, owners. docs/api.md describes it.

load lib

setup_file() {
	file_start
	cp "$RK_TOP/tests/tools/port-client.py" "$FILE_DIR/"
	write_config "$FILE_DIR/ports.ini" 127.0.0.1:0:7001/tcp <<-END
		[engine]
		workers = 2
	END
	engine_start "$FILE_DIR/ports.ini"
	server_start old "$RK_TOOLS/tcp-server" name 127.0.0.1 7001 old
	server_start new "$RK_TOOLS/tcp-server" name 127.0.0.2 7001 new
	server_start other "$RK_TOOLS/tcp-server" name 127.0.0.1 7002 other
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7003
}

setup() {
	test_start
	PORT=$(free_port)
}

teardown() {
	local ids
	ids=$(api_body /v1/ports | json '[p["id"] for p in d if p["id"] != 1]')
	[ "$ids" = '[]' ] || api DELETE /v1/ports/bulk "$ids" >/dev/null
	test_end
}

client() {
	timeout -k 1 "$LIMIT_S" python3 "$RK_TOP/tests/tools/port-client.py" "$@"
}

# add PROTO PARENT-IP PARENT-PORT CHILD-IP CHILD-PORT [MORE-JSON]: prints the answer, then the status.
add() {
	api "${METHOD:-POST}" /v1/ports "$(spec "$@")"
}

spec() {
	printf '{"proto":"%s","parentIP":"%s","parentPort":%s,"childIP":"%s","childPort":%s%s}' \
		"$1" "$2" "$3" "$4" "$5" "${6:+,$6}"
}

# The id in the answer to a successful add().
id_of() {
	assert_match "$1" '20[01]$' || return 1
	head -n 1 <<<"$1" | json 'd["id"]'
}

# A port from which on nobody listens on $1 ports, in this run's range (see ports.bash). What waits
# after its last connection does not count: it keeps no listener away.
free_block() {
	local port try
	for try in {1..500}; do
		port=$((RK_PORTS + (RANDOM * 32768 + RANDOM) % (PORTS_SIZE - $1)))
		[ -n "$(ss -Hltun "sport >= :$port and sport < :$((port + $1))")" ] || break
	done
	[ "$try" -lt 500 ] || echo "no $1 free ports in a row" >&2
	echo "$port"
}

listeners() { # t|u PORT: how many sockets
	ss -Hln"$1" "sport = :$2" | wc -l
}


answer_of() {
	timeout 10 bash -c "exec 5<>/dev/tcp/$1/$2; cat <&5"
}

# --- ports that the kernel chooses

@test "ports: the kernel chooses a port, the same for both families and all workers" {
	local answer port
	answer=$(add tcp '' 0 '' 7001)
	id_of "$answer" >/dev/null
	port=$(head -n 1 <<<"$answer" | json 'd["spec"]["parentPort"]')
	[ "$port" -gt 0 ]
	assert_equal "$(listeners t "$port")" 4
	assert_equal "$(answer_of 127.0.0.1 "$port")" old
	assert_equal "$(answer_of ::1 "$port")" old
	assert_match "$(go_ctl list-ports)" " $port "
}

@test "ports: the kernel chooses a UDP port, and one that the configuration asked for" {
	local port
	port=$(add udp4 127.0.0.1 0 '' 7001 | head -n 1 | json 'd["spec"]["parentPort"]')
	assert_equal "$(listeners u "$port")" 2
	port=$(api_body /v1/ports | json '[p["spec"]["parentPort"] for p in d if p["id"] == 1][0]')
	assert_equal "$(answer_of 127.0.0.1 "$port")" old
	run -0 ctl add-ports --json 127.0.0.1:0:7001/tcp
	[ "$(json 'd["spec"]["parentPort"]' <<<"$output")" -gt 0 ]
}

@test "ports: a parent port that is missing is no port to choose" {
	assert_match "$(api POST /v1/ports '{"proto":"tcp","childPort":7001}')" 'parent port is missing.*400$'
	METHOD=PUT run add tcp '' 0 '' 7001
	assert_match "$output" 'another one each time.*400$'
	assert_match "$(add tcp '' 0 '' 7001 '"parentPortEnd":9')" 'not a range.*400$'
}

@test "ports: a port that somebody has is an error with a code and the address" {
	local answer
	host_server_start other-program "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	answer=$(add tcp 127.0.0.1 "$PORT" '' 7001)
	assert_match "$answer" '400$'
	assert_equal "$(head -n 1 <<<"$answer" | json 'd["code"]')" EADDRINUSE
	assert_match "$(head -n 1 <<<"$answer" | json 'd["message"]')" "127\.0\.0\.1:$PORT/tcp"
}

@test "ports: a port that another one of ours has is not blamed on others" {
	local id
	id=$(id_of "$(add tcp4 127.0.0.1 "$PORT" '' 7001)")
	run add tcp 127.0.0.1 "$PORT" '' 7001
	assert_match "$output" "127\.0\.0\.1:$PORT/tcp.*port ID $id, 127\.0\.0\.1:$PORT:7001/tcp4.*EADDRINUSE.*400$"
}

# --- another target

@test "ports: 200 changes of target, and no client is ever refused" {
	local id round
	id=$(id_of "$(add tcp 127.0.0.1 "$PORT" 127.0.0.1 7001)")
	client hammer 127.0.0.1 "$PORT" "$DIR/stop" >"$DIR/first" 3>&- &
	local first=$!
	client hammer 127.0.0.1 "$PORT" "$DIR/stop" >"$DIR/second" 3>&- &
	local second=$!
	as_user bash -c 'for round in $(seq 100); do
		for ip in 127.0.0.2 127.0.0.1; do
			curl -sS --fail --max-time 10 --unix-socket "$1" -X PATCH --data "{\"childIP\":\"$ip\"}" \
				"http://rk/v1/ports/$2" >/dev/null || exit 1
		done
	done' _ "$STATE/api.sock" "$id"
	touch "$DIR/stop"
	wait "$first" "$second"
	cat "$DIR/first" "$DIR/second"
	assert_equal "$(grep -h refused "$DIR/first" "$DIR/second" | sort -u)" 'refused 0'
	assert_equal "$(cut -d ' ' -f 1 "$DIR/first" | tr '\n' ' ')" 'new old refused '
}

@test "ports: live connections stay with the former target, new ones go to the next" {
	local id line
	id=$(id_of "$(add tcp 127.0.0.1 "$PORT" 127.0.0.1 7003)")
	exec 5<>"/dev/tcp/127.0.0.1/$PORT"
	echo before >&5
	read -r -t 10 line <&5
	assert_equal "$line" before
	assert_equal "$(ctl update-port "$id" 127.0.0.2:7001)" "$id"
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" new
	echo after >&5
	read -r -t 10 line <&5
	assert_equal "$line" after
	exec 5>&-
	assert_equal "$(ctl update-port "$id" :7002)" "$id"
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" other
	assert_match "$(ctl list-ports)" "$id +tcp +127.0.0.1 +$PORT +7002"
}

@test "ports: a UDP client of a target that is gone is led to the next one" {
	local id first
	server_start udp-old python3 -c "$(udp_namer 127.0.0.1 old)"
	server_start udp-new python3 -c "$(udp_namer 127.0.0.2 new)"
	id=$(id_of "$(add udp 127.0.0.1 "$PORT" 127.0.0.1 7004)")
	client keep 127.0.0.1 "$PORT" "$DIR/go1" >"$DIR/stays" 3>&- &
	first=$!
	wait_until 10 grep -q old "$DIR/stays"
	assert_match "$(api PATCH "/v1/ports/$id" '{"childIP":"127.0.0.2"}')" '200$'
	# It answers, so the flow stays; a client from another port goes to the new one.
	touch "$DIR/go1" "$DIR/go2"
	wait "$first"
	assert_equal "$(cat "$DIR/stays")" $'old\nold'
	assert_equal "$(client keep 127.0.0.1 "$PORT" "$DIR/go2")" $'new\nnew'
}

udp_namer() {
	echo "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$1', 7004))
print('ready', flush=True)
while True:
    s.sendto(b'$2', s.recvfrom(100)[1])"
}

@test "ports: a change of target that makes no sense changes nothing" {
	local id body
	id=$(id_of "$(add tcp 127.0.0.1 "$PORT" 127.0.0.1 7001)")
	for body in '' '{}' '[]' '{"childPort":0}' '{"childPort":65536}' '{"childIP":"x"}' '{"childIP":7}'; do
		assert_match "$(api PATCH "/v1/ports/$id" "$body")" '"message".*400$'
	done
	assert_match "$(api PATCH /v1/ports/4242 '{"childPort":1}')" 'unknown id: 4242.*400$'
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" old
	run ctl update-port "$id" nonsense
	assert_equal "$status" 1
	assert_match "$output" 'CHILD-IP'
}

# --- ranges

@test "ports: a range is one object, each port leads to its own" {
	local base id
	base=$(free_block 3)
	id=$(ctl add-ports "127.0.0.1:$base-$((base + 2)):7001-7003/tcp")
	assert_equal "$(answer_of 127.0.0.1 "$base")" old
	assert_equal "$(answer_of 127.0.0.1 $((base + 1)))" other
	assert_match "$(tool tcp-many 127.0.0.1 $((base + 2)) 2 2)" '^ok 2 '
	assert_match "$(ctl list-ports)" "$id +tcp +127.0.0.1 +$base-$((base + 2)) +7001-7003"
	assert_match "$(go_ctl list-ports)" "$id +tcp +127.0.0.1 +$base +7001"
	assert_equal "$(go_ctl remove-ports "$id")" "$id"
	assert_equal "$(ss -Hlnt "sport >= :$base and sport <= :$((base + 2))")" ''
}

@test "ports: a range with one port that is taken is not published at all" {
	local base id
	base=$(free_block 10)
	host_server_start middle "$RK_TOOLS/tcp-server" echo 127.0.0.1 $((base + 7))
	run ctl add-ports "127.0.0.1:$base-$((base + 9)):7001-7010/tcp"
	assert_equal "$status" 1
	assert_match "$output" "127\.0\.0\.1:$((base + 7))/tcp.*Address already in use"
	assert_equal "$(ss -Hlnt "sport >= :$base and sport < :$((base + 10))" | wc -l)" 1
	id=$(ctl add-ports "127.0.0.1:$base-$((base + 6)):7001-7007/tcp")
	run ctl add-ports "127.0.0.1:$((base + 6)):7001/tcp"
	assert_match "$output" "conflict with ID $id"
}

@test "ports: a retarget moves every port of a range" {
	local base id
	base=$(free_block 2)
	id=$(ctl add-ports "127.0.0.1:$base-$((base + 1)):7001-7002/tcp")
	assert_match "$(api PATCH "/v1/ports/$id" '{"childPort":7000}')" '200$'
	assert_equal "$(answer_of 127.0.0.1 $((base + 1)))" old
	assert_match "$(api PATCH "/v1/ports/$id" '{"childPort":65535}')" 'beyond 65535.*400$'
}

@test "ports: 2000 ports of each protocol, dealt out to the workers" {
	local base tcp udp
	base=$(free_block 2000)
	tcp=$(id_of "$(add tcp 127.0.0.1 "$base" 127.0.0.1 7001 "\"parentPortEnd\":$((base + 1999))")")
	udp=$(id_of "$(add udp 127.0.0.1 "$base" 127.0.0.1 7001 "\"parentPortEnd\":$((base + 1999))")")
	assert_equal "$(ss -Hlnt "sport >= :$base and sport < :$((base + 2000))" | wc -l)" 2000
	assert_equal "$(ss -Hlnu "sport >= :$base and sport < :$((base + 2000))" | wc -l)" 2000
	server_start last "$RK_TOOLS/tcp-server" name 127.0.0.1 9000 last
	server_start udp-last "$RK_TOOLS/udp-server" 127.0.0.1 9000
	assert_equal "$(answer_of 127.0.0.1 $((base + 1)))" other
	assert_equal "$(answer_of 127.0.0.1 $((base + 1999)))" last
	assert_match "$(tool udp-client echo 127.0.0.1 $((base + 1999)) 100)" '^100 ok'
	api DELETE /v1/ports/bulk "[$tcp,$udp]" >/dev/null
	assert_equal "$(ss -Hlntu "sport >= :$base and sport < :$((base + 2000))")" ''
	# The others were not touched.
	assert_equal "$(answer_of 127.0.0.1 "$(api_body /v1/ports | json 'd[0]["spec"]["parentPort"]')")" old
}

@test "ports: a range that leaves no descriptors for clients is refused with the number" {
	local base
	base=$(free_block 200)
	write_config "$DIR/small.ini" </dev/null
	STATE=$DIR/small.state
	engine_start "$DIR/small.ini" prlimit --nofile=1000:1000
	run ctl add-ports "127.0.0.1:20000-21999:1-2000/tcp"
	assert_equal "$status" 1
	assert_match "$output" '2000 ports need 2000 descriptors, and [0-9]+ are left'
	assert_match "$output" 'hard limit of open files from 1000 to [0-9]+'
	assert_equal "$(api_body /v1/ports)" '[]'
	run -0 ctl add-ports "127.0.0.1:$base-$((base + 199)):1-200/tcp"
	engine_stop
	STATE=$FILE_DIR/ports.state
}

# --- the same again, and lists

@test "ports: PUT makes a port once" {
	local first second
	first=$(METHOD=PUT add tcp 127.0.0.1 "$PORT" 127.0.0.1 7001)
	assert_match "$first" '201$'
	second=$(METHOD=PUT add tcp 127.0.0.1 "$PORT" 127.0.0.1 7001)
	assert_match "$second" '200$'
	assert_equal "$(head -n 1 <<<"$second")" "$(head -n 1 <<<"$first")"
	assert_match "$(METHOD=PUT add tcp 127.0.0.1 "$PORT" 127.0.0.1 7002)" 'conflict with ID.*400$'
	assert_match "$(add tcp 127.0.0.1 "$PORT" 127.0.0.1 7001)" 'conflict with ID.*400$'
	assert_match "$(METHOD=PUT add tcp 127.0.0.1 "$PORT" 127.0.0.1 x)" '400$'
}

# bulk_body BASE COUNT
bulk_body() {
	python3 -c 'import json, sys
base, count = map(int, sys.argv[1:])
print(json.dumps([{"proto": "tcp", "parentIP": "127.0.0.1", "parentPort": base + i,
    "childIP": "127.0.0.1", "childPort": 7001} for i in range(count)]))' "$@"
}

@test "ports: 1000 ports in one request, and all of them away in another" {
	local base answer ids
	base=$(free_block 1000)
	bulk_body "$base" 1000 >"$DIR/body"
	answer=$(api POST /v1/ports/bulk "@$DIR/body")
	assert_match "$answer" '201$'
	ids=$(head -n 1 <<<"$answer" | json '[p["id"] for p in d]')
	assert_equal "$(json 'len(set(d))' <<<"$ids")" 1000
	assert_equal "$(answer_of 127.0.0.1 $((base + 999)))" old
	assert_match "$(api DELETE /v1/ports/bulk "$ids")" '200$'
	assert_equal "$(ss -Hlnt "sport >= :$base and sport < :$((base + 1000))")" ''
}

@test "ports: a list with one port that is taken changes nothing" {
	local base answer
	base=$(free_block 20)
	host_server_start taken "$RK_TOOLS/tcp-server" echo 127.0.0.1 $((base + 13))
	bulk_body "$base" 20 >"$DIR/body"
	answer=$(api POST /v1/ports/bulk "@$DIR/body")
	assert_match "$answer" "publish 127\.0\.0\.1:$((base + 13)).*EADDRINUSE.*400$"
	assert_equal "$(ss -Hlnt "sport >= :$base and sport < :$((base + 20))" | wc -l)" 1
	assert_equal "$(api_body /v1/ports | json 'len(d)')" 1
	assert_match "$(api DELETE /v1/ports/bulk '[1, 4242]')" 'unknown id: 4242.*400$'
	assert_match "$(api DELETE /v1/ports/bulk '[1, 1]')" 'twice.*400$'
	assert_equal "$(api_body /v1/ports | json 'd[0]["id"]')" 1
	for answer in '' '{}' '[]' '[1]' '[{}]' 'x'; do
		assert_match "$(api POST /v1/ports/bulk "$answer")" '"message".*400$'
	done
}

# --- owners

# own METHOD: a process that publishes PORT as its own and waits; sets OWNER.
own() {
	rm -f "$DIR/owned"
	"${AS_USER[@]}" python3 "$FILE_DIR/port-client.py" own "$STATE/api.sock" "$1" \
		"$(spec tcp 127.0.0.1 "$PORT" '' 7001 '"owner":"peer"')" >"$DIR/owned" 3>&- &
	OWNER=$!
	wait_until 10 test -s "$DIR/owned"
}

not_listening() {
	! is_listening t "$PORT"
}

@test "ports: a port goes with the process that owns it, however that ends" {
	own POST
	assert_equal "$(json 'd["spec"]["parentPort"]' <"$DIR/owned")" "$PORT"
	assert_equal "$(json 'd["owner"]["pid"]' <"$DIR/owned")" "$OWNER"
	# Not with its connection.
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" old
	kill -KILL "$OWNER"
	wait_until 10 not_listening
	assert_equal "$(api_body /v1/ports | json 'len(d)')" 1
	assert_match "$(cat "$ENGINE_LOG")" "goes with process $OWNER"
}

@test "ports: another process takes a port over, and it outlives the first" {
	own POST
	local first=$OWNER
	own PUT
	assert_equal "$(json 'd["owner"]["pid"]' <"$DIR/owned")" "$OWNER"
	kill -KILL "$first"
	wait "$first" || true
	# A port that is freed wrongly would be by now: the next request looks at all owners first.
	METHOD=PUT add tcp 127.0.0.1 "$(free_port)" '' 7001 >/dev/null
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" old
	# Without an owner it stays for good.
	assert_match "$(METHOD=PUT add tcp 127.0.0.1 "$PORT" '' 7001)" '200$'
	kill -KILL "$OWNER"
	wait "$OWNER" || true
	METHOD=PUT add tcp 127.0.0.1 "$(free_port)" '' 7001 >/dev/null
	assert_equal "$(answer_of 127.0.0.1 "$PORT")" old
}

@test "ports: whoever comes right after a killed owner gets its port" {
	local round
	for round in 1 2 3 4 5 6 7 8 9 10; do
		own POST
		assert_match "$(cat "$DIR/owned")" '"id"'
		kill -KILL "$OWNER"
		wait "$OWNER" || true
	done
}
