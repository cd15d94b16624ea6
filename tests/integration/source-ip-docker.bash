# source-ip-docker.bash: containers of rootless Docker and clients on other machines, in one file.

load source-ip
load docker

teardown_file() {
	[ "$(id -u)" -eq 0 ] || return 0
	docker_remove_all || true
	docker_stop || true
	docker_remove_files || true
	remotes_end
	file_end
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make clients on other machines"
	test_start
	user_environment "$FILE_MARK"
}

# The web server of container "web" has logged a client at REGEX.
web_logged() {
	docker logs web 2>&1 | grep -qE "^\[?(::ffff:)?$1"
}
