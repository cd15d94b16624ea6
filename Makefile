# rk-engine: non-recursive build; objects and programs under build/.
#
#   make            programs in build/bin/
#   make deps       install the Debian packages that are missing
#   make check      unit, integration and fault tests (runs deps first)
#   make check-long load, exactness and endurance, under 40 minutes (runs deps first)
#   make demo       the README's first command (runs deps first)
#   make fuzz-smoke parsers of outside input fuzzed for a minute (tests/fuzz/fuzz.mk)
#   make lint       clang-format, cppcheck, layers, shellcheck
#   make asan       make check with ASan and UBSan; SUITES= chooses
#   make tsan       what runs in several threads, with ThreadSanitizer
#   make valgrind   the control plane under valgrind's memcheck (part of make check)
#   make install    DESTDIR= PREFIX=/usr/local
#
# Variables: BUILD= another build directory, CC=, CFLAGS=, WERROR=1, SANITIZE=address,undefined.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := $(shell cat VERSION)
ifeq ($(origin CC),default)
CC      := gcc
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wno-missing-field-initializers
CFLAGS   ?= -O2 -g
SANITIZE ?=
WERROR   ?=
# Position-independent with hidden symbols costs programs nothing and serves librkengine as well.
RK_CFLAGS = -std=gnu17 $(WARNINGS) $(CFLAGS) -fPIC -fvisibility=hidden -I. \
	-D_GNU_SOURCE -DRK_VERSION='"$(VERSION)"' -pthread \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) $(if $(WERROR),-Werror)
RK_LDFLAGS = -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))

