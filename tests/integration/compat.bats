# compat.bats: the same command line under RootlessKit (Debian's package) and under ours, and what
# came of it. What differs on purpose is taken out by name here and listed in
# docs/compatibility.md.

load lib

THEIRS=/usr/bin

setup() {
	test_start
	mkdir "$DIR/theirs" "$DIR/ours"
	chown "$TEST_UID:$TEST_GID" "$DIR/theirs" "$DIR/ours"
}

# run_one theirs|ours WORD...: runs rootlesskit; output and status go to DIR/NAME/{out,err,status}.
# The state directory is the same for both, so that their outputs can be compared.
run_one() {
	local name=$1 bin=$RK_BIN status=0
	shift
	[ "$name" = ours ] || bin=$THEIRS
	(cd "$DIR/$name" && as_user env "BIN=$bin" "$bin/rootlesskit" --state-dir="$DIR/st" "$@") \
		</dev/null >"$DIR/$name/out" 2>"$DIR/$name/err" 3>&- || status=$?
	echo "$status" >"$DIR/$name/status"
}

run_both() {
	run_one theirs "$@"
	run_one ours "$@"
}

# Both ended with the same status, $1 if given.
assert_same_status() {
	local theirs ours
	theirs=$(<"$DIR/theirs/status") ours=$(<"$DIR/ours/status")
	if [ "$ours" != "$theirs" ] || [ "$ours" != "${1:-$ours}" ]; then
		echo "exit status: theirs $theirs, ours $ours, expected ${1:-the same}" >&2
		cat "$DIR/theirs/err" "$DIR/ours/err" >&2
		return 1
	fi
}

# same_after FILTER WORD...: runs the words under both; the statuses are 0, and the outputs are equal
# after the shell command FILTER, which must leave something. same: without a filter.
same_after() {
	local filter=$1 theirs ours
	shift
	run_both "$@"
	assert_same_status 0
	theirs=$(bash -c "$filter" <"$DIR/theirs/out")
	ours=$(bash -c "$filter" <"$DIR/ours/out")
	[ -n "$theirs" ]
	diff <(echo "$theirs") <(echo "$ours") >&2
}

same() {
	same_after cat "$@"
}

SLIRP=(--net=slirp4netns --disable-host-loopback)

# What a command does first that looks at the state directory: theirs starts it before its API, and on a
# busy machine long before. (That ours does not is in lifecycle.bats.)
# shellcheck disable=SC2016 # for the command's shell
API_FIRST='tries=0
	until [ -S "$ROOTLESSKIT_STATE_DIR/api.sock" ] || [ $((tries += 1)) -gt 400 ]; do sleep 0.05; done
'

# --- command line ----------------------------------------------------------------------------

@test "compat: the exit status of the command, of a signal, of a missing command" {
	local flag script
	for flag in --pidns=false --pidns=true; do
		for script in 'exit 0' 'exit 1' 'exit 42' 'exit 255' 'kill -USR1 $$' 'kill -KILL $$'; do
			run_both "$flag" sh -c "$script"
			assert_same_status
		done
		assert_match "$(cat "$DIR/theirs/err")" 'signal: killed'
		assert_match "$(cat "$DIR/ours/err")" 'signal: killed'
		run_both "$flag" sh -c 'kill -USR1 $$'
		assert_same_status 255
		assert_match "$(cat "$DIR/theirs/err")" 'signal: user defined signal 1'
		assert_match "$(cat "$DIR/ours/err")" 'signal: user defined signal 1'
		run_both "$flag" /no/such/program
		assert_same_status 1
		run_both "$flag" no-such-program
		assert_same_status 1
	done
	run_both
	assert_same_status 1
	assert_match "$(cat "$DIR/ours/err")" 'no command specified'
}

