# docker.bash: Debian's rootless Docker for the tests: its own dockerd-rootless.sh, dockerd and
# client, with the `rootlesskit` and `rootlesskit-docker-proxy` of this build first on PATH.
# `load docker` after `load lib`.
#
# The image is made by `docker import` from busybox and the servers of tests/tools.

DOCKER_SCRIPT=/usr/share/docker.io/contrib/dockerd-rootless.sh

# Once per file: sets DOCKER_DIR (home and runtime directory of this Docker), STATE, DOCKER_LOG.
# The path leaves out /usr/local/bin, where another Docker may be installed.
docker_prepare() {
	DOCKER_DIR=$FILE_DIR
	mkdir -p "$DOCKER_DIR/home" "$DOCKER_DIR/run"
	chown "$TEST_UID:$TEST_GID" "$DOCKER_DIR/home" "$DOCKER_DIR/run"
	chmod 700 "$DOCKER_DIR/run"
	STATE=$DOCKER_DIR/run/dockerd-rootless
	DOCKER_LOG=$DOCKER_DIR/dockerd.log
	export DOCKER_DIR STATE DOCKER_LOG
}

# Sets AS_DOCKER, the words before a command of this Docker; the caller has called test_start or
# file_start.
docker_command() {
	AS_DOCKER=("${AS_USER[@]}" "HOME=$DOCKER_DIR/home" "XDG_RUNTIME_DIR=$DOCKER_DIR/run"
		"PATH=$RK_BIN:/usr/sbin:/usr/bin:/sbin:/bin"
		"DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS=--state-dir=$STATE")
}

# docker_start [OPTION...]: starts dockerd and waits until its API answers.
docker_start() {
	docker_command
	: >"$DOCKER_LOG" # the one before had been ready, too
	"${AS_DOCKER[@]}" "$DOCKER_SCRIPT" "$@" </dev/null >"$DOCKER_LOG" 2>&1 3>&- &
	echo $! >"$DOCKER_DIR/pid"
	wait_until 60 docker_ready_or_gone || true
	docker_ready && return 0
	echo "dockerd did not start" >&2
	tail -n 40 "$DOCKER_LOG" >&2
	return 1
}

# The process of rootlesskit; in a file, because a test may have started another one.
docker_pid() {
	cat "$DOCKER_DIR/pid"
}

docker_ready() {
	grep -q 'API listen on' "$DOCKER_LOG"
}

docker_gone() {
	is_gone "$(docker_pid)"
}

docker_ready_or_gone() {
	docker_ready || docker_gone
}

# Ends dockerd as `systemctl --user stop docker` does.
docker_stop() {
	kill "-${1:-TERM}" "$(docker_pid)" 2>/dev/null || true
	wait_until 30 docker_gone && return 0
	echo "dockerd did not end" >&2
	tail -n 40 "$DOCKER_LOG" >&2
	return 1
}

docker() {
	docker_command
	timeout -k 1 "$LIMIT_S" "${AS_DOCKER[@]}" \
		/usr/bin/docker -H "unix://$DOCKER_DIR/run/docker.sock" "$@"
}

# Image "tools": busybox, and servers with the libraries that they are linked with.
docker_import_image() {
	local root=$DOCKER_DIR/image library
	mkdir -p "$root/bin" "$root/tmp"
	cp /bin/busybox "$RK_TOOLS/tcp-server" "$RK_TOOLS/udp-server" "$root/bin/"
	ln -s busybox "$root/bin/sh"
	for library in $(ldd "$root/bin/tcp-server" "$root/bin/udp-server" | grep -oE '/[^ ]+' |
		grep -vE ':$' | sort -u); do
		mkdir -p "$root$(dirname "$library")"
		cp -L "$library" "$root$library"
	done
	tar -C "$root" -c . | docker import - tools >/dev/null
	rm -rf "$root"
}

# docker_serve NAME OPTION...: a container that digests what it gets on TCP port 7 and echoes
# datagrams on UDP port 7, once it listens. The servers know no signal as process 1, hence KILL.
docker_serve() {
	local name=$1
	shift
	docker run -d --name "$name" --stop-signal KILL "$@" tools \
		/bin/sh -c 'udp-server 0.0.0.0 7 & exec tcp-server digest 0.0.0.0 7' >/dev/null
	wait_until 30 docker_serves "$name"
}

docker_serves() {
	[ "$(docker logs "$1" 2>&1 | grep -c ready)" -eq 2 ]
}

# The host port that container $1 got for $2 ("7/tcp") on all addresses of family $3 (4, 6), which
# docker writes as "0.0.0.0:PORT" and, by version, ":::PORT" or "[::]:PORT".
docker_port() {
	local address='^0\.0\.0\.0:'
	[ "$3" = 4 ] || address='::'
	docker port "$1" "$2" | grep -E "$address" | sed 's/.*://'
}

docker_remove_all() {
	local all
	all=$(docker ps -aq)
	# shellcheck disable=SC2086 # a list of ids
	[ -z "$all" ] || docker rm -f $all >/dev/null
}

# The files of images and containers belong to ids of the sub-id range.
docker_remove_files() {
	docker_command
	"${AS_DOCKER[@]}" "$RK_BIN/nsctl" run -o network.driver=none -- \
		rm -rf "$DOCKER_DIR/home" "$DOCKER_DIR/run/docker"
}
