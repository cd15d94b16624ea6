# drivers-port.bats: the port drivers slirp4netns and socat, and which port driver goes with which
# network driver. (builtin: api, tcp, udp; implicit: drivers-pasta.)

load lib
load drivers

setup() {
	test_start
	host_network_enter
	PORT=$(free_port) OTHER=$(free_port)
}

config() { # NET PORT [SPEC...]
	driver_config "$DIR/test.ini" "$@"
}

# Echo servers at IP:7001 of the child, TCP and UDP. They came into the namespaces from outside and
# outlive them, so they do not carry the mark of what must not be left behind.
echo_start() {
	local mark=(env "RK_TEST_ID=$FILE_MARK")
	server_start "tcp$BATS_TEST_NUMBER" "${mark[@]}" "$RK_TOOLS/tcp-server" echo "$1" 7001
	server_start "udp$BATS_TEST_NUMBER" "${mark[@]}" "$RK_TOOLS/udp-server" "$1" 7001
}

# A port that was added through the API works and is free when the removal has been answered.
add_use_remove() { # PROTO-OF-SS SPEC CLIENT...
	local letter=$1 spec=$2 id
	shift 2
	id=$(ctl add-ports "$spec")
	assert_match "$(ctl list-ports)" "^$id |"$'\n'"$id "
	"$@"
	assert_equal "$(ctl remove-ports "$id")" "$id"
	host_closed "$letter" "$OTHER"
}

udp_echo() { # IP PORT
	assert_match "$(host_tool udp-client echo "$1" "$2" 512)" '^512 ok'
}

illegal() { # NET PORT REGEX
	config "$1" "$2" </dev/null
	refused "$DIR/test.ini" "$3"
}

# --- pairs -----------------------------------------------------------------------------------

@test "port drivers: illegal pairs are refused with what the port driver needs" {
	illegal none slirp4netns 'slirp4netns requires slirp4netns network'
	illegal pasta slirp4netns 'slirp4netns requires slirp4netns network'
	illegal host slirp4netns 'slirp4netns requires slirp4netns network'
	illegal slirp4netns implicit 'implicit requires pasta network'
	illegal none implicit 'implicit requires pasta network'
	illegal host socat 'socat requires non-host network'
	illegal host builtin 'builtin requires non-host network'
	config slirp4netns none "127.0.0.1:$PORT:7001/tcp" </dev/null
	refused "$DIR/test.ini" 'none.*does not support publishing ports'
}

# --- slirp4netns -----------------------------------------------------------------------------

@test "slirp4netns: published ports lead to the interface's address" {
	config slirp4netns slirp4netns "127.0.0.1:$PORT:7001/tcp" "127.0.0.1:$PORT:7001/udp" \
		<<<$'[network]\ndisable-host-loopback = false'
	engine_start "$DIR/test.ini"
	echo_start 10.0.2.100
	assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 10 5)" '^ok 10 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$PORT" 1 512 1400)" '1400 ok'
	engine_stop
	host_closed t "$PORT"
	host_closed u "$PORT"
	assert_none_left "$MARK"
	[ ! -e "$STATE" ]
}

@test "slirp4netns: ports are added, used and removed; info says what it cannot" {
	local info
	config slirp4netns slirp4netns </dev/null
	engine_start "$DIR/test.ini"
	info=$(api_body /v1/info)
	assert_equal "$(json 'd["portDriver"]["driver"]' <<<"$info")" slirp4netns
	assert_equal "$(json 'd["portDriver"]["protos"]' <<<"$info")" "['tcp', 'tcp4', 'udp', 'udp4']"
	assert_equal "$(json 'd["portDriver"]["disallowLoopbackChildIP"]' <<<"$info")" True
	echo_start 10.0.2.100
	for _ in 1 2 3; do
		add_use_remove t "127.0.0.1:$OTHER:7001/tcp" host_tool tcp-many 127.0.0.1 "$OTHER" 2 2
		add_use_remove u "0.0.0.0:$OTHER:10.0.2.100:7001/udp4" \
			udp_echo "$HOST_IP" "$OTHER"
	done
	assert_equal "$(ctl list-ports --json)" ''
	engine_stop
}

@test "slirp4netns: answers over UDP that disable-host-loopback drops are announced" {
	config slirp4netns slirp4netns "127.0.0.1:$PORT:7001/udp" </dev/null
	engine_start "$DIR/test.ini"
	assert_match "$(cat "$ENGINE_LOG")" "warning: 127\.0\.0\.1:$PORT/udp.*drops the answers"
	echo_start 10.0.2.100
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$PORT" 512)" '512 lost'
	engine_stop
}

@test "slirp4netns: several ports at once keep their ids apart" {
	local first second third
	config slirp4netns slirp4netns </dev/null
	engine_start "$DIR/test.ini"
	echo_start 10.0.2.100
	first=$(ctl add-ports "127.0.0.1:$PORT:7001/tcp")
	second=$(ctl add-ports "127.0.0.1:$OTHER:7001/tcp")
	third=$(ctl add-ports "127.0.0.1:$OTHER:7001/udp")
	ctl remove-ports "$second"
	host_closed t "$OTHER"
	host_listens t "$PORT"
	host_listens u "$OTHER"
	ctl remove-ports "$third"
	host_closed u "$OTHER"
	host_tool tcp-many 127.0.0.1 "$PORT" 1 1
	ctl remove-ports "$first"
	host_closed t "$PORT"
	engine_stop
}