@test "compat: wrong command lines are refused with status 1 and one line, nothing is left" {
	local case words
	for case in 'no-such=1' 'mtu=x' 'mtu=65522' 'net=foo' 'port-driver=foo' 'publish=8080:80' \
		'publish=127.0.0.1:8080:80/tcp' 'cidr=10.0.2.100/24 --net=slirp4netns' 'ifname=a' \
		'ifname=a/b --net=slirp4netns' 'propagation=rshared --copy-up=/etc' 'copy-up=/tmp' \
		'copy-up=/no/such' 'copy-up-mode=foo' 'reaper=true' 'reaper=foo' \
		'evacuate-cgroup2=x' 'evacuate-cgroup2=x --pidns' 'subid-source=foo' 'pidns=foo' \
		'port-driver=builtin'; do
		read -r -a words <<<"--$case"
		run_both "${words[@]}" true
		assert_same_status 1
		assert_match "$(cat "$DIR/ours/err")" "--?${case%%[= ]*}|${case%%[= ]*} "
		assert_equal "$(wc -l <"$DIR/ours/err")" 1
		[ ! -e "$DIR/st" ] || rm -r "$DIR/st" # theirs leaves it
	done
	run_both --mtu
	assert_same_status 1
}

@test "compat: the ways to write a flag" {
	local flag
	for flag in --pidns --pidns=true --pidns=1 --pidns=T --pidns=True -pidns -pidns=TRUE; do
		same_after 'wc -l' "$flag" sh -c 'ls -d /proc/[0-9]*'
	done
	same --reaper auto --mtu 1400 --pidns=f -- echo --pidns
	same --copy-up /etc -copy-up=/opt sh -c 'ls -d /etc/.ro* /opt/.ro* | wc -l'
	same sh -c 'echo "$@"' sh --no-such -x 'a  b' ''
}

@test "compat: version and help" {
	assert_match "$(as_user "$RK_BIN/rootlesskit" --version)" '^rootlesskit version [0-9]+\.[0-9]+\.[0-9]+$'
	assert_match "$(as_user "$RK_BIN/rootlesskit" -v)" '^rootlesskit version '
	# The name in Docker's packages.
	ln -s "$RK_BIN/rk-engine" "$DIR/docker-rootlesskit"
	assert_match "$(as_user "$DIR/docker-rootlesskit" --version)" '^rootlesskit version '
	local part flag
	for part in major minor patch; do
		assert_match "$(as_user "$RK_BIN/rootlesskit" --print-semver=$part)" '^[0-9]+$'
	done
	as_user "$RK_BIN/rootlesskit" --help >"$DIR/help"
	# Every flag that theirs lists, in the same categories.
	as_user "$THEIRS/rootlesskit" --help >"$DIR/help.theirs"
	for flag in $(grep -oE '^    --[a-z0-9-]+' "$DIR/help.theirs") --detach-netns --print-semver; do
		grep -qw -- "$flag" "$DIR/help"
	done
	diff <(grep -oE '^  [A-Z][^:]*:' "$DIR/help.theirs" | sort) \
		<(grep -oE '^  [A-Z][^:]*:' "$DIR/help" | grep -vE 'pasta|gvisor' | sort) >&2
}

# --- what the command sees -------------------------------------------------------------------

@test "compat: id maps from every source of sub-ids" {
	local source
	for source in auto dynamic static; do
		same --subid-source=$source cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
	done
	same sh -c 'id -u; id -g; touch "$BIN.x" 2>/dev/null; chown 1:1 . && stat -c %u:%g . && chown 0:0 .'
}

# Runs the rest of the words in a mount namespace of its own, after `$1` (a script) as root.
privately() {
	[ "$(id -u)" -eq 0 ] || skip 'needs root for a mount namespace'
	unshare --mount bash -euc "$1"
}

