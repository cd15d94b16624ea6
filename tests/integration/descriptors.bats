# descriptors.bats: a listener never dies because descriptors run out; it pauses and goes on.

load lib

setup_file() {
	file_start
	export ECHO UDP
	ECHO=$(free_port)
	UDP=$(free_port)
	write_config "$FILE_DIR/few.ini" "127.0.0.1:$ECHO:7001/tcp" "127.0.0.1:$UDP:7002/udp" <<-END
		[engine]
		workers = 1
		pool-size = 4
		udp-idle-timeout = 2s
	END
	# Room for what the engine itself needs and for some tens of flows.
	engine_start "$FILE_DIR/few.ini" prlimit --nofile=256:256
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	server_start udp "$RK_TOOLS/udp-server" 127.0.0.1 7002
}

@test "descriptors: connections beyond the limit wait, and are served when others close" {
	local answered later
	run -0 tool tcp-exhaust 127.0.0.1 "$ECHO" 150 2500
	answered=${lines[0]#answered } later=${lines[1]#then }
	echo "answered $answered of 150, then $later"
	[ "$answered" -gt 0 ]
	[ "$answered" -lt 150 ]
	[ "$later" -gt "$answered" ]
}

@test "descriptors: after the shortage new connections are served at once" {
	serves() { tool tcp-many 127.0.0.1 "$ECHO" 5 2; }
	wait_until 10 serves
	assert_match "$(tool tcp-many 127.0.0.1 "$ECHO" 5 2)" '^ok 5 '
}

# paused: the TCP port waits for descriptors.
paused() {
	[ "$(api_body /v1/stats | json '[p["state"] for p in d if p["spec"]["proto"] == "tcp"][0]')" = paused ]
}

@test "descriptors: a paused engine does not burn the processor" {
	local holder before after
	tool tcp-exhaust 127.0.0.1 "$ECHO" 150 6000 >/dev/null 3>&- &
	holder=$!
	wait_until 10 paused
	before=$(cpu_ticks)
	sleep 2
	after=$(cpu_ticks)
	wait "$holder"
	echo "ticks of 10 ms in 2 s: $((after - before))"
	[ $((after - before)) -lt 40 ]
}

cpu_ticks() {
	awk '{ print $14 + $15 }' "/proc/$ENGINE_PID/stat"
}

@test "descriptors: the control API answers during the shortage" {
	local holder
	tool tcp-exhaust 127.0.0.1 "$ECHO" 150 6000 >/dev/null 3>&- &
	holder=$!
	wait_until 10 paused
	assert_equal "$(api_body /v1/info | json 'd["apiVersion"]')" 1.1.1
	wait "$holder"
}

@test "descriptors: UDP flows beyond the limit are dropped, later ones are served" {
	tool udp-client many 127.0.0.1 "$UDP" 150 || true
	serves() { [ "$(tool udp-client echo 127.0.0.1 "$UDP" 10)" = '10 ok from 127.0.0.1' ]; }
	wait_until 15 serves
	assert_match "$(tool tcp-many 127.0.0.1 "$ECHO" 5 2)" '^ok 5 '
}