@test "slirp4netns: IPv6 and the child's loopback are refused with the reason" {
	local spec
	config slirp4netns slirp4netns </dev/null
	engine_start "$DIR/test.ini"
	for spec in "[::1]:$PORT:7001/tcp" "[::]:$PORT:7001/udp" ":$PORT:7001/tcp6" \
		"127.0.0.1:$PORT:[fd00::100]:7001/tcp"; do
		run ctl add-ports "$spec"
		assert_equal "$status" 1
		assert_match "$output" 'IPv4 only'
	done
	for spec in "127.0.0.1:$PORT:127.0.0.1:7001/tcp" "127.0.0.1:$PORT:127.1.2.3:7001/udp"; do
		run ctl add-ports "$spec"
		assert_equal "$status" 1
		assert_match "$output" "loopback address 127.*10\.0\.2\.100"
	done
	assert_equal "$(ctl list-ports --json)" ''
	engine_stop
	config slirp4netns slirp4netns "127.0.0.1:$PORT:127.0.0.1:7001/tcp" </dev/null
	refused "$DIR/test.ini" 'loopback address'
	assert_none_left "$MARK"
}

@test "slirp4netns: ports that cannot be had are explained" {
	config slirp4netns slirp4netns </dev/null
	engine_start "$DIR/test.ini"
	host_server_start owner-tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	host_server_start owner-udp "$RK_TOOLS/udp-server" 127.0.0.1 "$PORT"
	for proto in tcp udp; do
		run ctl add-ports "127.0.0.1:$PORT:7001/$proto"
		assert_equal "$status" 1
		assert_match "$output" "127\.0\.0\.1:$PORT/$proto.*[Aa]ddress already in use"
	done
	run ctl add-ports 127.0.0.1:81:7001/tcp
	assert_equal "$status" 1
	assert_match "$output" 'ip_unprivileged_port_start'
	ctl add-ports "127.0.0.1:$OTHER:7001/tcp"
	run ctl add-ports "127.0.0.1:$OTHER:7001/tcp"
	assert_match "$output" 'conflict with ID'
	engine_stop
}

# What the API says of the port that was left behind.
orphan_says() { # EXPRESSION
	api_body /v1/ports | json "d[0]$1"
}

orphan_failed() {
	[ "$(orphan_says '["state"]')" = failed ]
}

no_ports() {
	[ "$(api_body /v1/ports)" = '[]' ]
}

@test "slirp4netns: a port whose owner ended while it hung goes when it works again" {
	local slirp owner
	config slirp4netns slirp4netns </dev/null
	engine_start "$DIR/test.ini"
	cp "$RK_TOP/tests/tools/port-client.py" "$DIR/"
	"${AS_USER[@]}" python3 "$DIR/port-client.py" own "$STATE/api.sock" POST \
		'{"proto":"tcp","parentIP":"127.0.0.1","parentPort":'"$PORT"',"childPort":7001,"owner":"peer"}' \
		>"$DIR/owned" 3>&- &
	owner=$!
	wait_until 10 test -s "$DIR/owned"
	host_listens t "$PORT"
	slirp=$(descendant "$ENGINE_PID" slirp4netns)
	kill -STOP "$slirp"
	kill -KILL "$owner"
	wait_until 20 orphan_failed
	assert_equal "$(orphan_says '["lastError"]["phase"]')" 'remove the port'
	assert_match "$(orphan_says '["stateReason"]')" 'timed out'
	assert_match "$(cat "$ENGINE_LOG")" 'port 1 could not be removed; that is tried again'
	# What it did not answer it does now: the next try finds the port gone.
	kill -CONT "$slirp"
	wait_until 20 no_ports
	host_closed t "$PORT"
	engine_stop
	assert_none_left "$MARK"
}

@test "slirp4netns: the API socket is there for this port driver only" {
	config slirp4netns builtin </dev/null
	engine_start "$DIR/test.ini"
	[ ! -e "$STATE/slirp4netns.sock" ]
	engine_stop
	config slirp4netns slirp4netns </dev/null
	engine_start "$DIR/test.ini"
	[ -S "$STATE/slirp4netns.sock" ]
	assert_equal "$(stat -c %a "$STATE")" 700
	engine_stop
}

@test "slirp4netns: its death ends the run with a message" {
	config slirp4netns slirp4netns "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(descendant "$ENGINE_PID" slirp4netns)" 'slirp4netns.*killed by signal 9'
	host_closed t "$PORT"
}

# --- socat -----------------------------------------------------------------------------------

socat_pid() { # the one listening process
	descendant "$ENGINE_PID" socat
}

