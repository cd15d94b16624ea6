# rk-engine: non-recursive build; objects and programs under build/.
#
#   make            programs in build/bin/
#   make check      unit and integration tests (installs what is missing first)
#   make demo       the README's first command
#   make lint       clang-format, cppcheck, layer check, shellcheck
#   make asan       make check with ASan and UBSan
#   make install    DESTDIR= PREFIX=/usr/local

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
VERSION := $(shell cat VERSION)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wno-missing-field-initializers
CFLAGS   ?= -O2 -g
SANITIZE ?=
WERROR   ?=
RK_CFLAGS = -std=gnu17 $(WARNINGS) $(CFLAGS) -I. -D_GNU_SOURCE -DRK_VERSION='"$(VERSION)"' -pthread \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) $(if $(WERROR),-Werror)
RK_LDFLAGS = -pthread $(if $(SANITIZE),-fsanitize=$(SANITIZE))

BASE_SRC    := $(wildcard base/*.c)
CONFIG_SRC  := $(wildcard config/*.c)
DRIVERS_SRC := $(wildcard drivers/*.c drivers/net/*.c drivers/port/*.c)
ENGINE_SRC  := $(filter-out engine/main.c,$(wildcard engine/*.c))
NSCTL_SRC   := $(filter-out nsctl/main.c,$(wildcard nsctl/*.c))
CTL_SRC     := $(wildcard engine/ctl/*.c)
UNIT_SRC    := $(wildcard tests/unit/*.c)
TOOL_SRC    := $(wildcard tests/tools/*.c)

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

LIBS_BASE   := -lmnl
LIBS_CONFIG := -linih
LIBS_ENGINE := -luring -lmicrohttpd -lcjson
LIBS_NSCTL  := -lcap
LIBS_CTL    := -lcurl -lcjson

PROGRAMS := $(BUILD)/bin/rk-engine $(BUILD)/bin/nsctl $(BUILD)/bin/rootlessctl
TOOLS    := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(TOOL_SRC))

.PHONY: all
all: $(PROGRAMS)

$(BUILD)/bin/rk-engine: $(call obj,engine/main.c $(ENGINE_SRC) $(DRIVERS_SRC) $(CONFIG_SRC) $(BASE_SRC))
	@mkdir -p $(@D)
	$(CC) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_ENGINE) $(LIBS_CONFIG) $(LIBS_BASE)

$(BUILD)/bin/nsctl: $(call obj,nsctl/main.c $(NSCTL_SRC) $(DRIVERS_SRC) $(CONFIG_SRC) $(BASE_SRC))
	@mkdir -p $(@D)
	$(CC) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_NSCTL) $(LIBS_CONFIG) $(LIBS_BASE)

$(BUILD)/bin/rootlessctl: $(call obj,$(CTL_SRC) $(BASE_SRC) $(CONFIG_SRC))
	@mkdir -p $(@D)
	$(CC) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_CTL) $(LIBS_CONFIG) $(LIBS_BASE)

$(BUILD)/tools/%: $(BUILD)/obj/tests/tools/%.o
	@mkdir -p $(@D)
	$(CC) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/obj/%.o: %.c VERSION
	@mkdir -p $(@D)
	$(CC) $(RK_CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: clean
clean:
	rm -rf $(BUILD)
