# source-ip-docker.bats: containers of real rootless Docker see clients on other machines, with
# Docker's own rules and its docker-proxy running.

load lib
load source-ip-docker

prepare_file() {
	docker_prepare
	docker_start
	docker_import_image
}

teardown() {
	[ "$(id -u)" -eq 0 ] || return 0
	docker_remove_all
	test_end
}

# A container whose web server logs its clients, published as OPTION... say.
serve_web() {
	docker run -d --name web --stop-signal KILL "$@" tools \
		/bin/busybox httpd -f -vv -p 80 -h /tmp >/dev/null
	wait_until 20 web_answers
}

web_answers() {
	docker exec web busybox nc 127.0.0.1 80 </dev/null >/dev/null 2>&1
}

# On one of the other machines, where nobody else is: the port is free.
fetch() { # HOST PORT: whatever the answer, from local port 5701
	curl -s --max-time 20 --local-port 5701 -o "$DIR/page" "http://$1:$2/"
}

web_saw() { # REGEX
	wait_until 15 web_logged "$1" && return 0
	docker logs web >&2
	return 1
}

@test "source-ip: a container with a published port sees clients on two other machines" {
	local port
	serve_web -p 80
	port=$(docker_port web 80/tcp 4)
	remote A bash -c "$(declare -f fetch); DIR=$DIR; fetch $HOST4 $port"
	web_saw "${CLIENT4//./\\.}\]?:5701"
	remote B bash -c "$(declare -f fetch); DIR=$DIR; fetch $HOST4B $port"
	web_saw "198\.18\.1?[0-9]+\.2\]?:5701"
	assert_equal "$(api_body /v1/stats | json 'sum(p["connections"]["downgraded"] for p in d)')" 0
}

@test "source-ip: behind docker-proxy a container does not see the client, and stats say why" {
	local port
	serve_web -p 80
	port=$(docker_port web 80/tcp 6)
	# The container has no IPv6 address: there is no rule of Docker's for such a client.
	remote A curl -s --max-time 20 -o "$DIR/page" "http://[$HOST6]:$port/"
	web_saw '172\.17\.0\.1\]?:'
	assert_equal "$(api_body /v1/stats |
		json '[p["downgrades"] for p in d if p["spec"]["proto"] == "tcp6"]')" "[{'proxy': 1}]"
	assert_match "$(ctl stats)" 'proxy=1'
}

@test "source-ip: a client of the host's loopback still reaches the container" {
	local port
	serve_web -p 80
	port=$(docker_port web 80/tcp 4)
	curl -s --max-time 20 -o "$DIR/page" "http://127.0.0.1:$port/"
	web_saw '172\.17\.0\.1\]?:'
}

@test "source-ip: the container that replaces another sees the client, too" {
	local port try
	port=$(free_port)
	for try in 1 2; do
		serve_web -p "$port:80"
		remote A bash -c "$(declare -f fetch); DIR=$DIR; fetch $HOST4 $port"
		web_saw "${CLIENT4//./\\.}\]?:5701" || return "$try"
		docker rm -f web >/dev/null
	done
}