socat_works_on() { # NET
	config "$1" socat "127.0.0.1:$PORT:7001/tcp" "127.0.0.1:$PORT:7001/udp" </dev/null
	engine_start "$DIR/test.ini"
	echo_start 127.0.0.1
	assert_match "$(host_tool tcp-many 127.0.0.1 "$PORT" 10 5)" '^ok 10 '
	assert_match "$(host_tool udp-client echo 127.0.0.1 "$PORT" 1 512 8000)" '8000 ok'
	engine_stop
	host_closed t "$PORT"
	host_closed u "$PORT"
	assert_none_left "$MARK"
}

@test "socat: published ports work on slirp4netns" {
	socat_works_on slirp4netns
}

@test "socat: published ports work on pasta" {
	socat_works_on pasta
}

@test "socat: published ports work without a network" {
	socat_works_on none
}

@test "socat: ports are added, used and removed" {
	config none socat </dev/null
	engine_start "$DIR/test.ini"
	assert_equal "$(api_body /v1/info | json 'd["portDriver"]["driver"]')" socat
	assert_equal "$(api_body /v1/info | json '"disallowLoopbackChildIP" in d["portDriver"]')" False
	echo_start 127.0.0.1
	for _ in 1 2 3; do
		add_use_remove t "127.0.0.1:$OTHER:7001/tcp" host_tool tcp-many 127.0.0.1 "$OTHER" 2 2
		add_use_remove u "127.0.0.1:$OTHER:7001/udp" udp_echo 127.0.0.1 "$OTHER"
	done
	engine_stop
}

@test "socat: removing a port frees it also while a connection is open" {
	local id proto
	config none socat </dev/null
	engine_start "$DIR/test.ini"
	echo_start 127.0.0.1
	for proto in tcp udp; do
		id=$(ctl add-ports "127.0.0.1:$OTHER:7001/$proto")
		"${AS_USER[@]}" timeout 20 socat -u EXEC:'sleep 15' "$proto:127.0.0.1:$OTHER" 3>&- &
		[ "$proto" = tcp ] || udp_echo 127.0.0.1 "$OTHER"
		sleep 0.5
		ctl remove-ports "$id"
		host_closed "${proto:0:1}" "$OTHER"
	done
	host_server_start again-tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$OTHER"
	host_server_start again-udp "$RK_TOOLS/udp-server" 127.0.0.1 "$OTHER"
	engine_stop
}

@test "socat: a half-closed connection still gets its answer" {
	config none socat "127.0.0.1:$PORT:7002/tcp" </dev/null
	engine_start "$DIR/test.ini"
	server_start digest "$RK_TOOLS/tcp-server" digest 127.0.0.1 7002
	assert_match "$(host_tool tcp-client half-close 127.0.0.1 "$PORT" 3000000)" '3000000'
	engine_stop
}

@test "socat: a port of all addresses answers in both families" {
	config none socat ":$PORT:7001/tcp" "[::1]:$OTHER:7001/tcp6" </dev/null
	engine_start "$DIR/test.ini"
	echo_start 127.0.0.1
	server_start six "$RK_TOOLS/tcp-server" echo ::1 7001
	host_tool tcp-many 127.0.0.1 "$PORT" 2 2
	host_tool tcp-many ::1 "$PORT" 2 2
	host_tool tcp-many ::1 "$OTHER" 2 2
	run ! host_tool tcp-many 127.0.0.1 "$OTHER" 1 1
	engine_stop
}

@test "socat: ports that cannot be had are explained" {
	config none socat </dev/null
	engine_start "$DIR/test.ini"
	host_server_start owner-tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 "$PORT"
	host_server_start owner-udp "$RK_TOOLS/udp-server" 127.0.0.1 "$PORT"
	for proto in tcp udp; do
		run ctl add-ports "127.0.0.1:$PORT:7001/$proto"
		assert_equal "$status" 1
		assert_match "$output" "127\.0\.0\.1:$PORT/$proto.*[Aa]ddress already in use"
	done
	run ctl add-ports 127.0.0.1:81:7001/tcp
	assert_match "$output" 'ip_unprivileged_port_start'
	engine_stop
}

@test "socat: its death ends the run with a message" {
	config none socat "127.0.0.1:$PORT:7001/tcp" </dev/null
	engine_start "$DIR/test.ini"
	dies_with "$(socat_pid)" "socat.*127\.0\.0\.1:$PORT/tcp.*killed by signal 9"
}

@test "socat: SIGKILL of the engine takes listeners and connections along" {
	config none socat </dev/null
	engine_start "$DIR/test.ini"
	echo_start 127.0.0.1
	ctl add-ports "127.0.0.1:$PORT:7001/udp"
	udp_echo 127.0.0.1 "$PORT"
	kill -KILL "$ENGINE_PID"
	assert_none_left "$MARK"
	assert_port_freed u "$PORT" host_listens
}

@test "socat: a missing program is named with its package" {
	config none socat <<<$'[socat]\nbinary = /nonexistent/socat'
	refused "$DIR/test.ini" '/nonexistent/socat: not found.*apt install socat.*\[socat\] binary'
	config none socat <<<$'[socat]\nbinary = /tmp/so cat'
	refused "$DIR/test.ini" 'cannot stand in an address'
}
