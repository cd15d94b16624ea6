// keys.c: the key table and look-ups in it.

#include "config/keys.h"

#include "config/checks.h"
#include "config/quote.h"
#include "config/value.h"

#include <errno.h>
#include <string.h>

#define SECONDS_MS 1000u
#define HOURS_MS   (3600u * SECONDS_MS)

// The offset of a member, which does not compile when the member is not of that type.
#define PLACE(kind, member)                                                                        \
	(offsetof(struct rk_config, member) + _Generic(((struct rk_config *)0)->member, kind : 0u))

#define BOOL(member) .type = KEY_BOOL, .offset = PLACE(bool, member)
#define NUMBER(member, low, high)                                                                  \
	.type = KEY_NUMBER, .offset = PLACE(uint32_t, member), .minimum = (low), .maximum = (high)
#define DURATION(member, low, high)                                                                \
	.type = KEY_DURATION, .offset = PLACE(uint32_t, member), .minimum = (low), .maximum = (high)
// An enum without negative members is an unsigned int to gcc and clang.
#define CHOICE(member, names)                                                                      \
	.type = KEY_CHOICE, .offset = PLACE(unsigned, member), .choices = (names)
#define STRING(member)  .type = KEY_STRING, .offset = PLACE(char *, member)
#define STRINGS(member) .type = KEY_STRINGS, .offset = PLACE(struct rk_string_list, member)
#define PORTS(member)   .type = KEY_PORTS, .offset = PLACE(struct rk_port_list, member)

