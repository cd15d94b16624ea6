# ports.bash: ports of the host for one run of tests alone; sourced by the demo and the tests.
#
#   ports_take TOP    sets RK_PORTS, the first port of a range that no other run on this machine has,
#                     and PORTS_HOLDER, the process that holds it and ends with this shell
#   ports_release     gives it back
#   free_port         prints a port of the range; needs the directory RK_TMP/ports

# Below the ephemeral ports (32768 and up), so that no outgoing connection takes one.
PORTS_FIRST=10000 PORTS_SIZE=3750 PORTS_RANGES=6

ports_take() {
	read -r RK_PORTS < <(exec setpriv --pdeathsig KILL python3 "$1/tests/tools/port-range.py" \
		"$PORTS_FIRST" "$PORTS_SIZE" "$PORTS_RANGES" </dev/null 3>&-) || return 1
	export RK_PORTS PORTS_HOLDER=$!
}

ports_release() {
	[ -z "${PORTS_HOLDER:-}" ] || kill "$PORTS_HOLDER" 2>/dev/null || true
}

# A TCP and UDP port of the host that nobody uses. It is given out only once in a run.
free_port() {
	local port
	while true; do
		port=$((RK_PORTS + (RANDOM * 32768 + RANDOM) % PORTS_SIZE))
		mkdir "$RK_TMP/ports/$port" 2>/dev/null || continue
		[ -n "$(ss -Htuan "sport = :$port")" ] || break
	done
	echo "$port"
}
