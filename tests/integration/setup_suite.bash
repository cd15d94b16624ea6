# setup_suite.bash: once per run of bats: the unprivileged user, a range of ports, and a temporary
# directory with copies of the programs (the build tree may stand where that user cannot read).
#
#   RK_BUILD  build directory (default: build)
#   RK_TMP    the temporary directory; RK_BIN and RK_TOOLS in it

setup_suite() {
	local top
	top=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	. "$top/tests/user.bash"
	. "$top/tests/ports.bash"
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
