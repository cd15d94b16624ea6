# user.bash: an unprivileged user to run rootless programs as; sourced by the demo and the tests.
#
# As root: makes a throw-away user with a sub-id range and opens /dev/net/tun to everybody.
# As anybody else: that user is the caller, who must have a sub-id range.
#
#   user_create            sets TEST_USER, TEST_UID, TEST_GID
#   user_command HOME BIN [NAME=VALUE...]
#                          sets AS_USER, the words to put before a command so that it runs as that
#                          user, with a clean environment and BIN first on PATH; and CLEAN, the
#                          same without the change of user
#   user_remove            ends what still runs as the throw-away user, then removes it

# What the throw-away user is called in /etc/passwd, so that left-overs of a killed run are found.
USER_COMMENT='rk-engine test user of process'

user_create() {
	TEST_USER=$(id -un) TEST_UID=$(id -u) TEST_GID=$(id -g)
	if [ "$TEST_UID" -ne 0 ]; then
		if grep -qE "^($TEST_USER|$TEST_UID):" /etc/subuid; then
			return 0
		fi
		echo "user $TEST_USER has no sub-id range: as root, run" >&2
		echo "usermod --add-subuids 200000-265535 --add-subgids 200000-265535 $TEST_USER" >&2
		return 1
	fi
	user_remove_stale
	TEST_USER=rkt$$
	local try
	# Another useradd may hold the lock of /etc/passwd for a moment.
	for try in {1..20}; do
		useradd --no-create-home --home-dir /nonexistent --shell /bin/sh \
			--comment "$USER_COMMENT $$" "$TEST_USER" && break
		[ "$try" -lt 20 ] || return 1
		sleep 0.5
	done
	TEST_UID=$(id -u "$TEST_USER") TEST_GID=$(id -g "$TEST_USER")
	if ! grep -q "^$TEST_USER:" /etc/subuid; then
		local first=$((300000000 + TEST_UID % 4000 * 65536))
		usermod --add-subuids "$first-$((first + 65535))" \
			--add-subgids "$first-$((first + 65535))" "$TEST_USER"
	fi
	# What udev does where it runs: anybody may open it, a tap needs rights over its namespace.
	if [ ! -c /dev/net/tun ]; then
		mkdir -p /dev/net
		# Another run may make it at the same time.
		mknod /dev/net/tun c 10 200 2>/dev/null || [ -c /dev/net/tun ]
	fi
	chmod 666 /dev/net/tun
}

user_command() {
	local home=$1 path=$2
	shift 2
	CLEAN=(env -i "HOME=$home" "USER=$TEST_USER" "LOGNAME=$TEST_USER" SHELL=/bin/sh LC_ALL=C.UTF-8
		"TMPDIR=$home" "PATH=$path:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "$@")
	AS_USER=("${CLEAN[@]}")
	if [ "$(id -u)" -eq 0 ]; then
		AS_USER=(setpriv "--reuid=$TEST_UID" "--regid=$TEST_GID" --init-groups --inh-caps=-all
			"${CLEAN[@]}")
	fi
}

# Process ids whose real uid is $1 or in the sub-id range of user $2.
user_processes() {
	local uid=$1 user=$2 range first count status real
	range=$(grep "^$user:" /etc/subuid | head -n 1 || true)
	IFS=: read -r _ first count <<<"${range:-x:1:0}"
	for status in /proc/[0-9]*/status; do
		real=$(awk '$1 == "Uid:" { print $2 }' "$status" 2>/dev/null) || continue
		[ -n "$real" ] || continue
		if [ "$real" -eq "$uid" ] || { [ "$real" -ge "$first" ] && [ "$real" -lt $((first + count)) ]; }
		then
			status=${status#/proc/}
			echo "${status%/status}"
		fi
	done
}

user_remove_named() {
	local user=$1 uid pids try
	for try in {1..50}; do
		# Each time: another run may remove it meanwhile, and the next user gets its number.
		uid=$(id -u "$user" 2>/dev/null) || return 0
		pids=$(user_processes "$uid" "$user")
		[ -n "$pids" ] || break
		# shellcheck disable=SC2086 # a list of numbers
		kill -KILL $pids 2>/dev/null || true
		sleep 0.1
	done
	for try in {1..40}; do
		userdel "$user" 2>/dev/null && return 0
		# Another run may have removed it: both saw that its own was killed.
		id -u "$user" >/dev/null 2>&1 || return 0
		sleep 0.5
	done
	echo "could not remove user $user" >&2
	return 1
}

user_remove() {
	if [ "$(id -u)" -eq 0 ] && [[ ${TEST_USER:-} == rkt* ]]; then
		user_remove_named "$TEST_USER"
	fi
}

# Users whose test run was killed before it could clean up.
user_remove_stale() {
	local user comment owner
	while IFS=: read -r user _ _ _ comment _; do
		[[ $user == rkt* && $comment == "$USER_COMMENT "* ]] || continue
		owner=${comment##* }
		[ -d "/proc/$owner" ] || user_remove_named "$user"
	done </etc/passwd
}