@test "compat: several ranges, and a user who is named by number" {
	local first script
	first=$(grep "^$TEST_USER:" /etc/subuid | cut -d : -f 2 | head -n 1)
	printf '%s:%s:1000\n%s:%s:500\n' "$TEST_UID" "$first" "$TEST_USER" $((first + 5000)) >"$DIR/subids"
	printf '%s:600000000:7\n' "$TEST_USER" >>"$DIR/subids"
	printf 'other:1:1\n' >"$DIR/none"
	export -f run_one as_user
	script="mount --bind $DIR/subids /etc/subuid; mount --bind $DIR/subids /etc/subgid
		$(declare -p AS_USER DIR RK_BIN THEIRS LIMIT_S)
		for name in theirs ours; do
			run_one \$name --subid-source=static cat /proc/self/uid_map /proc/self/gid_map
		done"
	privately "$script"
	assert_same_status 0
	diff "$DIR/theirs/out" "$DIR/ours/out" >&2
	assert_equal "$(wc -l <"$DIR/ours/out")" 8
	# Theirs takes what getsubids prints for the number as well and fails on the double.
	privately "${script//static/auto}"
	assert_equal "$(<"$DIR/ours/status")" 0
	assert_equal "$(wc -l <"$DIR/ours/out")" 8
	privately "${script//subids/none}"
	assert_same_status 1
	assert_match "$(cat "$DIR/ours/err")" 'no range of subordinate user ids.*usermod'
}

@test "compat: the environment" {
	same_after "grep -vE '^(BIN|PWD|OLDPWD)='" sh -c 'env | sort; umask; cat /proc/self/limits'
	same --pidns sh -c 'env | grep ROOTLESSKIT | sort'
}

@test "compat: which namespaces are new" {
	local flags words
	for flags in '' '--pidns' '--pidns --reaper=false' '--cgroupns' '--utsns' '--ipcns' \
		'--pidns --cgroupns --utsns --ipcns' '--net=slirp4netns --disable-host-loopback --pidns'; do
		read -r -a words <<<"$flags"
		# shellcheck disable=SC2046 # the words of one host's answer
		same "${words[@]}" sh -c '
			for kind in user mnt net pid uts ipc cgroup; do
				[ "$(readlink /proc/self/ns/$kind)" = "$1" ] && echo "$kind host" || echo "$kind own"
				shift
			done' sh $(for kind in user mnt net pid uts ipc cgroup; do readlink /proc/self/ns/$kind; done)
	done
	assert_match "$(cat "$DIR/ours/out")" 'net own'
}

@test "compat: --pidns: we are pid 1, /proc is the new namespace's" {
	same --pidns sh -c 'echo "parent $PPID"; cd /proc; [ "$(ls | grep -c "^[0-9]")" -lt 8 ] && echo few
		readlink "$$/exe"; stat -f -c %T /proc; grep PPid 1/status'
}

@test "compat: the reaper takes orphans, unless it is off" {
	local reaper
	for reaper in auto true false; do
		same_after 'wc -l' --pidns --reaper=$reaper sh -c \
			'(sleep 0.1 &); sleep 1.5; echo; grep -l "^State:.Z" /proc/[0-9]*/status || true'
	done
	assert_equal "$(wc -l <"$DIR/ours/out")" 2
}

@test "compat: the network: addresses, routes, MTU, DNS, hosts, /sys" {
	local flags words
	# With --ipv6 theirs leaves address, route and DNS to router advertisements.
	for flags in '' '--mtu=1400 --cidr=10.9.0.0/24 --ifname=net7' '--ipv6'; do
		read -r -a words <<<"$flags"
		same_after "sed -E '/fe80|fd00:|valid_lft|link\/ether/d; s/ state .*//; s/ proto static *$//; s/ *$//'" "${SLIRP[@]}" \
			--copy-up=/etc "${words[@]}" sh -c '
				ip addr; ip route; ip -6 route show default; cat /etc/resolv.conf
				getent ahosts "$(hostname)" | cut -d " " -f 1 | sort -u; ls /sys/class/net
				ls /sys/fs/cgroup; test -f /etc/resolv.conf -a ! -L /etc/resolv.conf && echo real'
	done
}

