# bulk.bats: what is sent in bulk is spliced or copied: which, when, and what happens when the kernel
# does not want to. (Whether the bytes are right: tcp.bats and streams.bats, which also run with
# [engine] bulk = splice.)

load lib
load ../fault/matrix

teardown() {
	engine_stop || true
	test_end
}

# bulk_start IO BULK [WORD...]: one worker, a server that sends everything back.
bulk_start() {
	local io=$1 bulk=$2
	shift 2
	PORT=$(free_port)
	write_config "$DIR/bulk.ini" "127.0.0.1:$PORT:7001/tcp" <<-END
		[engine]
		workers = 1
	END
	RK_IO=$io RK_BULK=$bulk engine_start "$DIR/bulk.ini" "$@"
	server_start echo "$RK_TOOLS/tcp-server" echo 127.0.0.1 7001
}

metric() { # NAME
	api_body /metrics | awk -v name="rk_engine_worker_$1" 'index($1, name) == 1 { sum += $2 } END { print sum + 0 }'
}

spliced() {
	metric 'bulk_bytes_total{worker="0",way="splice"}'
}

copied() {
	metric 'bulk_bytes_total{worker="0",way="copy"}'
}

no_pipe_is_lent() {
	[ "$(metric pipes)" -eq 0 ]
}

# echo_client CODE: Python with `connect()`, and `echo(client, length)`, which sends so many bytes and
# compares what comes back.
echo_client() {
	RK_TEST_ID=$MARK timeout 60 python3 -c "
import os, socket, sys, threading, time
def connect():
    return socket.create_connection(('127.0.0.1', $PORT))
def echo(client, length):
    data = os.urandom(min(length, 1 << 20)) * -(-length >> 20)
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    for at in range(0, len(data), 1 << 20):
        assert client.recv(1 << 20, socket.MSG_WAITALL) == data[at:at + (1 << 20)], at
    sender.join()
$1"
}

@test "bulk: a large transfer is spliced through io_uring, and nothing is kept of it" {
	bulk_start io_uring splice
	echo_client 'echo(connect(), 200 << 20)'
	[ "$(spliced)" -gt $((2 * 150 << 20)) ]
	wait_until 10 no_pipe_is_lent
}

@test "bulk: a large transfer is spliced through epoll, and nothing is kept of it" {
	bulk_start epoll splice
	echo_client 'echo(connect(), 200 << 20)'
	[ "$(spliced)" -gt $((2 * 150 << 20)) ]
	wait_until 10 no_pipe_is_lent
}

@test "bulk: nothing is spliced when everything is to be copied" {
	bulk_start io_uring copy
	echo_client 'echo(connect(), 50 << 20)'
	assert_equal "$(spliced)" 0
	[ "$(copied)" -gt 0 ]
}

@test "bulk: left to itself the engine tries both ways" {
	both_were_tried() {
		echo_client 'echo(connect(), 200 << 20)'
		[ "$(copied)" -gt $((32 << 20)) ] && [ "$(spliced)" -gt $((32 << 20)) ]
	}
	bulk_start io_uring auto
	wait_until 60 both_were_tried
}

@test "bulk: a flow that talks after its bulk gives the pipes back" {
	local io
	for io in io_uring epoll; do
		bulk_start "$io" splice
		: >"$DIR/talk" # the one before talked, too
		echo_client '
client = connect()
for round in range(3):
    echo(client, 20 << 20)
    for i in range(30):
        client.sendall(b"x" * 100)
        assert client.recv(100, socket.MSG_WAITALL) == b"x" * 100
print("talked", flush=True)
time.sleep(30)' >"$DIR/talk" 3>&- &
		wait_until 30 grep -q talked "$DIR/talk"
		wait_until 10 no_pipe_is_lent
		[ "$(spliced)" -gt $((60 << 20)) ]
		engine_stop
	done
}

