# stress.bats: the control thread, the API's thread and the workers at the same time; short here, and
# what ThreadSanitizer looks at (make tsan).

load lib

setup_file() {
	file_start
	export TCP UDP
	TCP=$(free_port) UDP=$(free_port)
	cp "$RK_TOP/tests/tools/api-hammer.py" "$FILE_DIR/"
}

setup() {
	test_start
	# Two workers also where there is one CPU.
	write_config "$DIR/stress.ini" "127.0.0.1:$TCP:7001/tcp" "127.0.0.1:$UDP:7001/udp" \
		<<<$'[engine]\nworkers = 2\nudp-idle-timeout = 1s'
	engine_start "$DIR/stress.ini"
	server_start tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7001
}

teardown() {
	touch "$DIR/end"
	test_end
}

# repeat_until FILE COMMAND...: until that file is there; fails when the command does.
repeat_until() {
	local end=$1
	shift
	while [ ! -e "$end" ]; do
		"$@" || return 1
	done
}

clients_lose_nothing() {
	[[ $(tool tcp-many 127.0.0.1 "$TCP" 40 3) == 'ok 40 360120' ]]
}

hammer() { # ROUNDS
	as_user python3 "$FILE_DIR/api-hammer.py" "$STATE/api.sock" 4 "$1" 7001 \
		"$(free_port)" "$(free_port)" "$(free_port)" "$(free_port)"
}

@test "stress: ports come and go and are read by 4 clients while traffic runs" {
	local traffic datagrams before
	before=$(api_body /v1/ports)
	repeat_until "$DIR/end" clients_lose_nothing 3>&- &
	traffic=$!
	repeat_until "$DIR/end" tool udp-client many 127.0.0.1 "$UDP" 50 >/dev/null 3>&- &
	datagrams=$!
	run hammer 60
	touch "$DIR/end"
	wait "$traffic"
	wait "$datagrams"
	assert_equal "$output" 'ok 1680'
	assert_equal "$(api_body /v1/ports)" "$before"
	engine_stop
}

@test "stress: the helper is killed again and again, clients are served and ports can be opened" {
	local hammer
	repeat_until "$DIR/end" hammer 5 >"$DIR/hammer" 2>&1 3>&- &
	hammer=$!
	for _ in 1 2 3; do
		wait_until 10 helper_runs
		kill -KILL "$(descendant "$ENGINE_PID" nsctl-helper)"
		wait_until 10 clients_lose_nothing
	done
	touch "$DIR/end"
	wait "$hammer" || { cat "$DIR/hammer"; return 1; }
	engine_stop
}

helper_runs() {
	[ -n "$(descendant "$ENGINE_PID" nsctl-helper)" ]
}

@test "stress: the engine ends in the middle of it, in time and without a report" {
	local load=()
	repeat_until "$DIR/end" clients_lose_nothing >/dev/null 2>&1 3>&- &
	load+=($!)
	repeat_until "$DIR/end" hammer 100 >/dev/null 2>&1 3>&- &
	load+=($!)
	sleep 0.5
	engine_stop
	touch "$DIR/end"
	wait "${load[@]}" || true
	assert_equal "$ENGINE_STATUS" 143
}
