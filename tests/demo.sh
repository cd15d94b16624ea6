#!/bin/bash
# demo.sh BUILD-DIR: the whole way once, with real programs, in about ten seconds.
#
# As an unprivileged user (a throw-away one when it is started by root): rk-engine with the shipped
# configuration, a web server and iperf3 in the namespace, curl and iperf3 from the host through the
# published ports, rootlessctl, and an orderly end.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/user.bash
. tests/ports.bash

build=$(realpath "$1")
engine=

say() {
	printf '\n\033[1m== %s\033[0m\n' "$*"
}

cleanup() {
	local status=$?
	[ -z "$engine" ] || kill -TERM "$engine" 2>/dev/null || true
	[ -z "$engine" ] || wait "$engine" 2>/dev/null || true
	user_remove || status=1
	ports_release
	rm -rf "$dir"
	exit "$status"
}

wait_for() {
	local try
	for try in $(seq 100); do
		"$@" >/dev/null 2>&1 && return 0
		kill -0 "$engine" 2>/dev/null || break
		sleep 0.1
	done
	echo "demo: gave up on: $* (attempt $try)" >&2
	cat "$dir/engine.log" >&2
	return 1
}

in_namespace() {
	"${AS_USER[@]}" nsctl enter "$state" -- "$@"
}

dir=$(mktemp -d /tmp/rk-demo.XXXXXX)
RK_TMP=$dir
trap cleanup EXIT
ports_take .
user_create
mkdir "$dir/bin" "$dir/www" "$dir/ports"
cp "$build"/bin/* "$dir/bin/"
web=$(free_port)
dns=$(free_port)
speed=$(free_port)
# The shipped configuration, on ports that are free on this machine.
sed -e "s/:8080:/:$web:/" -e "s/:8053:/:$dns:/" config/rootless.ini >"$dir/rootless.ini"
echo 'hello from a rootless namespace' >"$dir/www/index.html"
chown -R "$TEST_UID:$TEST_GID" "$dir"
chmod 755 "$dir"
user_command "$dir" "$dir/bin"
state=$dir/state

say "rk-engine as $TEST_USER (uid $TEST_UID): config/rootless.ini, web server on child port 80"
"${AS_USER[@]}" rk-engine -c "$dir/rootless.ini" -o "engine.state-dir=$state" \
	-o "port.publish=127.0.0.1:$speed:5201/tcp" -- \
	python3 -m http.server --directory "$dir/www" --bind :: 80 \
	</dev/null >"$dir/engine.log" 2>&1 &
engine=$!
wait_for curl -sf --max-time 2 "http://127.0.0.1:$web/"

say "curl http://127.0.0.1:$web/ and http://[::1]:$web/"
curl -sS --fail --max-time 5 "http://127.0.0.1:$web/"
curl -sS --fail --max-time 5 "http://[::1]:$web/"

say 'in the namespace: nsctl enter STATE-DIR -- ip -brief address'
in_namespace ip -brief address

say 'rootlessctl list-ports'
"${AS_USER[@]}" rootlessctl --socket "$state/api.sock" list-ports
say 'rootlessctl info'
"${AS_USER[@]}" rootlessctl --socket "$state/api.sock" info

say "iperf3 through 127.0.0.1:$speed, host to namespace, then back"
in_namespace iperf3 --server --forceflush --bind 127.0.0.1 >"$dir/iperf3.log" 2>&1 &
server=$!
wait_for grep -q 'Server listening' "$dir/iperf3.log"
timeout 20 iperf3 --client 127.0.0.1 --port "$speed" --time 2 --format g | grep receiver
timeout 20 iperf3 --client 127.0.0.1 --port "$speed" --time 2 --format g --reverse | grep receiver
kill "$server"
wait "$server" 2>/dev/null || true

say 'SIGTERM: everything stops'
kill -TERM "$engine"
wait "$engine" 2>/dev/null || true
engine=
if [ -e "$state" ] || [ -n "$(ss -Htln "sport = :$web")" ]; then
	echo "demo: something was left behind" >&2
	exit 1
fi
echo 'state directory and ports are gone'
