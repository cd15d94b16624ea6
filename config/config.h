// config.h: the whole configuration as one struct, filled from one key table.
//
// The key table (config/keys.c) has one row per setting: section, key, type, place in the struct,
// default, allowed values, help. The INI reader, the command-line overrides, --help,
// --print-config and docs/configuration.md all come from it.
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "config/portspec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum rk_tristate { TRISTATE_AUTO, TRISTATE_TRUE, TRISTATE_FALSE };
enum rk_io_mode { IO_AUTO, IO_URING, IO_EPOLL };
enum rk_bulk_mode { BULK_MODE_AUTO, BULK_MODE_COPY, BULK_MODE_SPLICE };
enum rk_copy_up_mode { COPY_UP_TMPFS_SYMLINK };
enum rk_subid_source { SUBID_AUTO, SUBID_DYNAMIC, SUBID_STATIC };
enum rk_propagation {
	PROPAGATION_PRIVATE,
	PROPAGATION_RPRIVATE,
	PROPAGATION_SLAVE,
	PROPAGATION_RSLAVE,
	PROPAGATION_SHARED,
	PROPAGATION_RSHARED
};

struct rk_string_list {
	char **items; // owned
	size_t count;
};

struct rk_port_list {
	struct rk_port_spec *items; // owned
	size_t count;
};

// Strings are owned by the struct and never NULL ("" = not set). Times end in _ms.
struct rk_config {
	struct {
		char *state_dir;  // "" = a fresh directory
		uint32_t workers; // 0 = one per online CPU
		enum rk_io_mode io;
		enum rk_bulk_mode bulk;
		enum rk_log_level log_level;
		enum rk_log_format log_format;
		uint32_t udp_idle_timeout_ms;
		uint32_t connect_timeout_ms;
		uint32_t max_flows; // per worker
		uint32_t pool_size; // child sockets kept ready per worker and kind
		enum rk_tristate seccomp;
		enum rk_tristate landlock;
	} engine;
	struct {
		char *driver; // a name of the network driver registry
		uint32_t mtu; // 0 = the driver's default
		char *cidr;   // "" = the driver's default
		char *ifname; // "" = the driver's default
		bool disable_host_loopback;
		bool ipv6;
		bool detach_netns;
	} network;
	struct {
		char *binary;
		enum rk_tristate sandbox;
		enum rk_tristate seccomp;
	} slirp4netns;
	struct {
		char *binary;
	} pasta;
	struct {
		char *binary;
	} gvisor_tap_vsock;
	struct {
		char *binary;
	} vpnkit;
	struct {
		char *binary;
	} vdeplug_slirp;
	struct {
		char *binary;
		char *bridge; // an interface of the host
	} lxc_user_nic;
	struct {
		struct rk_string_list copy_up;
		enum rk_copy_up_mode copy_up_mode;
		enum rk_propagation propagation;
	} mount;
	struct {
		char *driver; // a name of the port driver registry
		struct rk_port_list publish;
		enum rk_source_ip source_ip;
		enum rk_proxy_protocol proxy_protocol; // of TCP ports
		bool keepalive;
		uint32_t keepalive_time_ms; // whole seconds; 0 = the kernel's
		uint32_t user_timeout_ms;   // 0 = the kernel's retransmissions
		uint32_t max_pending;       // per port, 0 = no limit
	} port;
	struct {
		char *binary;
	} socat;
	struct {
		char *command; // run by /bin/sh -c; "" = $SHELL
		bool pidns;
		bool cgroupns;
		bool utsns;
		bool ipcns;
		enum rk_tristate reaper;
		char *evacuate_cgroup2; // "" = stay
		enum rk_subid_source subid_source;
		uint32_t stop_timeout_ms; // between SIGTERM and SIGKILL, 0 = never
	} process;
	struct {
		char *socket; // "" = STATE-DIR/api.sock
	} api;
};

// Fills the defaults. config_free() releases everything; safe on a zeroed struct.
// 0 or -ENOMEM (the struct is then zeroed).
int config_init(struct rk_config *config);
void config_free(struct rk_config *config);

// Reads an INI file over what is in *config. Every error names FILE:LINE: [section] key: what is
// wrong, what is allowed. 0 or -code.
int config_read_file(struct rk_config *config, const char *path, struct rk_error *e);

// The same for text in memory, which needs no NUL; `name` stands for FILE in messages.
int config_read_text(struct rk_config *config, const char *name, const char *text, size_t length,
	struct rk_error *e);

// Sets one key from text, as `-o section.key=value` and `--section.key=value` do. Repeatable keys
// append. 0 or -code with *e naming the key and what is allowed.
int config_set(struct rk_config *config, const char *section, const char *key, const char *value,
	struct rk_error *e);

// Takes the settings out of a command line: -c FILE / --config=FILE, -o S.K=V / --S.K=V, stops at
// the first word that is no option, or after "--". A bool may stand without "=true". An option
// that is no setting is handed to `other` as it stands ("--name=value" is one word), with the word
// after it or NULL; it returns how many words it took, 1 or 2, or -code with *e.
// The file is read first whatever the order, so that the command line wins; of a key given twice
// there the last one counts. Nothing is read when an option is wrong.
// Returns the index of the first word of the command (argc: there is none), or -code with *e.
typedef int config_other_option(
	void *context, const char *option, const char *next, struct rk_error *e);
int config_read_arguments(struct rk_config *config, int argc, char **argv,
	config_other_option *other, void *context, struct rk_error *e);

// Checks across keys that are the configuration's own: limits, paths, pairs of settings.
// (Driver names and combinations: drivers_check() in drivers/driver.h.)
int config_check(const struct rk_config *config, struct rk_error *e);

// Prints every key with its value as an INI file that config_read_file() reads back to the same.
void config_print(const struct rk_config *config, FILE *out);
// The list of settings for --help, and the reference of docs/configuration.md (Markdown).
void config_print_help(FILE *out);
void config_print_markdown(FILE *out);
