# fault-kills.bats: SIGKILL of each process at many random points; see tests/fault/kills.bats.

load ../integration/lib
load ../fault/matrix
load ../fault/kills

setup() {
	test_start
	PORT=$(free_port)
	CONFIG=$DIR/kill.ini STATE=$DIR/kill.state
	write_config "$CONFIG" "127.0.0.1:$PORT:7001/tcp" </dev/null
}

@test "kills: each process at 200 random points, then a start on the same directory" {
	kill_rounds 200
}
