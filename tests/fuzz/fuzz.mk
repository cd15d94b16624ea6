# fuzz.mk: parsers of outside input under libFuzzer, ASan and UBSan (docs/testing.md).
#
#   make fuzz-smoke                  every target, about a minute in all
#   make fuzz TARGET=x SECONDS=n     one target; what it finds stays in BUILD/fuzz/found
#   make fuzz-corpus TARGET=x        keeps of that what reaches new code, in tests/fuzz/corpus

FUZZ_SRC     := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_LIB_SRC := $(wildcard tests/fuzz/lib/*.c)
# Everything but the files with a main() and the library's face.
FUZZED_SRC   := $(BASE_SRC) $(CONFIG_SRC) $(DRIVERS_SRC) $(ENGINE_SRC) $(NSCTL_SRC) \
	$(filter-out %/main.c,$(CTL_SRC) $(wildcard engine/dockerproxy/*.c))
FUZZ_FLAGS   := -O1 -g -fsanitize=fuzzer-no-link -fno-sanitize-recover=all
FUZZ_PROGRAMS := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(FUZZ_SRC))

TARGET  ?= portspec
SECONDS ?= 300

.PHONY: fuzz-smoke fuzz-smoke-all fuzz fuzz-corpus fuzz-build fuzz-programs
fuzz-smoke: deps
	$(MAKE) fuzz-smoke-all
fuzz-smoke-all: fuzz-build
	tests/fuzz/smoke.sh $(BUILD)/fuzz
fuzz: fuzz-build
	tests/fuzz/run.sh $(BUILD)/fuzz $(TARGET) $(SECONDS)
fuzz-corpus: fuzz-build
	tests/fuzz/minimize.sh $(BUILD)/fuzz $(TARGET)

# In a build directory of its own: all objects are instrumented.
fuzz-build:
	$(MAKE) BUILD=$(BUILD)/fuzz CC=clang SANITIZE=address,undefined CFLAGS='$(FUZZ_FLAGS)' \
		fuzz-programs
fuzz-programs: $(FUZZ_PROGRAMS)

# Of an archive each program takes what it needs.
$(BUILD)/libfuzzed.a: $(call obj,$(FUZZED_SRC) $(FUZZ_LIB_SRC))
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/libfuzzed.a
	$(link) -fsanitize=fuzzer $(LIBS_ENGINE) $(LIBS_CTL) $(LIBS_DRIVERS) $(LIBS_CONFIG) $(LIBS_BASE) $(LIBS_NSCTL)