# Copies of /etc and /run take their place, where the other tests of now add users, networks and
# directories between the run of theirs and that of ours.
still_etc_and_run() {
	[ "$(id -u)" -eq 0 ] || return 0
	mkdir "$DIR/still"
	cp -ax /etc /run "$DIR/still/" 2>/dev/null || true # what goes meanwhile is not needed
	AS_USER=(unshare --mount sh -ec 'mount --bind "$0/etc" /etc; mount --bind "$0/run" /run; exec "$@"'
		"$DIR/still" "${AS_USER[@]}")
}

@test "compat: copied-up directories: every name, every link" {
	still_etc_and_run
	mkdir -p "$DIR/up/sub"
	ln -s /no/where "$DIR/up/dangling"
	ln -s sub "$DIR/up/relative"
	echo text >"$DIR/up/file"
	printf x >"$DIR/up/.hidden"
	chown -R "$TEST_UID:$TEST_GID" "$DIR/up"
	same_after "sed -E 's/\.ro[A-Za-z0-9]+/.roX/'" --copy-up=/etc --copy-up=/run --copy-up="$DIR/up" sh -c "
		cd $DIR/up && find . -maxdepth 1 -printf '%P %y %l\n' | sort && cat file && echo new >made &&
		rm relative && mkdir relative && ls /etc /run && find /etc /run -maxdepth 1 -printf '%p %y %l\n' | sort"
	[ ! -e "$DIR/up/made" ] && [ -L "$DIR/up/relative" ]
	# A state directory inside of it stays where it is.
	same_after "sed -E '/network|hosts|resolv.conf/d'" --copy-up="${DIR%/*}" sh -c \
		"$API_FIRST"'ls "$ROOTLESSKIT_STATE_DIR"; test -S "$ROOTLESSKIT_STATE_DIR/api.sock" && echo socket'
}

@test "compat: mount propagation, all six" {
	local propagation
	export -f run_one as_user
	for propagation in private rprivate slave rslave shared rshared; do
		privately "mount --make-rshared /
			$(declare -p AS_USER DIR RK_BIN THEIRS LIMIT_S)
			for name in theirs ours; do
				run_one \$name --propagation=$propagation cat /proc/self/mountinfo
			done"
		assert_same_status 0
		# The kind of each mount: the numbers of peer groups differ.
		diff <(awk '{ print $5, $7 ~ /shared/, /master:/ }' "$DIR/theirs/out" | sort) \
			<(awk '{ print $5, $7 ~ /shared/, /master:/ }' "$DIR/ours/out" | sort) >&2
	done
}

