# setup_suite.bash: once per run of bats: the unprivileged user, a range of ports, and a temporary
# directory with copies of the programs (the build tree may stand where that user cannot read).
#
#   RK_BUILD  build directory (default: build)
#   RK_TMP    the temporary directory; RK_BIN and RK_TOOLS in it

# What the caller's shell has set must not decide what programs print, what may be read, or whom a
# client asks.
plain_environment() {
	unset LANG LANGUAGE "${!LC_@}" TZ http_proxy https_proxy ftp_proxy all_proxy no_proxy
	unset HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY CDPATH GREP_OPTIONS POSIXLY_CORRECT
	export LC_ALL=C.UTF-8
	umask 022
}

setup_suite() {
	local top
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	. "$top/tests/user.bash"
	. "$top/tests/ports.bash"
	plain_environment
	ports_take "$top"
	user_create
	RK_BUILD=$(realpath "${RK_BUILD:-$top/build}")
	RK_TMP=$(mktemp -d /tmp/rk-test.XXXXXX)
	mkdir "$RK_TMP/bin" "$RK_TMP/tools" "$RK_TMP/home" "$RK_TMP/ports"
	cp "$RK_BUILD"/bin/* "$RK_TMP/bin/"
	cp "$RK_BUILD"/tools/* "$RK_TMP/tools/"
	# What tests/fetch-backends.sh has unpacked, where the system has no package of it.
	[ ! -d "$RK_BUILD/backends" ] || cp "$RK_BUILD"/backends/usr/bin/* "$RK_TMP/bin/"
	cp "$top/config/rootless.ini" "$RK_TMP/"
	chown -R "$TEST_UID:$TEST_GID" "$RK_TMP"
	chmod 755 "$RK_TMP"
	export RK_TOP=$top RK_TMP RK_BIN=$RK_TMP/bin RK_TOOLS=$RK_TMP/tools
	export TEST_USER TEST_UID TEST_GID
}

teardown_suite() {
	local top
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	. "$top/tests/user.bash"
	. "$top/tests/ports.bash"
	user_remove
	ports_release
	[ -z "${RK_TMP:-}" ] || rm -rf "$RK_TMP"
}
