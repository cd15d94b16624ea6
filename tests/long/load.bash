# load.bash: what the load tests share: many descriptors, and figures of the whole family of processes.

load ../integration/lib

# A flow takes two descriptors of the engine, whose workers get unequal shares of the clients: how
# many of WANTED clients at a time the limit of open files (which only root can raise) allows.
clients_of() { # WANTED
	local most=$(($(ulimit -Hn) * 35 / 100))
	echo $(($1 < most ? $1 : most))
}

# Longer than any of the tools runs on a busy machine.
LIMIT_S=900

load_start() {
	test_start
	ulimit -n "$(ulimit -Hn)"
}

# Each test has an engine and a directory of its own; other files define theirs.
setup() {
	file_start
	load_start
}

teardown() {
	engine_stop || true
	test_end
	file_end
}

# start IO SPEC...: an engine with these ports; standard input is appended to its configuration.
start() {
	local io=$1
	shift
	write_config "$DIR/load.ini" "$@"
	RK_IO=$io engine_start "$DIR/load.ini"
}

figure() {
	echo "# $*" >&3
}

# Engine, both sides of nsctl, helper, slirp4netns: all below the engine but the command.
family() {
	local pid=${1:-$ENGINE_PID} child children
	[ "$(cat "/proc/$pid/comm")" != sleep ] || return 0
	echo "$pid"
	read -r -d '' -a children < <(cat /proc/"$pid"/task/*/children 2>/dev/null) || true
	for child in "${children[@]}"; do
		family "$child"
	done
}

# A line "PID NAME DESCRIPTORS RSS-KIB" for each.
family_figures() {
	local pid
	for pid in $(family); do
		echo "$pid $(tr ' ' _ <"/proc/$pid/comm") $(fd_count "$pid") $(rss_kib "$pid")"
	done
}

# at_baseline FIGURES FDS KIB: the same processes have no more descriptors and memory than then, but
# for the allowance.
at_baseline() {
	join <(sort <<<"$1") <(family_figures | sort) | awk -v fds="$2" -v kib="$3" '
		{ count++; if ($6 > $3 + fds || $7 > $4 + kib) bad = 1 }
		END { exit bad || count < 4 }'
}

assert_baseline() { # FIGURES FDS KIB
	wait_until 30 at_baseline "$@" && return 0
	printf 'before:\n%s\nafter:\n%s\n' "$1" "$(family_figures)" >&2
	return 1
}

flows_open() {
	api_body /v1/stats | json 'sum(p["connections"]["open"] for p in d)'
}

flows_are() {
	[ "$(flows_open)" -eq "$1" ]
}

# Kernel threads of io_uring: an operation had to block.
ring_threads() {
	cat /proc/"$ENGINE_PID"/task/*/comm 2>/dev/null | grep -c '^iou-wrk' || true
}