static const char *const bulk_names[] = {"auto", "copy", "splice", NULL};
static const char *const io_names[] = {"auto", "io_uring", "epoll", NULL};
static const char *const log_level_names[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_format_names[] = {"text", "json", NULL};
static const char *const tristate_names[] = {"auto", "true", "false", NULL};
static const char *const copy_up_mode_names[] = {"tmpfs+symlink", NULL};
static const char *const subid_source_names[] = {"auto", "dynamic", "static", NULL};
static const char *const source_ip_names[] = {"auto", "off", "prefer", "require", NULL};
static const char *const proxy_protocol_names[] = {"off", "v1", "v2", NULL};
static const char *const propagation_names[] = {
	"private", "rprivate", "slave", "rslave", "shared", "rshared", NULL};

const struct rk_section rk_sections[] = {
	{"engine", "The process that moves the bytes."},
	{"network", "The network of the namespace."},
	{"slirp4netns", "The network driver slirp4netns."},
	{"pasta", "The network driver pasta."},
	{"gvisor-tap-vsock", "The network driver gvisor-tap-vsock and its port driver."},
	{"vpnkit", "The network driver vpnkit."},
	{"vdeplug_slirp", "The network driver vdeplug_slirp."},
	{"lxc-user-nic", "The network driver lxc-user-nic."},
	{"mount", "The mounts that the command sees."},
	{"port", "Published ports."},
	{"socat", "The port driver socat."},
	{"process", "The command and its namespaces."},
	{"api", "The control API."},
	{NULL, NULL},
};

// clang-format off
const struct rk_key rk_keys[] = {
	{"engine", "state-dir", STRING(engine.state_dir), .initial = "",
		.allowed = "a path",
		.help = "Directory for the lock, the control socket and the files of this run; empty: "
			"a fresh one under $XDG_RUNTIME_DIR or /tmp. It is emptied at the start and "
			"removed at the end."},
	{"engine", "workers", NUMBER(engine.workers, 0, 256), .initial = "0",
		.help = "Threads that move bytes; 0: one per online CPU."},
	{"engine", "io", CHOICE(engine.io, io_names), .initial = "auto",
		.help = "Kernel interface of the data plane; auto: io_uring where the kernel permits "
			"it, else epoll."},
	{"engine", "bulk", CHOICE(engine.bulk, bulk_names), .initial = "auto",
		.help = "How connections that send in bulk are moved: copy, through buffers of the "
			"engine, splice, through pipes, or auto: by what costs less processor time "
			"here, which is measured on the traffic itself."},
	{"engine", "log-level", CHOICE(engine.log_level, log_level_names), .initial = "info",
		.help = "The least important records that are still written to stderr."},
	{"engine", "log-format", CHOICE(engine.log_format, log_format_names), .initial = "text",
		.help = "Form of a log record: a line of text, or a JSON object a line."},
	{"engine", "udp-idle-timeout",
		DURATION(engine.udp_idle_timeout_ms, 1 * SECONDS_MS, 24 * HOURS_MS),
		.initial = "180s",
		.help = "A UDP flow without a datagram in either direction for this long is closed."},
	{"engine", "connect-timeout", DURATION(engine.connect_timeout_ms, 100, 1 * HOURS_MS),
		.initial = "10s",
		.help = "How long the namespace may take to accept a TCP connection."},
	{"engine", "max-flows", NUMBER(engine.max_flows, 16, 1048576), .initial = "65536",
		.help = "TCP and UDP flows of one worker at the same time."},
	{"engine", "pool-size", NUMBER(engine.pool_size, 1, 4096), .initial = "128",
		.help = "Sockets of the namespace that each worker keeps ready, per kind (TCP or UDP, "
			"IPv4 or IPv6)."},
	{"engine", "seccomp", CHOICE(engine.seccomp, tristate_names), .initial = "auto",
		.help = "Limits the system calls of our processes once they are started; auto: with a "
			"warning where that does not work, true: or nothing is started. See "
			"docs/security.md."},
	{"engine", "landlock", CHOICE(engine.landlock, tristate_names), .initial = "auto",
		.help = "Limits the files that the engine reaches to its state directory, the "
			"directory of [api] socket and /proc; auto: where the kernel can, true: or "
			"nothing is started."},

	{"network", "driver", STRING(network.driver), .initial = "slirp4netns",
		.check = check_not_empty, .allowed = "the name of a network driver",
		.help = "What connects the namespace to the outside; host: the host's own network, "
			"none: a namespace with a loopback interface only."},
	{"network", "mtu", NUMBER(network.mtu, 0, 65521), .initial = "0",
		.help = "MTU of the interface in the namespace; 0: the driver's default."},
	{"network", "cidr", STRING(network.cidr), .initial = "",
		.check = check_cidr, .allowed = "an IPv4 network such as 10.0.2.0/24",
		.help = "Network of the namespace; empty: the driver's default."},
	{"network", "ifname", STRING(network.ifname), .initial = "",
		.check = check_ifname, .allowed = "at most 15 characters without '/', ':' or blanks",
		.help = "Name of the interface in the namespace; empty: the driver's default."},
	{"network", "disable-host-loopback", BOOL(network.disable_host_loopback),
		.initial = "true",
		.help = "Keeps programs in the namespace away from services that listen on the host's "
			"127.0.0.1."},
	{"network", "ipv6", BOOL(network.ipv6), .initial = "false",
		.help = "Gives the namespace an IPv6 address and route, where the driver can."},
	{"network", "detach-netns", BOOL(network.detach_netns), .initial = "false",
		.help = "Leaves the command in the host's network: the namespace is the file netns in "
			"the state directory, for nsenter --net or a container engine."},

	{"slirp4netns", "binary", STRING(slirp4netns.binary), .initial = "slirp4netns",
		.check = check_not_empty, .allowed = "a path, or a name that is looked up on $PATH",
		.help = "The program to start."},
	{"slirp4netns", "sandbox", CHOICE(slirp4netns.sandbox, tristate_names), .initial = "auto",
		.help = "Runs slirp4netns in its own mount namespace; auto: where it can."},
	{"slirp4netns", "seccomp", CHOICE(slirp4netns.seccomp, tristate_names), .initial = "auto",
		.help = "Limits the system calls of slirp4netns; auto: where it can."},

	{"pasta", "binary", STRING(pasta.binary), .initial = "pasta",
		.check = check_not_empty, .allowed = "a path, or a name that is looked up on $PATH",
		.help = "The program to start."},

	{"gvisor-tap-vsock", "binary", STRING(gvisor_tap_vsock.binary), .initial = "gvproxy",
		.check = check_not_empty, .allowed = "a path, or a name that is looked up on $PATH",
		.help = "The program to start."},

	{"vpnkit", "binary", STRING(vpnkit.binary), .initial = "vpnkit",
		.check = check_not_empty, .allowed = "a path, or a name that is looked up on $PATH",
		.help = "The program to start."},

	{"vdeplug_slirp", "binary", STRING(vdeplug_slirp.binary), .initial = "vde_plug",
		.check = check_not_empty, .allowed = "a path, or a name that is looked up on $PATH",
		.help = "The program to start."},

	{"lxc-user-nic", "binary", STRING(lxc_user_nic.binary),
		.initial = "/usr/libexec/lxc/lxc-user-nic",
		.check = check_not_empty, .allowed = "a path, or a name that is looked up on $PATH",
		.help = "The program to start; it is set-uid root."},
	{"lxc-user-nic", "bridge", STRING(lxc_user_nic.bridge), .initial = "lxcbr0",
		.check = check_ifname, .allowed = "at most 15 characters without '/', ':' or blanks",
		.help = "The bridge of the host that the namespace is connected to."},

	{"mount", "copy-up", STRINGS(mount.copy_up),
		.check = check_copy_up, .allowed = "an absolute directory, not / or /tmp",
		.help = "A directory that becomes a writable copy, made of links to the original: "
			"changes stay in the namespace."},
	{"mount", "copy-up-mode", CHOICE(mount.copy_up_mode, copy_up_mode_names),
		.initial = "tmpfs+symlink",
		.help = "How the copy is made; there is one way."},
	{"mount", "propagation", CHOICE(mount.propagation, propagation_names),
		.initial = "rprivate",
		.help = "Mount propagation of the root directory, as in mount(8)."},

	{"port", "driver", STRING(port.driver), .initial = "builtin",
		.check = check_not_empty, .allowed = "the name of a port driver",
		.help = "What forwards the published ports."},
	{"port", "publish", PORTS(port.publish),
		.help = "A port of the host that leads into the namespace. Without PARENT-IP it listens "
			"on all addresses; IPv6 addresses stand in square brackets; PROTO is tcp or udp, "
			"followed by 4 or 6 to listen on one family only."},
	{"port", "source-ip", CHOICE(port.source_ip, source_ip_names), .initial = "auto",
		.help = "Shows servers in the namespace the client's own address; prefer: where it "
			"works, require: or refuse the client, auto: prefer for TCP, off for UDP. "
			"Clients on a loopback address stay on one. See docs/source-ip.md."},
	{"port", "proxy-protocol", CHOICE(port.proxy_protocol, proxy_protocol_names),
		.initial = "off",
		.help = "Starts each TCP connection to a server in the namespace with a header that "
			"names the client, for servers that expect it."},
	{"port", "keepalive", BOOL(port.keepalive), .initial = "true",
		.help = "TCP keep-alive towards clients and servers: a connection whose peer is gone "
			"without a word ends, however long an idle one lives."},
	{"port", "keepalive-time", DURATION(port.keepalive_time_ms, 0, 9 * HOURS_MS),
		.initial = "0s",
		.help = "How long a TCP peer may be silent before it is probed, and then leave the "
			"probes unanswered, in whole seconds; 0s: net.ipv4.tcp_keepalive_time and its "
			"companions."},
	{"port", "user-timeout", DURATION(port.user_timeout_ms, 0, 24 * HOURS_MS),
		.initial = "0s",
		.help = "How long data to a TCP peer may stay unacknowledged, or find a peer that "
			"takes none, before the connection ends (TCP_USER_TIMEOUT); 0s: "
			"net.ipv4.tcp_retries2, about 15 minutes, and a living peer may take its time."},
	{"port", "max-pending", NUMBER(port.max_pending, 0, 1048576), .initial = "1024",
		.help = "TCP clients of one port that may wait for the server in the namespace to "
			"accept them; the next ones stay in the kernel's backlog until some of these "
			"are connected or have failed. 0: no limit. See docs/limits.md."},

	{"socat", "binary", STRING(socat.binary), .initial = "socat",
		.check = check_not_empty, .allowed = "a path, or a name that is looked up on $PATH",
		.help = "The program to start, outside and inside the namespace."},

	{"process", "command", STRING(process.command), .initial = "",
		.allowed = "a shell command",
		.help = "What runs in the namespace when the command line names no command, by "
			"/bin/sh -c; empty: $SHELL."},
	{"process", "pidns", BOOL(process.pidns), .initial = "false",
		.help = "A PID namespace of its own, with a fresh /proc."},
	{"process", "cgroupns", BOOL(process.cgroupns), .initial = "false",
		.help = "A cgroup namespace of its own."},
	{"process", "utsns", BOOL(process.utsns), .initial = "false",
		.help = "A UTS namespace of its own: the host name can be changed in it."},
	{"process", "ipcns", BOOL(process.ipcns), .initial = "false",
		.help = "An IPC namespace of its own."},
	{"process", "reaper", CHOICE(process.reaper, tristate_names), .initial = "auto",
		.help = "Reaps orphans in a PID namespace of its own; auto: with pidns. Without pidns "
			"orphans are always reaped."},
	{"process", "evacuate-cgroup2", STRING(process.evacuate_cgroup2), .initial = "",
		.check = check_cgroup_name, .allowed = "the name of a cgroup, without '/'",
		.help = "Moves every process of our cgroup into this one below it and hands its "
			"controllers down, so that the command can make more; needs pidns and cgroupns."},
	{"process", "subid-source", CHOICE(process.subid_source, subid_source_names),
		.initial = "auto",
		.help = "Where the ranges of subordinate ids come from; dynamic: the program getsubids, "
			"static: /etc/subuid and /etc/subgid, auto: the first that has any."},
	{"process", "stop-timeout", DURATION(process.stop_timeout_ms, 0, 1 * HOURS_MS),
		.initial = "10s",
		.help = "Time between SIGTERM or SIGINT and SIGKILL when the command is to be stopped; "
			"0s: it is never killed, however often it is asked."},

	{"api", "socket", STRING(api.socket), .initial = "",
		.check = check_socket_path, .allowed = "a path of at most 107 bytes",
		.help = "UNIX socket of the control API; empty: api.sock in the state directory."},

	{.section = NULL, .name = NULL},
};
// clang-format on

_Static_assert(sizeof(rk_keys) / sizeof(rk_keys[0]) <= RK_KEYS_MAX, "RK_KEYS_MAX is too small");

// Appends ", NAME" (without the comma at the start) and returns where the next name goes. A list
// that does not fit is cut.
static char *list_append(char *at, char *end, bool first, const char *name)
{
	int length = snprintf(at, (size_t)(end - at), "%s%s", first ? "" : ", ", name);

	return length < end - at ? at + length : end - 1;
}

int section_check(const char *section, struct rk_error *e)
{
	char names[256] = "";
	char *at = names;
	const struct rk_section *row;

	for (row = rk_sections; row->name; row++) {
		if (strcmp(row->name, section) == 0)
			return 0;
		at = list_append(at, names + sizeof(names), row == rk_sections, row->name);
	}
	return error_set(e, EINVAL, "unknown section, allowed: %s", names);
}

int key_find(const char *section, const char *name, const struct rk_key **key, struct rk_error *e)
{
	char names[384] = "";
	char *at = names;
	int rc = section_check(section, e);

	if (rc < 0)
		return rc;
	for (*key = rk_keys; (*key)->name; (*key)++) {
		if (strcmp((*key)->section, section) != 0)
			continue;
		if (strcmp((*key)->name, name) == 0)
			return 0;
		at = list_append(at, names + sizeof(names), at == names, (*key)->name);
	}
	return error_set(e, EINVAL, "unknown key, allowed: %s", names);
}

bool key_is_repeatable(const struct rk_key *key)
{
	return key->type == KEY_STRINGS || key->type == KEY_PORTS;
}

static const char *choices_list(const struct rk_key *key, char *text, size_t size)
{
	char *at = text;

	for (size_t i = 0; key->choices[i]; i++)
		at = list_append(at, text + size, i == 0, key->choices[i]);
	return text;
}

const char *key_allowed(const struct rk_key *key, char *text, size_t size)
{
	char low[RK_DURATION_TEXT_MAX], high[RK_DURATION_TEXT_MAX];

	switch (key->type) {
	case KEY_BOOL:
		snprintf(text, size, "true, false");
		break;
	case KEY_NUMBER:
		snprintf(text, size, "%u to %u", key->minimum, key->maximum);
		break;
	case KEY_DURATION:
		snprintf(text, size, "%s to %s (units: ms, s, m, h)",
			duration_format(key->minimum, low, sizeof(low)),
			duration_format(key->maximum, high, sizeof(high)));
		break;
	case KEY_CHOICE:
		return choices_list(key, text, size);
	case KEY_PORTS:
		snprintf(text, size, "[PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO");
		break;
	case KEY_STRING:
	case KEY_STRINGS:
		snprintf(text, size, "%s", key->allowed);
		break;
	}
	return text;
}
