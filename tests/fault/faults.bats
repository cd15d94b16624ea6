# faults.bats: a call of the system fails: service goes on, or the engine ends with one clear line.
# The cases are in matrix.txt; tests/long/fault-all.bats runs every error of each.

load ../integration/lib
load matrix

@test "faults: of the engine, at the start" {
	matrix_start epoll rk-engine first
}

@test "faults: of io_uring, at the start" {
	matrix_start 'auto|io_uring' rk-engine first
}

@test "faults: of nsctl, at the start" {
	matrix_start epoll nsctl first
}

@test "faults: of the child of nsctl, at the start" {
	matrix_start epoll nsctl-child first
}

@test "faults: of the helper, at the start" {
	matrix_start epoll nsctl-helper first
}

@test "faults: of a running engine on epoll" {
	matrix_run epoll rk-engine first
}

@test "faults: of a running engine on io_uring" {
	matrix_run auto rk-engine first
}

@test "faults: of a helper at work" {
	matrix_run epoll nsctl-helper first
}
