# library.mk: librkengine, the engine without its programs: shared, static, pkg-config file, example.
#
# All objects are compiled with hidden visibility, so only what rk_engine.h declares can be seen from
# outside; the static library is one object whose hidden symbols were made local.

LIBRARY_ABI    := 0
LIBRARY_SRC    := $(filter-out engine/supervisor.c engine/launch.c engine/service.c engine/signals.c \
	engine/attach_run.c engine/json.c engine/options.c \
	engine/lockdown.c $(wildcard engine/api*.c engine/rootlesskit*.c),$(ENGINE_SRC)) \
	engine/library.c $(addprefix config/,checks.c config.c keys.c portspec.c quote.c value.c) \
	$(addprefix base/,addr.c bind.c clock.c error.c fd.c log.c msg.c printable.c spawn.c wait.c)
LIBRARY_DIR    := $(BUILD)/lib
LIBRARY_SONAME := librkengine.so.$(LIBRARY_ABI)
LIBRARY_SHARED := $(LIBRARY_DIR)/librkengine.so.$(VERSION)
LIBRARY_STATIC := $(LIBRARY_DIR)/librkengine.a
LIBRARIES      := $(LIBRARY_SHARED) $(LIBRARY_STATIC)
EXAMPLES       := $(BUILD)/examples/embed $(BUILD)/examples/embed-static
LIBDIR         ?= $(PREFIX)/lib
# Sanitizers keep their symbols for the program to bring.
LIBRARY_FLAGS  := -shared -Wl,-soname,$(LIBRARY_SONAME) -Wl,--version-script,engine/librkengine.map \
	$(if $(SANITIZE),,-Wl,-z,defs)

all: $(LIBRARIES)
test-programs: $(EXAMPLES)

$(LIBRARY_SHARED): engine/librkengine.map $(call obj,$(LIBRARY_SRC))
	@mkdir -p $(@D)
	$(CC) $(RK_LDFLAGS) $(LDFLAGS) $(LIBRARY_FLAGS) -o $@ $(filter %.o,$^) $(call libs,liburing)
	ln -sf $(notdir $@) $(@D)/$(LIBRARY_SONAME)
	ln -sf $(notdir $@) $(@D)/librkengine.so

$(LIBRARY_STATIC): $(call obj,$(LIBRARY_SRC))
	@mkdir -p $(@D)
	$(CC) -r -nostdlib -o $(BUILD)/obj/librkengine.o $^
	objcopy --localize-hidden $(BUILD)/obj/librkengine.o
	rm -f $@
	$(AR) rcs $@ $(BUILD)/obj/librkengine.o

# As a program elsewhere is compiled: the public header, and none of our own directories.
$(BUILD)/examples/%.o: docs/examples/%.c engine/rk_engine.h
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_DEFAULT_SOURCE $(WARNINGS) $(CFLAGS) $(if $(WERROR),-Werror) \
		$(if $(SANITIZE),-fsanitize=$(SANITIZE)) -Iengine -c -o $@ $<

$(BUILD)/examples/%: $(BUILD)/examples/%.o $(LIBRARY_SHARED)
	$(CC) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $< -L$(LIBRARY_DIR) -lrkengine

$(BUILD)/examples/%-static: $(BUILD)/examples/%.o $(LIBRARY_STATIC)
	$(CC) $(RK_LDFLAGS) $(LDFLAGS) -o $@ $^ $(call libs,liburing)

.PHONY: install-library
install: install-library
install-library: $(LIBRARIES)
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include $(DOCDIR)/examples
	install -m 644 $(LIBRARY_STATIC) $(LIBRARY_SHARED) $(DESTDIR)$(LIBDIR)
	ln -sf $(notdir $(LIBRARY_SHARED)) $(DESTDIR)$(LIBDIR)/$(LIBRARY_SONAME)
	ln -sf $(LIBRARY_SONAME) $(DESTDIR)$(LIBDIR)/librkengine.so
	install -m 644 engine/rk_engine.h $(DESTDIR)$(PREFIX)/include
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		engine/librkengine.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/librkengine.pc
	install -m 644 docs/examples/embed.c $(DOCDIR)/examples