BASE_SRC     := $(wildcard base/*.c)
# Of the processes that serve; the library and the clients have no use for it.
LOCKDOWN_SRC := $(wildcard base/lockdown/*.c)
CONFIG_SRC   := $(wildcard config/*.c)
DRIVERS_SRC  := $(wildcard drivers/*.c drivers/net/*.c drivers/port/*.c)
ENGINE_SRC   := $(filter-out engine/main.c engine/library.c,$(wildcard engine/*.c))
NSCTL_SRC    := $(filter-out nsctl/main.c,$(wildcard nsctl/*.c))
CTL_SRC      := $(wildcard engine/ctl/*.c)
# What rootlesskit-docker-proxy shares with the others.
PROXY_SRC    := $(wildcard engine/dockerproxy/*.c) engine/ctl/client.c engine/json.c config/quote.c
UNIT_SRC     := $(wildcard tests/unit/*.c)
TOOL_SRC     := $(wildcard tests/tools/*.c)
TOOL_LIB_SRC := $(wildcard tests/tools/lib/*.c)

obj  = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
libs = $(shell pkg-config --libs $(1))

LIBS_BASE   = $(call libs,libmnl libnftnl)
LIBS_LOCKDOWN = $(call libs,libseccomp libcap)
LIBS_CONFIG = $(call libs,inih)
# libcurl is loaded when a driver needs it (drivers/curl_late.h).
LIBS_DRIVERS = $(call libs,libcjson)
LIBS_ENGINE = $(call libs,liburing libmicrohttpd libcjson)
LIBS_CTL    = $(call libs,libcurl libcjson)
LIBS_UNIT   = $(call libs,criterion)

BINARIES := $(BUILD)/bin/rk-engine $(BUILD)/bin/nsctl $(BUILD)/bin/rootlessctl \
	$(BUILD)/bin/rootlesskit-docker-proxy
# rootlesskit is rk-engine under another name.
PROGRAMS := $(BINARIES) $(BUILD)/bin/rootlesskit
TOOLS    := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(TOOL_SRC)) \
	$(patsubst tests/tools/preload/%.c,$(BUILD)/tools/%.so,$(wildcard tests/tools/preload/*.c))
UNIT     := $(BUILD)/tests/unit

.PHONY: all
all: $(PROGRAMS)

define link
@mkdir -p $(@D)
$(CC) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $^
endef

$(BUILD)/bin/rk-engine: $(call obj,engine/main.c $(ENGINE_SRC) $(DRIVERS_SRC) $(CONFIG_SRC) $(LOCKDOWN_SRC) $(BASE_SRC))
	$(link) $(LIBS_ENGINE) $(LIBS_DRIVERS) $(LIBS_CONFIG) $(LIBS_LOCKDOWN) $(LIBS_BASE)

$(BUILD)/bin/rootlesskit: $(BUILD)/bin/rk-engine
	ln -sf $(<F) $@

$(BUILD)/bin/nsctl: $(call obj,nsctl/main.c $(NSCTL_SRC) $(DRIVERS_SRC) $(CONFIG_SRC) $(LOCKDOWN_SRC) $(BASE_SRC))
	$(link) $(LIBS_LOCKDOWN) $(LIBS_DRIVERS) $(LIBS_CONFIG) $(LIBS_BASE)

$(BUILD)/bin/rootlessctl: $(call obj,$(CTL_SRC) $(CONFIG_SRC) $(BASE_SRC))
	$(link) $(LIBS_CTL) $(LIBS_CONFIG) $(LIBS_BASE)

$(BUILD)/bin/rootlesskit-docker-proxy: $(call obj,$(PROXY_SRC) $(BASE_SRC))
	$(link) $(LIBS_CTL) $(LIBS_BASE)

# One Criterion program for everything: no two modules may share a symbol.
$(UNIT): $(call obj,$(UNIT_SRC) $(ENGINE_SRC) $(NSCTL_SRC) $(DRIVERS_SRC) $(CONFIG_SRC) $(LOCKDOWN_SRC) \
	$(BASE_SRC))
	$(link) $(LIBS_UNIT) $(LIBS_ENGINE) $(LIBS_LOCKDOWN) $(LIBS_DRIVERS) $(LIBS_CONFIG) $(LIBS_BASE)

$(BUILD)/tools/%: $(BUILD)/obj/tests/tools/%.o $(call obj,$(TOOL_LIB_SRC))
	$(link)

# Loaded into programs, sanitized or not, before they start.
$(BUILD)/tools/%.so: tests/tools/preload/%.c $(wildcard tests/tools/lib/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(if $(WERROR),-Werror) -fPIC -shared -I. \
		-o $@ $< -ldl

$(BUILD)/obj/%.o: %.c VERSION
	@mkdir -p $(@D)
	$(CC) $(RK_CFLAGS) -MMD -MP -c -o $@ $<

# The objects of the tools are kept like all others.
.SECONDARY:

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# --- tests -----------------------------------------------------------------------------------

.PHONY: deps
deps:
	tests/deps.sh

# Two steps, because what `deps` installs decides how the rest is compiled and linked.
.PHONY: check check-all
check: deps
	tests/fetch-backends.sh $(BUILD)
	$(MAKE) check-all
check-all: test-programs
	RK_SANITIZE=$(SANITIZE) RK_SLOW=$(if $(SANITIZE),4,1) tests/run.sh $(BUILD) $(SUITES)

# Everything that the tests run (library.mk adds its own).
.PHONY: test-programs
test-programs: $(PROGRAMS) $(TOOLS) $(UNIT)

.PHONY: check-long check-long-all
check-long: deps
	$(MAKE) check-long-all
check-long-all: $(PROGRAMS) $(TOOLS)
	tests/run.sh --long $(BUILD) $(SUITES)

.PHONY: demo demo-all
demo: deps
	$(MAKE) demo-all
demo-all: $(PROGRAMS)
	tests/demo.sh $(BUILD)

# Builds of their own, each with one goal: check-all, or test-programs to compile only.
SANITIZED_GOAL ?= check-all

.PHONY: asan
asan: deps
	tests/fetch-backends.sh $(BUILD)/asan
	$(MAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined CFLAGS='-O1 -g' $(SANITIZED_GOAL)

# Criterion's runner gets no memory at an address that ThreadSanitizer permits, hence no unit tests.
TSAN_SUITES = tcp udp api stress
# gcc warns that ThreadSanitizer knows no fences; what stands between ours is atomic by itself.
TSAN_CFLAGS = -O1 -g -Wno-tsan

.PHONY: tsan
tsan: deps
	$(MAKE) BUILD=$(BUILD)/tsan SANITIZE=thread CFLAGS='$(TSAN_CFLAGS)' \
		SUITES="$(or $(SUITES),$(TSAN_SUITES))" $(SANITIZED_GOAL)

.PHONY: valgrind
valgrind: deps
	$(MAKE) SUITES=valgrind check-all

.PHONY: lint
lint: deps
	tests/lint/all.sh

# --- install ---------------------------------------------------------------------------------

BINDIR := $(DESTDIR)$(PREFIX)/bin
DOCDIR := $(DESTDIR)$(PREFIX)/share/doc/rk-engine
MANDIR := $(DESTDIR)$(PREFIX)/share/man/man1
MANUAL := $(wildcard docs/*.1)

.PHONY: install
install: all
	install -d $(BINDIR) $(DOCDIR)/examples
	install -m 755 $(BINARIES) $(BINDIR)
	ln -sf rk-engine $(BINDIR)/rootlesskit
	install -m 644 README.md CHANGELOG.md LICENSE $(wildcard docs/*.md) $(DOCDIR)
	install -m 644 $(wildcard config/*.ini) $(DOCDIR)/examples
	$(if $(MANUAL),install -d $(MANDIR) && install -m 644 $(MANUAL) $(MANDIR))

include engine/library.mk
-include tests/fuzz/fuzz.mk
-include bench/bench.mk

.PHONY: clean
clean:
	rm -rf $(BUILD)
