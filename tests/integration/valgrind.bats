# valgrind.bats: the control plane under memcheck: no error and no block lost for good.
#
# What valgrind 3.19 does not know: io_uring, hence epoll; pidfd_open(), which a library brings
# (tests/tools/preload/pidfd.c); clone3(), hence nsctl run is not here: ASan sees that one.

RK_SLOW=$((${RK_SLOW:-1} * 4))
load lib

setup_file() {
	file_start
	export BATS_TEST_TIMEOUT=$((90 * RK_SLOW))
	export WEB
	WEB=$(free_port)
	write_config "$FILE_DIR/plain.ini" "127.0.0.1:$WEB:7001/tcp" </dev/null
	engine_start "$FILE_DIR/plain.ini"
	cp "$RK_TOP/tests/tools/api-hammer.py" "$RK_TOP/tests/tools/pidfd-server.py" "$FILE_DIR/"
	host_server_start pidfd python3 "$FILE_DIR/pidfd-server.py" "$FILE_DIR/pidfd.sock"
}

setup() {
	test_start
	CHECKED=("RK_PIDFD_SOCKET=$FILE_DIR/pidfd.sock" "LD_PRELOAD=$RK_TOOLS/pidfd.so"
		valgrind --error-exitcode=99 --leak-check=full --show-leak-kinds=definite
		--errors-for-leak-kinds=definite --num-callers=30 "--log-file=$DIR/memcheck.%p")
}

# checked STATUS PROGRAM...: runs it under memcheck; it must end with that status, without a report.
checked() {
	local expected=$1
	shift
	rm -f "$DIR"/memcheck.*
	run as_user "${CHECKED[@]}" "$@"
	assert_no_report
	echo "$*: $output"
	assert_equal "$status" "$expected"
}

assert_no_report() {
	grep -qh 'ERROR SUMMARY: 0 errors' "$DIR"/memcheck.* &&
		! grep -qhE 'ERROR SUMMARY: [1-9]' "$DIR"/memcheck.* && return 0
	cat "$DIR"/memcheck.*
	return 1
}

@test "valgrind: rk-engine's configuration, right and wrong" {
	local engine=$RK_BIN/rk-engine
	checked 0 "$engine" --help
	checked 0 "$engine" --version
	write_config "$DIR/good.ini" "127.0.0.1:$(free_port):7001/tcp" </dev/null
	checked 0 "$engine" -c "$DIR/good.ini" --check
	checked 0 "$engine" -c "$RK_TMP/rootless.ini" --print-config
	checked 1 "$engine" -c "$DIR/none.ini" --check
	checked 1 "$engine" -c "$FILE_DIR/plain.ini" -o port.publish=1:2:3/tcp --check
	checked 1 "$engine" -c "$FILE_DIR/plain.ini" -o network.no-such-key=1 --check
	printf '[network]\ndriver = \n[nonsense\n=' >"$DIR/bad.ini"
	checked 1 "$engine" -c "$DIR/bad.ini" --check
}

@test "valgrind: rootlesskit's flags, right and wrong" {
	checked 0 "$RK_BIN/rootlesskit" --help
	checked 0 "$RK_BIN/rootlesskit" --version
	checked 1 "$RK_BIN/rootlesskit" --net=slirp4netns --port-driver=none -p 127.0.0.1:1:1/tcp true
	checked 1 "$RK_BIN/rootlesskit" --net=no-such-driver true
	checked 1 "$RK_BIN/rootlesskit" --no-such-flag true
}

@test "valgrind: rootlessctl, its commands" {
	local ctl=("$RK_BIN/rootlessctl" --socket "$STATE/api.sock") id
	checked 0 "${ctl[@]}" info
	checked 0 "${ctl[@]}" info --json
	checked 0 "${ctl[@]}" add-ports "127.0.0.1:$(free_port):7001/tcp" "127.0.0.1:$(free_port):7001/udp"
	id=${lines[0]}
	checked 0 "${ctl[@]}" list-ports
	checked 0 "${ctl[@]}" list-ports --json
	checked 0 "${ctl[@]}" stats
	checked 0 "${ctl[@]}" remove-ports "$id"
}

@test "valgrind: rootlessctl, what is refused" {
	local ctl=("$RK_BIN/rootlessctl" --socket "$STATE/api.sock")
	checked 1 "${ctl[@]}" remove-ports 4242
	checked 1 "${ctl[@]}" add-ports nonsense
	checked 1 "${ctl[@]}" add-ports "127.0.0.1:$WEB:7001/tcp"
	checked 1 "$RK_BIN/rootlessctl" --socket "$DIR/none.sock" list-ports
}

@test "valgrind: nsctl status and enter" {
	checked 0 "$RK_BIN/nsctl" status "$STATE"
	checked 3 "$RK_BIN/nsctl" status "$DIR"
	checked 1 "$RK_BIN/nsctl" enter "$DIR" -- true
	# This one becomes the command, so there is no summary.
	rm -f "$DIR"/memcheck.*
	run -7 as_user "${CHECKED[@]}" "$RK_BIN/nsctl" enter "$STATE" -- sh -c 'exit 7'
	grep -qh 'Memcheck' "$DIR"/memcheck.*
	run grep -hE 'Invalid|ninitialised' "$DIR"/memcheck.*
	assert_equal "$output" ''
}

@test "valgrind: an engine at work: API, hostile bodies, connections, death of the helper, the end" {
	local port body
	port=$(free_port)
	write_config "$DIR/engine.ini" "127.0.0.1:$port:7001/tcp" </dev/null
	rm -f "$DIR"/memcheck.*
	RK_IO=epoll engine_start "$DIR/engine.ini" "${CHECKED[@]}"
	server_start tcp "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
	tool tcp-many 127.0.0.1 "$port" 20 3
	run -0 as_user python3 "$FILE_DIR/api-hammer.py" "$STATE/api.sock" 2 5 7001 "$(free_port)" "$(free_port)"
	for body in '' '{' '[]' 'null' '{"proto":"tcp","parentPort":70000,"childPort":1}'; do
		assert_match "$(api POST /v1/ports "$body")" '400$'
	done
	assert_match "$(api DELETE /v1/ports/4242)" '400$'
	kill -KILL "$(descendant "$ENGINE_PID" nsctl-helper)"
	served() { tool tcp-many 127.0.0.1 "$port" 150 1; }
	wait_until 10 served
	engine_stop
	assert_equal "$ENGINE_STATUS" 143
	assert_no_report
}
