# source-ip-modes.bats: namespaces that can show clients less, the defaults, and the PROXY protocol.

load lib
load source-ip

prepare_file() {
	cp "$RK_TOP/tests/tools/source-server.py" "$FILE_DIR/"
}

setup() {
	[ "$(id -u)" -eq 0 ] || skip "needs root to make clients on other machines"
	test_start
	ANY=$(free_port) LOOP=$(free_port) UANY=$(free_port)
}

teardown() {
	[ "$(id -u)" -eq 0 ] || return 0
	[ -z "${ENGINE_PID:-}" ] || engine_stop || true
	test_end
}

# start_engine < MORE: an engine with the usual ports and servers; DENY: words before everything.
DENY=()
start_engine() {
	write_config "$DIR/source.ini" ":$ANY:7001/tcp" ":$LOOP:7002/tcp" ":$UANY:7001/udp"
	AS_USER=("${DENY[@]}" "${AS_USER[@]}")
	engine_start "$DIR/source.ini"
	AS_USER=("${AS_USER[@]:${#DENY[@]}}")
	source_server tcp 0.0.0.0 7001
	source_server tcp :: 7001
	source_server tcp 127.0.0.1 7002
	source_server udp 0.0.0.0 7001
}

# asked_quickly SAID ASK-WORDS...: the answer matches, and did not take a second: the kernel would
# ask again after one. The machine may be slow now and then, what is forgotten is so each time.
asked_quickly() {
	local said=$1 answer try
	shift
	for try in 1 2 3 4 5; do
		answer=$(ask "$@" --timed)
		echo "try $try: $answer"
		assert_match "$answer" "$said, [0-9]+ ms\$"
		[[ ! $answer =~ ,\ [0-9]{1,3}\ ms$ ]] || return 0
	done
	return 1
}

levels() {
	api_body /v1/info | json '" ".join(d["engine"]["sourceIP"].values())'
}

@test "source-ip: by default TCP clients are shown and UDP clients are not" {
	start_engine </dev/null
	assert_equal "$(levels)" 'full full full full'
	assert_equal "$(ask A tcp "$HOST4" "$ANY")" same
	assert_equal "$(ask A tcp "$HOST6" "$ANY")" same
	assert_match "$(ask A udp "$HOST4" "$UANY")" '^seen 127.0.0.1'
	assert_equal "$(api_body /v1/ports | json '["sourceIP" in p for p in d]')" '[True, True, False]'
}

@test "source-ip: off sets nothing up" {
	start_engine <<<'source-ip = off'
	assert_equal "$(levels)" 'none none none none'
	assert_equal "$(ask A tcp "$HOST4" "$ANY")" 'seen 127.0.0.1'
	refute_match "$(in_ns ip rule)" 'fwmark'
	assert_equal "$(in_ns nft list tables)" ''
	assert_match "$(api POST /v1/ports '{"proto":"tcp","parentPort":'"$(free_port)"',"childPort":1,
		"sourceIP":"require"}')" 'start with \[port\] source-ip = prefer'
}

@test "source-ip: without nftables TCP clients are shown, UDP clients are not, with a warning" {
	local closed
	closed=$(free_port)
	DENY=("$RK_TOOLS/deny-source" netfilter)
	start_engine <<<'source-ip = prefer'
	assert_equal "$(levels)" 'direct direct none none'
	assert_equal "$(ask A tcp "$HOST4" "$ANY")" same
	assert_equal "$(ask A tcp "$HOST6" "$ANY")" same
	assert_equal "$(ask A tcp "$HOST4" "$LOOP")" same
	assert_equal "$(ask A udp "$HOST4" "$UANY")" 'seen 10.0.2.100'
	assert_equal "$(downgraded 3)" 1
	assert_match "$(cat "$ENGINE_LOG")" 'warning: port :'"$UANY"':7001/udp'
	ctl add-ports ":$closed:7009/tcp"
	asked_quickly '^error .*reset by peer' A tcp "$HOST4" "$closed"
	assert_match "$(api POST /v1/ports '{"proto":"udp","parentPort":'"$(free_port)"',"childPort":1,
		"sourceIP":"require"}')" 'source-ip = require: clients cannot be shown'
}

@test "source-ip: on a kernel that cannot leave connections untracked all are shown, and tracked" {
	DENY=("$RK_TOOLS/deny-source" untracked)
	start_engine <<<'source-ip = prefer'
	assert_equal "$(levels)" 'full full full full'
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --times 5 | sort | uniq -c | xargs)" '5 same'
	assert_equal "$(ask A tcp "$HOST6" "$ANY")" same
	assert_equal "$(ask A tcp "$HOST4" "$LOOP")" same
	assert_equal "$(ask A udp "$HOST4" "$UANY")" same
	assert_equal "$(port_stat 1 "p['connections']['untracked']")" 0
	refute_match "$(in_ns nft list table inet rk-engine)" 'notrack|reject'
}

@test "source-ip: without a writable /proc/sys all are shown, and tracked" {
	DENY=(unshare --mount sh -ec 'mount --bind -o ro /proc/sys /proc/sys
		mount -o remount,bind,ro /proc/sys
		exec "$@"' sh)
	start_engine <<<'source-ip = prefer'
	assert_equal "$(levels)" 'full full full full'
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --times 5 | sort | uniq -c | xargs)" '5 same'
	assert_equal "$(ask A tcp "$HOST6" "$ANY")" same
	assert_equal "$(port_stat 1 "p['connections']['untracked']")" 0
}

