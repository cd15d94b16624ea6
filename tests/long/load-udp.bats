# load-udp.bats: UDP with very many clients: nothing leaks, and new flows do not disturb old ones.

load load

# Short, so that the flows of a million clients come and go within the limit of descriptors.
IDLE_S=1

# A port for the crowd, one for the client that counts.
udp_start() {
	CROWD=$(free_port) STEADY=$(free_port)
	start "$1" "127.0.0.1:$CROWD:7001/udp" "127.0.0.1:$STEADY:7002/udp" <<-END
		[engine]
		udp-idle-timeout = ${IDLE_S}s
	END
	server_start crowd "$RK_TOOLS/udp-server" 127.0.0.1 7001
	server_start steady "$RK_TOOLS/udp-server" 127.0.0.1 7002
}

@test "load: a million UDP clients leave flows, descriptors and memory where they were" {
	local before
	udp_start io_uring
	# As many flows as there can be at a time have been there once.
	tool udp-load many 127.0.0.1 "$CROWD" 60000
	wait_until 20 flows_are 0
	before=$(family_figures)
	SECONDS=0
	run -0 tool udp-load many 127.0.0.1 "$CROWD" 1000000
	figure "$output in $SECONDS s"
	figure "$(awk '{ printf "%s %d fds %d KiB  ", $2, $3, $4 }' <<<"$before") before,"
	assert_equal "$output" 'answered 1000000 of 1000000'
	wait_until 20 flows_are 0
	figure "$(family_figures | awk '{ printf "%s %d fds %d KiB  ", $2, $3, $4 }') after"
	assert_baseline "$before" 300 8192
}

burst() {
	udp_start "$1"
	tool udp-load steady 127.0.0.1 "$STEADY" 8000 >"$DIR/steady" 2>&1 3>&- &
	local steady=$!
	sleep 1
	run -0 tool udp-load many 127.0.0.1 "$CROWD" 10000
	assert_equal "$output" 'answered 10000 of 10000'
	wait "$steady"
	figure "$1, 10000 new flows meanwhile, in us: $(cat "$DIR/steady")"
	assert_match "$(cat "$DIR/steady")" '^sent 8000 lost 0 '
}

@test "load: 10000 new UDP flows cost an existing one no datagram (io_uring)" {
	burst io_uring
}

@test "load: 10000 new UDP flows cost an existing one no datagram (epoll)" {
	burst epoll
}

@test "load: a stream in one direction keeps its source port, far beyond the idle time" {
	local port
	port=$(free_port)
	start io_uring "127.0.0.1:$port:7003/udp" <<-END
		[engine]
		udp-idle-timeout = 3s
	END
	# It never answers; it prints who sent each datagram.
	server_start sink python3 -u -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 7003))
print("ready")
while True:
    print("from", s.recvfrom(100)[1][1])'
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(60):
    s.sendto(b"" if i % 2 else b"x", ("127.0.0.1", int(sys.argv[1])))
    time.sleep(1)' "$port"
	assert_equal "$(grep -c '^from' "$FILE_DIR/sink.out")" 60
	assert_equal "$(grep '^from' "$FILE_DIR/sink.out" | sort -u | wc -l)" 1
}
