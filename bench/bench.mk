# bench.mk: the benchmarks. `make bench` is about 10 minutes, `make bench-quick` about 90 seconds.
#
#   make bench           every peer, every workload: bench/results/, docs/benchmarks.md, the chart
#   make bench-quick     the headline workloads only
#   make bench-check     the quick set against bench/thresholds.ini; fails naming the row that fell
#   make bench-selftest  tests of the harness itself, a few seconds
#   make bench-network   the network drivers, MTU 1500 and 65520, about 3 minutes

BENCH_TOOL_SRC := $(wildcard bench/tools/*.c)
BENCH_TOOLS    := $(patsubst bench/tools/%.c,$(BUILD)/bench/%,$(BENCH_TOOL_SRC))
BENCH_NEEDS    := $(BUILD)/bin/rk-engine $(BUILD)/bin/nsctl $(BENCH_TOOLS)
BENCH          := bench/bench --build $(BUILD)

$(BUILD)/bench/%: bench/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(RK_CFLAGS) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $<

.PHONY: bench-tools bench bench-quick bench-check bench-network bench-selftest
bench-tools: $(BENCH_TOOLS)

bench: $(BENCH_NEEDS)
	$(BENCH) --install --set full --save --document

bench-quick: $(BENCH_NEEDS)
	$(BENCH) --install --set quick --save

bench-check: $(BENCH_NEEDS)
	$(BENCH) --install --set quick --check

# Where gvproxy cannot be fetched, its rows say that it is missing.
bench-network: deps $(BENCH_NEEDS)
	-tests/fetch-backends.sh $(BUILD)
	$(BENCH) --install --set network --save --document

bench-selftest:
	bench/selftest.py
