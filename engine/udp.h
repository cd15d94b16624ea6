// udp.h: UDP flows: one per client address and published address.
//
// How it works: all clients of a listener arrive through one multishot receive. The flow table
// finds the client's flow by (listener, client's address, address the client talked to); a new
// client gets a slot and a socket of the child's namespace from the pool, connected to the target,
// so that the child sees one source port per client. Replies go back through the listener, from the
// address that the client used. Every datagram of either direction restarts the idle timer; when it
// runs out the flow's socket is closed and the slot is free. A datagram lives in one ring buffer
// from its receive to the completion of its send, so flows themselves hold no memory for data.
//
// When the buffers of a turn are all taken, whoever found none waits: flows and listeners take
// turns from then on (udp_buffers_free()), in which one listener, or as many flows as there are
// buffers, receive anew. A flow that again found nothing goes first in the next turn of flows, so
// nobody is passed over for ever, and a flood of new clients does not hold up the answers to old
// ones.
//
// States: UDP_WAITING (no socket in the pool: the first datagram is kept, later ones are dropped
// and counted), UDP_OPEN, UDP_CLOSING (operations in flight are cancelled and drained).
#pragma once

#include "engine/route.h"
#include "engine/worker.h"

// Datagram buffers: any datagram (65507 or 65527 bytes), the kernel's header, address and
// ancillary data; see docs/limits.md.
#define DATAGRAM_BUFFER_COUNT 256u
#define DATAGRAM_BUFFER_READY 8u
#define DATAGRAM_BUFFER_SIZE  (64u * 1024 + 256)

enum rk_udp_state { UDP_WAITING, UDP_OPEN, UDP_CLOSING };

struct rk_udp_flow {
	struct rk_slot slot;
	uint8_t state;      // enum rk_udp_state
	bool receiving;     // a receive from the child is in flight
	bool answered;      // the child sent something
	bool overdue;       // found no buffer, and has got nothing since
	uint16_t in_flight; // operations
	int fd;             // child's socket, connected; -1 in UDP_WAITING
	uint32_t hash;
	uint32_t next; // 1 + index of the next flow in the bucket, 0 ends the chain
	struct rk_listener *listener;
	struct rk_addr client;
	struct rk_addr target; // tried or connected
	uint64_t started_ms;   // CLOCK_MONOTONIC
	uint64_t bytes_in, bytes_out;
	bool sent; // a datagram went to the present target
	struct rk_route route;
	struct in6_pktinfo local; // the address the client used; IPv4 in its first four bytes
	struct rk_timer timer;
	struct rk_node waiting; // for a child socket, or for buffers
	struct {
		uint32_t buffer;
		uint32_t offset;
		uint32_t length;
		bool held;
	} first; // kept while waiting, and until a target has proved to be there
};

// Flows that may keep a first datagram at a time; beyond that it is not kept.
#define UDP_FIRST_MAX 192u

// What is known of a datagram buffer while it is being sent.
struct rk_udp_sending {
	uint32_t flow;
	uint32_t length;
	uint32_t offset;
	bool to_client;
};

struct rk_udp_table {
	uint32_t *buckets; // 1 + index of the first flow, 0 = none
	uint32_t mask;
	uint64_t seed;
	struct rk_list starved;           // flows that wait for a datagram buffer
	struct rk_list overdue;           // those that had a turn in vain: they go first
	struct rk_list starved_listeners; // listeners that wait for one
	bool flows_turn;                  // the next turn is the flows'
	uint32_t firsts;                  // first datagrams kept
	struct rk_udp_sending sending[DATAGRAM_BUFFER_COUNT];
};

int udp_table_open(struct rk_worker *worker); // 0 or -errno
void udp_table_close(struct rk_worker *worker);

// Starts the multishot receive of a listener.
void udp_receive(struct rk_worker *worker, struct rk_listener *listener, uint64_t tag);
// Handlers for OP_UDP_LISTENER, OP_UDP_RECEIVE, OP_UDP_SEND, OP_UDP_SEND_EMPTY.
void udp_listener_complete(struct rk_worker *worker, const struct rk_completion *completion);
void udp_receive_complete(struct rk_worker *worker, const struct rk_completion *completion);
void udp_send_complete(struct rk_worker *worker, const struct rk_completion *completion);
void udp_send_empty_complete(struct rk_worker *worker, const struct rk_completion *completion);

void udp_pool_filled(struct rk_worker *worker, enum rk_socket_kind kind);
void udp_idle_timeout(struct rk_worker *worker, struct rk_timer *timer);
// The end of a turn of the loop: a few of those who found no buffer receive again.
void udp_buffers_free(struct rk_worker *worker);
// Whether udp_buffers_free() has more to do, without waiting for anything.
bool udp_buffers_wanted(const struct rk_worker *worker);
// Ends the flows of one port, or of all (NULL).
void udp_close_flows(struct rk_worker *worker, const struct rk_share *share);
