# fuzz.bash: how a fuzz target is run; sourced by the scripts of this folder.

# run_target BUILD NAME SECONDS [OPTION...]: the kept corpus first, then new inputs. Those that
# reach new code go to BUILD/found/NAME, one that breaks something to BUILD/broken/NAME-*.
run_target() {
	local build=$1 name=$2 seconds=$3 program=$1/fuzz_$2 options=() kept=()
	shift 3
	[ -x "$program" ] || { echo "no fuzz target is called $name" >&2; return 1; }
	mkdir -p "$build/found/$name" "$build/broken" tests/fuzz/corpus
	[ ! -e "tests/fuzz/$name.dict" ] || options+=("-dict=tests/fuzz/$name.dict")
	[ ! -d "tests/fuzz/corpus/$name" ] || kept+=("tests/fuzz/corpus/$name")
	# -timeout is for an input that hangs: generous, the machine may be busy.
	UBSAN_OPTIONS=print_stacktrace=1 "$program" "${options[@]}" -max_total_time="$seconds" \
		-timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$build/broken/$name-" "$@" "$build/found/$name" "${kept[@]}" </dev/null
}

# The names of the targets; the canary, which must fail, is not one of them.
target_names() {
	local file name
	for file in tests/fuzz/fuzz_*.c; do
		name=$(basename "$file" .c)
		[ "$name" = fuzz_canary ] || echo "${name#fuzz_}"
	done
}