@test "bulk: a byte of urgent data stops no flow that is spliced, and costs no other byte" {
	local io
	for io in io_uring epoll; do
		bulk_start "$io" splice
		# It is left out, as every receive without MSG_OOB does.
		echo_client '
client = connect()
data = os.urandom(1 << 20) * 20
def send():
    client.sendall(data)
    client.send(b"!", socket.MSG_OOB)
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
sender = threading.Thread(target=send)
sender.start()
received = b"".join(iter(lambda: client.recv(1 << 20), b""))
assert received == data + data, (len(received), len(data))'
		[ "$(spliced)" -gt 0 ]
		wait_until 10 no_pipe_is_lent
		engine_stop
	done
}

@test "bulk: idle flows give their pipes to others" {
	bulk_start io_uring splice
	# More than there are pipes; the first ones keep silent after their bulk.
	echo_client '
clients = [connect() for i in range(12)]
for client in clients:
    echo(client, 3 << 20)
print("idle", flush=True)
time.sleep(30)' >"$DIR/idle" 3>&- &
	wait_until 30 grep -q idle "$DIR/idle"
	[ "$(metric pipes)" -gt 12 ]
	taken_over() {
		local before after
		before=$(spliced)
		echo_client '
clients = [connect() for i in range(6)]
for client in clients:
    echo(client, 20 << 20)'
		after=$(spliced)
		[ $((after - before)) -gt $((6 * 2 * 10 << 20)) ]
	}
	wait_until 30 taken_over
}

@test "bulk: more flows than pipes, some reset in the middle" {
	local io
	for io in io_uring epoll; do
		bulk_start "$io" splice
		echo_client '
def flow(i):
    client = connect()
    if i % 4:
        echo(client, 10 << 20)
    else:
        client.settimeout(0.5)
        try:
            client.sendall(bytes(30 << 20)) # nobody reads what comes back
        except TimeoutError:
            pass
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
threads = [threading.Thread(target=flow, args=(i,)) for i in range(40)]
errors = []
threading.excepthook = lambda args: errors.append(args)
[thread.start() for thread in threads]
[thread.join() for thread in threads]
sys.exit(bool(errors and print(errors)))'
		wait_until 10 no_pipe_is_lent
		wait_until 10 run_no_flow 1
		engine_stop
	done
}

@test "bulk: where the kernel does not splice everything is copied" {
	local error io
	for error in EPERM ENOSYS EINVAL ENOMEM EINTR; do
		for io in io_uring epoll; do
			local FAULTY
			fault "$DIR/fault" off >/dev/null
			fault_words "$DIR/fault"
			bulk_start "$io" splice env "${FAULTY[@]}"
			fault "$DIR/fault" set splice "$error" rk-engine 0 50
			echo_client 'echo(connect(), 100 << 20)'
			[ "$(fault "$DIR/fault" hits)" -gt 0 ]
			case $error in
			ENOMEM | EINTR) [ "$(spliced)" -gt 0 ] ;;
			*)
				assert_equal "$(spliced)" 0
				# Each direction may have tried.
				[ "$(fault "$DIR/fault" hits)" -le 2 ]
				;;
			esac
			wait_until 10 no_pipe_is_lent
			engine_stop
		done
	done
}

@test "bulk: where no pipe can be opened everything is copied until one can" {
	local call FAULTY
	for call in pipe2 fcntl; do
		fault "$DIR/fault" off >/dev/null
		fault_words "$DIR/fault"
		bulk_start io_uring splice env "${FAULTY[@]}"
		fault "$DIR/fault" set "$call" EPERM rk-engine
		echo_client 'echo(connect(), 20 << 20)'
		[ "$(fault "$DIR/fault" off)" -gt 0 ]
		assert_equal "$(spliced)" 0
		echo_client 'echo(connect(), 20 << 20)'
		[ "$(spliced)" -gt 0 ]
		engine_stop
	done
}

@test "bulk: without descriptors for pipes everything is copied" {
	# So few descriptors that all of them are for clients.
	bulk_start io_uring splice prlimit --nofile=126:126
	echo_client 'echo(connect(), 20 << 20)'
	assert_equal "$(spliced)" 0
}
