# config.bats: the configuration file, the command line over it, and what they say when wrong.

load lib

setup() {
	test_start
	write_config "$DIR/c.ini" '127.0.0.1:18080:80/tcp' </dev/null
}

engine() {
	as_user "$RK_BIN/rk-engine" "$@"
}

# rejects REGEX: rk-engine refuses DIR/bad.ini with FILE:LINE and this text, and starts nothing.
rejects() {
	run engine -c "$DIR/bad.ini" -- echo it-ran
	assert_equal "$status" 1
	refute_match "$output" 'it-ran'
	assert_match "$output" "$DIR/bad\.ini:[0-9]+: $1"
	run engine -c "$DIR/bad.ini" --check
	assert_equal "$status" 1
	assert_none_left "$MARK" 1
}

@test "config: the shipped example is valid" {
	run -0 engine -c "$RK_TMP/rootless.ini" --check
}

@test "config: --check of a good file starts nothing" {
	run -0 engine -c "$DIR/c.ini" --check -- echo it-ran
	refute_match "$output" 'it-ran'
	[ ! -e "$DIR/c.state" ]
}

@test "config: --print-config is read back to the same" {
	engine -c "$DIR/c.ini" -o network.mtu=1400 --mount.copy-up=/etc -o mount.copy-up=/run \
		--print-config >"$DIR/first.ini"
	grep -q '^mtu = 1400' "$DIR/first.ini"
	grep -q '^copy-up = /run' "$DIR/first.ini"
	grep -q '^publish = 127.0.0.1:18080:80/tcp' "$DIR/first.ini"
	engine -c "$DIR/first.ini" --print-config >"$DIR/second.ini"
	diff "$DIR/first.ini" "$DIR/second.ini"
}

@test "config: the command line wins over the file, whatever the order" {
	assert_match "$(engine --network.driver=none -c "$DIR/c.ini" --print-config)" $'\ndriver = none\n'
	assert_match "$(engine -c "$DIR/c.ini" -o network.driver=none --print-config)" $'\ndriver = none\n'
}

@test "config: an unknown key" {
	printf '[engine]\nno-such-key = 1\n' >"$DIR/bad.ini"
	rejects '.*engine.*no-such-key'
}

@test "config: an unknown section" {
	printf '\n\n[nothing]\nkey = 1\n' >"$DIR/bad.ini"
	rejects '.*nothing'
}

@test "config: a value of the wrong kind says what is allowed" {
	printf '[network]\ndriver = none\nmtu = many\n' >"$DIR/bad.ini"
	rejects '.*network.*mtu.*many'
	assert_match "$(engine -c "$DIR/bad.ini" --check 2>&1)" 'bad\.ini:3:'
	printf '[mount]\npropagation = upside-down\n' >"$DIR/bad.ini"
	rejects '.*propagation.*rslave'
}

@test "config: an unknown driver lists those there are" {
	printf '[network]\ndriver = carrier-pigeon\n' >"$DIR/bad.ini"
	run engine -c "$DIR/bad.ini" -- echo it-ran
	assert_equal "$status" 1
	assert_match "$output" 'carrier-pigeon.*slirp4netns'
}

@test "config: a bad port spec is quoted with the part that is wrong" {
	printf '[port]\ndriver = builtin\npublish = 127.0.0.1:99999:80/tcp\n' >"$DIR/bad.ini"
	rejects '.*publish.*127\.0\.0\.1:99999:80/tcp.*'
	assert_match "$output" '99999'
}

@test "config: a line that is none" {
	printf '[network]\nwhat is this\n' >"$DIR/bad.ini"
	rejects '.*'
	assert_match "$output" 'bad\.ini:2:'
}

@test "config: a file that is not there" {
	run engine -c "$DIR/none.ini" -- echo it-ran
	assert_equal "$status" 1
	assert_match "$output" 'none\.ini.*No such file'
}

@test "config: an unknown option and a bad override name themselves" {
	run engine --no-such-option -- echo it-ran
	assert_equal "$status" 1
	assert_match "$output" 'no-such-option'
	run engine -o network.mtu=many -- echo it-ran
	assert_equal "$status" 1
	assert_match "$output" 'network.*mtu'
	run engine -o nonsense -- echo it-ran
	assert_equal "$status" 1
}

@test "config: --help names every section, --version the version" {
	local section
	run -0 engine --help
	for section in engine network slirp4netns mount port process api; do
		assert_match "$output" "$section"
	done
	assert_match "$(engine --version)" "$(cat "$RK_TOP/VERSION")"
}

@test "config: docs/configuration.md is what the key table says" {
	local section key
	while IFS='= ' read -r key _; do
		case $key in
		'['*) section=${key//[][]/} ;;
		'' | '#'* | ';'*) ;;
		*) grep -q "$key" "$RK_TOP/docs/configuration.md" || { echo "[$section] $key is not described"; return 1; } ;;
		esac
	done < <(engine --print-config)
}

@test "config: JSON log lines are JSON" {
	write_config "$DIR/json.ini" "127.0.0.1:$(free_port):81/tcp" </dev/null
	engine -c "$DIR/json.ini" -o engine.log-format=json -o engine.log-level=debug -- true 2>"$DIR/log"
	[ -s "$DIR/log" ]
	while read -r line; do
		json 'd["level"] + d["message"]' <<<"$line"
	done <"$DIR/log"
}
