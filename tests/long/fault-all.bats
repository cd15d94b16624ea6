# fault-all.bats: every error of every row of tests/fault/matrix.txt.

load ../integration/lib
load ../fault/matrix

@test "all faults: at the start" {
	matrix_start '.*' '.*' all
}

@test "all faults: what io_uring lacks" {
	matrix_start '.*' '.*' all lacks
}

@test "all faults: in a running engine on epoll" {
	matrix_run epoll '.*' all
}

@test "all faults: in a running engine on io_uring" {
	matrix_run auto '.*' all
}
