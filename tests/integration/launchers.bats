# launchers.bats: rootlesskit with the very flags of launchers that cannot run here, see
# docs/embedding.md. (dockerd-rootless.sh itself runs in docker.bats.)

load lib

setup() {
	test_start
	STATE=$DIR/state
}

@test "launchers: containerd-rootless.sh finds --detach-netns in the help and uses it" {
	as_user rootlesskit --help | grep -qw -- --detach-netns
	# shellcheck disable=SC2016 # for the other shell
	run -0 as_user rootlesskit --detach-netns "--state-dir=$STATE" --net=slirp4netns --mtu=65520 \
		--slirp4netns-sandbox=auto --slirp4netns-seccomp=auto --disable-host-loopback \
		--port-driver=builtin --copy-up=/etc --copy-up=/run --copy-up=/var/lib --propagation=rslave \
		sh -c 'rm -f /run/containerd /etc/containerd; mkdir /run/containerd /var/lib/containerd &&
			readlink /proc/self/ns/net && nsenter --net="$ROOTLESSKIT_STATE_DIR/netns" ip -o -4 addr'
	assert_equal "${lines[0]}" "$(readlink /proc/self/ns/net)"
	assert_match "$output" 'tap0 +inet 10\.0\.2\.100'
	[ ! -e "$STATE" ]
}

@test "launchers: the flags of Usernetes, and its way into the namespaces" {
	local launcher
	"${AS_USER[@]}" rootlesskit --state-dir "$STATE" --net=slirp4netns --mtu=65520 \
		--disable-host-loopback --slirp4netns-sandbox=true --slirp4netns-seccomp=true \
		--port-driver=builtin --copy-up=/etc --copy-up=/run --copy-up=/var/lib --copy-up=/opt \
		--propagation=rslave --pidns sleep 60 </dev/null >"$DIR/out" 2>&1 3>&- &
	launcher=$!
	wait_until 20 test -s "$STATE/child_pid"
	run -0 as_user nsenter -U --preserve-credentials -n -m -t "$(cat "$STATE/child_pid")" -- \
		sh -c 'stat -f -c %T /opt && ip -o -4 addr show tap0'
	assert_equal "${lines[0]}" tmpfs
	assert_match "${lines[1]}" '10\.0\.2\.100'
	run -0 ctl add-ports "127.0.0.1:$(free_port):80/tcp"
	kill -TERM "$launcher"
	wait "$launcher" || true
	[ ! -e "$STATE" ]
	assert_none_left "$MARK"
}

@test "launchers: BuildKit's image runs its daemon without a network of its own" {
	run -0 as_user rootlesskit sh -c 'id -u; readlink /proc/self/ns/net'
	assert_equal "${lines[0]}" 0
	assert_equal "${lines[1]}" "$(readlink /proc/self/ns/net)"
}