@test "source-ip: without transparent sockets clients are downgraded, not delayed, never loopback" {
	DENY=("$RK_TOOLS/deny-source" transparent)
	start_engine </dev/null
	assert_equal "$(levels)" 'none none none none'
	assert_match "$(cat "$ENGINE_LOG")" 'source address: no connection'
	assert_equal "$(ask A tcp "$HOST4" "$ANY")" 'seen 10.0.2.100'
	assert_equal "$(downgraded 1)" 1
	asked_quickly '^seen 10\.0\.2\.100' A tcp "$HOST4" "$ANY"
	# Nothing but the loopback address leads there: that is what prefer permits, and it is counted.
	assert_equal "$(ask A tcp "$HOST4" "$LOOP")" 'seen 127.0.0.1'
	assert_equal "$(downgraded 2)" 1
}

@test "source-ip: a namespace with a loopback interface only shows TCP clients" {
	write_config "$DIR/source.ini" ":$ANY:7001/tcp" ":$LOOP:7002/tcp" <<<'source-ip = require'
	ENGINE_OPTIONS=(--network.driver=none --network.ipv6=false)
	engine_start "$DIR/source.ini"
	source_server tcp 0.0.0.0 7001
	source_server tcp :: 7001
	source_server tcp 127.0.0.1 7002
	assert_equal "$(levels)" 'loopback loopback none none'
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --bytes 100000)" same
	assert_equal "$(ask A tcp "$HOST6" "$ANY")" same
	assert_equal "$(ask A tcp "$HOST4" "$LOOP")" same
}

@test "source-ip: in a network namespace that the command is not in" {
	local try
	# The addresses of a fresh namespace take effect with a delay: not to be taken for a failure.
	for try in 1 2 3 4 5; do
		ENGINE_OPTIONS=(--network.detach-netns=true)
		write_config "$DIR/source.ini" ":$ANY:7001/tcp" </dev/null
		engine_start "$DIR/source.ini"
		assert_equal "$(levels)" 'full full full full' || return "$try"
		[ "$try" -eq 5 ] || engine_stop
	done
	source_server tcp 0.0.0.0 7001
	assert_equal "$(ask A tcp "$HOST4" "$ANY")" same
}

@test "source-ip: with the epoll loop, too" {
	start_engine <<-END
		source-ip = prefer
		[engine]
		io = epoll
	END
	assert_equal "$(ask A tcp "$HOST4" "$ANY" --bytes 100000)" same
	assert_equal "$(ask A tcp "$HOST6" "$ANY" --from 5501 --quit --times 3)" $'same\nsame\nsame'
	assert_equal "$(ask A udp "$HOST4" "$UANY" --clients 30)" '30 of 30 same'
}

@test "proxy-protocol: nginx learns the client from versions 1 and 2" {
	local v1 v2 plain
	v1=$(free_port) v2=$(free_port) plain=$(free_port)
	write_config "$DIR/source.ini" <<<'source-ip = off'
	engine_start "$DIR/source.ini"
	cat >"$DIR/nginx.conf" <<-END
		daemon off; master_process off; pid $DIR/nginx.pid; error_log stderr;
		events {}
		http {
			access_log off; client_body_temp_path $DIR; proxy_temp_path $DIR;
			fastcgi_temp_path $DIR; uwsgi_temp_path $DIR; scgi_temp_path $DIR;
			server {
				listen 127.0.0.1:8080 proxy_protocol;
				location / {
					return 200 "\$proxy_protocol_addr \$proxy_protocol_port to \$proxy_protocol_server_addr \$proxy_protocol_server_port\\n";
				}
			}
		}
	END
	"${AS_USER[@]}" nsenter --preserve-credentials -t "$(cat "$STATE/child_pid")" -U -m -n -- \
		nginx -c "$DIR/nginx.conf" </dev/null >"$DIR/nginx.out" 2>&1 3>&- &
	wait_until 15 in_ns sh -c 'ss -Hltn "sport = :8080" | grep -q .'
	publish() {
		api POST /v1/ports '{"proto":"tcp","parentPort":'"$2"',"childPort":8080,
			"proxyProtocol":"'"$1"'"}' >/dev/null
	}
	publish v1 "$v1"
	publish v2 "$v2"
	publish off "$plain"
	named() { # HOST PORT CLIENT [COMMAND...]: from a port of its own; curl holds it for a minute after
		local from
		from=$(free_port)
		assert_equal "$("${@:4}" curl -sS --max-time 20 --local-port "$from" "http://$1:$2/")" \
			"$3 $from to $(tr -d '[]' <<<"$1") $2"
	}
	named "$HOST4" "$v1" "$CLIENT4" remote A
	named "$HOST4" "$v2" "$CLIENT4" remote A
	named "[$HOST6]" "$v1" "$CLIENT6" remote A
	named "[$HOST6]" "$v2" "$CLIENT6" remote A
	# A loopback client is named like any other; without the header nginx refuses.
	named 127.0.0.1 "$v2" 127.0.0.1
	run remote A curl -sS --max-time 20 "http://$HOST4:$plain/"
	[ "$status" -ne 0 ]
	assert_match "$(ctl list-ports --json)" '"proxyProtocol":"v1"'
}
