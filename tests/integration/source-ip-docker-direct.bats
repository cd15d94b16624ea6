# source-ip-docker-direct.bats: containers of rootless Docker without docker-proxy
# (--userland-proxy=false) see clients on other machines, TCP and UDP.
#
# This version of Docker then publishes nothing on the host: the ports are added by hand.

load lib
load source-ip-docker

prepare_file() {
	docker_prepare
	docker_start --userland-proxy=false
	docker_import_image
	docker run -d --name web --stop-signal KILL -p 7070:80/tcp -p 7071:8/udp tools \
		/bin/sh -c 'udp-server 0.0.0.0 8 --who & exec busybox httpd -f -vv -p 80 -h /tmp' >/dev/null
	wait_until 30 docker_web_ready
	export TCP UDP
	TCP=$(free_port) UDP=$(free_port)
	ctl add-ports ":$TCP:7070/tcp"
	[[ $(api POST /v1/ports '{"proto":"udp","parentPort":'"$UDP"',"childPort":7071,"sourceIP":"require"}') == *201 ]]
}

docker_web_ready() {
	docker logs web 2>&1 | grep -q ready &&
		docker exec web busybox nc 127.0.0.1 80 </dev/null >/dev/null 2>&1
}

@test "source-ip: without docker-proxy a container sees TCP clients" {
	remote A curl -s --max-time 20 --local-port 5701 -o "$DIR/page" "http://$HOST4:$TCP/"
	wait_until 15 web_logged "${CLIENT4//./\\.}\]?:5701"
}

@test "source-ip: without docker-proxy a container sees UDP clients" {
	assert_equal "$(ask A udp "$HOST4" "$UDP")" same
	assert_equal "$(ask B udp "$HOST4B" "$UDP" --clients 10)" '10 of 10 same'
}

@test "source-ip: without docker-proxy clients of the host's loopback reach the container" {
	assert_equal "$(as_user curl -s --max-time 20 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$TCP/")" 404
}

@test "source-ip: without docker-proxy programs in the namespace reach the container at 127.0.0.1" {
	assert_equal "$(in_ns curl -s --max-time 20 -o /dev/null -w '%{http_code}' http://127.0.0.1:7070/)" 404
}