@test "compat: the cgroup is evacuated, and its tree is the namespace's" {
	local group=rk-compat-$$
	export -f run_one as_user
	privately "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
		group=/sys/fs/cgroup/$group
		mkdir \$group; chown -R $TEST_UID \$group
		# The kernel may take a moment to see that the last process is gone.
		gone() { for try in {1..200}; do rmdir \$1 2>/dev/null && return; sleep 0.05; done; rmdir \$1; }
		trap 'echo \$\$ >/sys/fs/cgroup/cgroup.procs; gone \$group/box; gone \$group' EXIT
		echo \$\$ >\$group/cgroup.procs
		$(declare -p AS_USER DIR RK_BIN THEIRS LIMIT_S)
		for name in theirs ours; do
			run_one \$name --pidns --cgroupns --evacuate-cgroup2=box sh -c '
				grep ^0: /proc/self/cgroup; ls -d /sys/fs/cgroup/*/; wc -l </sys/fs/cgroup/cgroup.procs
				cat /sys/fs/cgroup/cgroup.subtree_control; mkdir /sys/fs/cgroup/made && rmdir /sys/fs/cgroup/made'
			echo \$\$ >\$group/cgroup.procs
		done"
	assert_same_status 0
	diff "$DIR/theirs/out" "$DIR/ours/out" >&2
	assert_match "$(cat "$DIR/ours/out")" '^0::/box'
}

# --- state directory -------------------------------------------------------------------------

@test "compat: the state directory while it runs and after" {
	# Ours also has the names that are mounted, and what nsctl status reads.
	same_after "grep -vE '^(network|hosts|resolv.conf)$'" "${SLIRP[@]}" --copy-up=/etc sh -c "$API_FIRST"'
		ls "$ROOTLESSKIT_STATE_DIR"; test "$(cat "$ROOTLESSKIT_STATE_DIR/child_pid")" = "$PPID" && echo parent
		test -S "$ROOTLESSKIT_STATE_DIR/api.sock" && echo socket
		flock -n "$ROOTLESSKIT_STATE_DIR/lock" true || echo locked'
	[ ! -e "$DIR/st" ]
	# A relative one becomes absolute; one that is not empty is cleaned.
	run_both --state-dir=here/st sh -c 'echo "$ROOTLESSKIT_STATE_DIR"'
	assert_same_status 0
	assert_equal "$(cat "$DIR/ours/out")" "$DIR/ours/here/st"
	assert_equal "$(cat "$DIR/theirs/out")" "$DIR/theirs/here/st"
	as_user mkdir "$DIR/ours/old" "$DIR/theirs/old"
	as_user touch "$DIR/ours/old/junk" "$DIR/theirs/old/junk"
	run_both --state-dir=old sh -c "$API_FIRST"'ls "$ROOTLESSKIT_STATE_DIR"'
	assert_same_status 0
	run ! grep junk "$DIR/ours/out" "$DIR/theirs/out"
}

@test "compat: a second instance on one state directory fails, the first goes on" {
	run_both sh -c "$API_FIRST"'"$BIN/rootlesskit" --state-dir="$ROOTLESSKIT_STATE_DIR" true; echo "status $?"
		test -S "$ROOTLESSKIT_STATE_DIR/api.sock" && echo alive'
	assert_same_status 0
	diff "$DIR/theirs/out" "$DIR/ours/out" >&2
	assert_match "$(cat "$DIR/ours/err")" "$DIR/st"
}

# --- signals ---------------------------------------------------------------------------------

# Sends $2 to the program $1 with these flags; the command answers with what it got. Theirs, which
# loses one now and then, gets more.
signal_one() {
	local name=$1 signal=$2 bin=$RK_BIN pid status=0
	shift 2
	[ "$name" = ours ] || bin=$THEIRS
	rm -f "$DIR/$name/out"
	"${AS_USER[@]}" env --default-signal "$bin/rootlesskit" --state-dir="$DIR/st" "$@" sh -c "
		trap 'echo got; exit 9' $signal; echo waiting; while :; do sleep 0.05; done" \
		</dev/null >"$DIR/$name/out" 2>"$DIR/$name/err" 3>&- &
	pid=$!
	wait_until 10 grep -q waiting "$DIR/$name/out"
	kill -s "$signal" "$pid"
	while [ "$name" = theirs ] && ! wait_until 1 is_gone "$pid"; do
		kill -s "$signal" "$pid" || true
	done
	wait "$pid" || status=$?
	echo "$status" >"$DIR/$name/status"
}

# Theirs starts the command before it looks after signals: one that comes in between is lost, or ends
# it without a word to the command. Such a run shows nothing and is made again.
signal_theirs() {
	local try
	for try in {1..10}; do
		signal_one theirs "$@"
		! grep -q got "$DIR/theirs/out" || return 0
		rm -rf "$DIR/st" # which it leaves then
	done
	echo "theirs never passed the signal on" >&2
	return 1
}

@test "compat: signals reach the command" {
	local flags signal words
	for flags in '' --pidns '--pidns --reaper=false'; do
		read -r -a words <<<"$flags"
		for signal in TERM INT HUP QUIT USR1 USR2 ALRM CONT; do
			signal_theirs $signal "${words[@]}"
			signal_one ours $signal "${words[@]}"
			assert_same_status 9
			assert_match "$(cat "$DIR/ours/out")" got
		done
	done
}

# Ignores two SIGTERM and ends by itself: nobody may kill it.
stubborn_one() {
	local name=$1 bin=$RK_BIN pid status=0
	[ "$name" = ours ] || bin=$THEIRS
	"${AS_USER[@]}" "$bin/rootlesskit" --state-dir="$DIR/st" sh -c \
		'trap "" TERM; echo waiting; sleep 2; exit 6' \
		</dev/null >"$DIR/$name/out" 2>"$DIR/$name/err" 3>&- &
	pid=$!
	wait_until 10 grep -q waiting "$DIR/$name/out"
	# It may be over by then, whatever ended it: its status tells.
	kill -TERM "$pid" || true
	sleep 0.5
	kill -TERM "$pid" || true
	wait "$pid" || status=$?
	echo "$status" >"$DIR/$name/status"
}

@test "compat: a command that ignores SIGTERM is not killed" {
	stubborn_one theirs
	stubborn_one ours
	assert_same_status 6
}

# --- rootlessctl -----------------------------------------------------------------------------

# Every command of both clients against the server that runs this.
ctl_script() {
	cat <<-'END'
		ctl() { echo "\$ $*"; "$CLIENT" --socket="$ROOTLESSKIT_STATE_DIR/api.sock" "$@" 2>&1 || echo "status $?"; }
		list() { ctl list-ports | sort; ctl list-ports --json | sort; } # theirs has no order
		tries=0
		until "$CLIENT" --socket="$ROOTLESSKIT_STATE_DIR/api.sock" info >/dev/null 2>&1 || [ $((tries += 1)) -gt 200 ]; do
			sleep 0.05
		done
		ctl info; ctl info --json; list; ctl add-ports 127.0.0.1:$2:81/tcp 127.0.0.1:$2:82/udp; list
		ctl add-ports --json "[::1]:$2:[::2]:83/tcp6"; ctl add-ports 127.0.0.1:$2:81/tcp; ctl add-ports bad
		ctl remove-ports 2 3; ctl remove-ports 99; ctl remove-ports x; ctl remove-ports 4; list
		ctl remove-ports; ctl add-ports; ctl no-such
	END
}

# Numbers of processes and releases; the words of an error; what only ours has to tell.
ctl_filter() {
	sed -E 's/(Child PID: |"childPID": )[0-9]+/\1N/; s/(Implementation version: |"version": ).*/\1V/
		/^(error: |no such command|No help topic)/s/.*/error/; /sourceIP/s/,"sourceIP":\{[^}]*\}//; s/,"state":"[a-z]+"//
		/^- Engine:/d; /^    "engine": \{/,/^    \}/d; s/^    \},$/    }/; /^  - (Workers|Source IP):/d'
}

@test "compat: rootlessctl: both clients on both servers" {
	local port other client server
	port=$(free_port) other=$(free_port)
	ctl_script >"$DIR/ctl.sh"
	for server in theirs ours; do
		for client in "$THEIRS" "$RK_BIN"; do
			run_one $server "${SLIRP[@]}" --copy-up=/etc --port-driver=builtin \
				-p "127.0.0.1:$other:80/tcp" env "CLIENT=$client/rootlessctl" sh "$DIR/ctl.sh" "" "$port"
			cp "$DIR/$server/out" "$DIR/$server-$([ "$client" = "$RK_BIN" ] && echo ours || echo theirs)"
		done
	done
	local reference
	reference=$(ctl_filter <"$DIR/theirs-theirs")
	assert_match "$reference" '"tcp6","parentIP":"::1"'
	for client in theirs-ours ours-theirs ours-ours; do
		diff <(echo "$reference") <(ctl_filter <"$DIR/$client") >&2
	done
}
