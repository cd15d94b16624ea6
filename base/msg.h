// msg.h: the one message format between the processes of the family.
//
// How it works: every channel is an AF_UNIX SOCK_SEQPACKET pair, so one send is one message and a
// closed peer reads as EOF. A message is a fixed header, a payload that is one of the structs
// below, and up to RK_MSG_FDS_MAX descriptors by SCM_RIGHTS. Both ends are built together: the
// version only catches a mixed installation. msg_is_legal() says which type may arrive in which
// phase on which channel; anything else is a protocol error and ends the channel.
#pragma once

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RK_MSG_MAGIC   0x524b4e45u // "RKNE"
#define RK_MSG_VERSION 1
// The kernel takes 253 descriptors a message (SCM_MAX_FD); 32-64 are as fast as more (measured).
#define RK_MSG_FDS_MAX     64
#define RK_MSG_PAYLOAD_MAX 4096

enum rk_msg_type {
	MSG_ERROR = 1, // nsctl -> engine, child -> nsctl: struct rk_error, the sender gives up
	MSG_NETWORK,   // nsctl -> engine: struct rk_network_info + one pool channel per worker
	MSG_START,     // engine -> nsctl -> child: run the command
	MSG_SIGNAL,    // engine -> nsctl -> child: struct rk_msg_number, forward that signal
	MSG_EXITED,    // child -> nsctl -> engine: struct rk_msg_number, wait status of the command
	MSG_CHILD_READY,     // child -> nsctl: namespaces exist, waits for the id maps
	MSG_CHILD_MAPPED,    // nsctl -> child: id maps written
	MSG_CHILD_CONFIGURE, // nsctl -> child: struct rk_network_info to apply
	MSG_POOL_REQUEST,    // worker -> helper: struct rk_msg_pool, make this many sockets
	MSG_POOL_SOCKETS,    // helper -> worker: struct rk_msg_pool + `count` descriptors
	MSG_HELPER, // child -> nsctl -> engine: the helper was restarted, new pool channels
	MSG_OPENED, // opener in the namespace (drivers/inside.c) -> network driver: a descriptor
	MSG_TYPE_COUNT
};

enum rk_msg_phase {
	PHASE_CHILD_SETUP, // nsctl <-> child, until the network is configured
	PHASE_SETUP,       // engine <-> nsctl, until MSG_NETWORK
	PHASE_READY,       // all channels: network up, command not started
	PHASE_RUNNING,     // all channels: command running
	PHASE_POOL,        // worker <-> helper, always
	PHASE_COUNT
};

struct rk_msg_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;   // enum rk_msg_type
	uint32_t length; // of the payload
	uint32_t id;     // counts up per sender; a reply repeats the request's
};

struct rk_msg_number {
	int32_t value;
};

// The four kinds of pooled sockets, all CLOEXEC and blocking (see engine/ring.h).
enum rk_socket_kind { SOCKET_TCP4, SOCKET_TCP6, SOCKET_UDP4, SOCKET_UDP6, SOCKET_KIND_COUNT };

struct rk_msg_pool {
	uint32_t kind;  // enum rk_socket_kind
	uint32_t count; // wanted, or sent in this message
	int32_t error;  // errno of the socket() that failed, with count 0; else 0
};

// How far a server in the namespace can be shown the client's own address, as the child's test
// connections proved it (nsctl/srcip.h). Each level includes the ones before.
enum rk_source_level {
	SOURCE_NONE,
	SOURCE_LOOPBACK, // when it is reached at a loopback address
	SOURCE_DIRECT,   // when it is reached at any address of the namespace
	SOURCE_FULL,     // behind NAT inside the namespace, too
	SOURCE_LEVEL_COUNT
};

struct rk_source_info {
	uint8_t level[SOCKET_KIND_COUNT]; // enum rk_source_level
	// Marks (SO_MARK) for TCP of level SOURCE_FULL, see engine/untracked.h; 0 = not available.
	uint32_t untracked_mark; // the connection goes past the namespace's connection tracking
	uint32_t inquiry_mark;   // no connection, but an answer whether such a one may
	// What a server that listens on all addresses answers a client outside from; "" = nothing.
	char ip[INET_ADDRSTRLEN];
	char ip6[INET6_ADDRSTRLEN];
};

#define RK_DNS_MAX 4

// What the network driver set up, as the engine reports it and the child applies it.
// Addresses are text; an empty string means "none".
struct rk_network_info {
	char driver[32]; // "" for host
	char ifname[16];
	char ip[INET_ADDRSTRLEN]; // of the child's interface
	char ip6[INET6_ADDRSTRLEN];
	char gateway[INET_ADDRSTRLEN];
	char gateway6[INET6_ADDRSTRLEN];
	char dns[RK_DNS_MAX][INET6_ADDRSTRLEN];
	uint32_t prefix; // of ip, in bits
	uint32_t prefix6;
	uint32_t mtu;
	int32_t child_pid;  // seen from the host's pid namespace
	uint8_t dynamic;    // the address may change (DHCP)
	uint8_t configured; // the backend set address and routes itself
	uint8_t reserved[2];
	struct rk_source_info source; // filled by the child
};

struct rk_message {
	struct rk_msg_header header;
	union {
		struct rk_error error;
		struct rk_network_info network;
		struct rk_msg_number number;
		struct rk_msg_pool pool;
		unsigned char bytes[RK_MSG_PAYLOAD_MAX];
	};
	int fds[RK_MSG_FDS_MAX]; // received: owned by the caller, CLOEXEC; sent: stay the caller's
	unsigned fd_count;
	bool fds_lost; // MSG_CTRUNC: the receiver ran out of descriptors or of room
};

// Makes a channel; both ends CLOEXEC and blocking. 0 or -errno.
int msg_channel(int ends[2]);

// Sends one message. 0 or -errno (-EAGAIN on a full non-blocking channel, -ETOOMANYREFS when too
// many descriptors are in flight for this user, -EPIPE when the peer is gone; no SIGPIPE).
int msg_send(int channel, enum rk_msg_type type, const void *payload, size_t length, const int *fds,
	unsigned fd_count);

// Receives one message and checks header, payload length for its type, NUL-terminated strings and
// the range of numbers: an error's code is one (never 0), prefixes and counts can be.
// 1 = a message, 0 = peer closed, -EPROTO = malformed, else -errno. On anything but 1 no
// descriptor is left with the caller.
int msg_receive(int channel, struct rk_message *message);

void msg_close_fds(struct rk_message *message);
bool msg_is_legal(enum rk_msg_phase phase, unsigned type);
const char *msg_type_name(unsigned type);
