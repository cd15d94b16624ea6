// config_support.h: what the tests of the configuration share.
#pragma once

#include "config/config.h"

#define PORT_FORM "[PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO"
#define SECTIONS                                                                                   \
	"engine, network, slirp4netns, pasta, gvisor-tap-vsock, vpnkit, vdeplug_slirp, "           \
	"lxc-user-nic, mount, port, socat, process, api"

// config_read_text() of a C string, as file "t.ini".
int support_read_text(struct rk_config *config, const char *text, struct rk_error *e);

// What config_print() writes reads back to the same values.
void support_expect_round_trip(const struct rk_config *config);

// A scratch directory and the name of a file in it, for .init and .fini of a test.
extern char support_directory[];
extern char support_file[];
void support_make_directory(void);
void support_remove_directory(void);
void support_write_file(const char *text);
