// worker_rig.h: a worker without a thread, on the fake ring, with one port and real sockets; and
// the check that it leaves nothing behind.
#pragma once

#include "engine/tcp.h"
#include "engine/udp.h"
#include "tests/unit/ring_fake.h"

#define RIG_PEERS_MAX 64

struct rig {
	struct rk_worker worker;
	struct rk_notice notice;
	struct rk_share *share;
	struct rk_command removal;
	uint64_t clients;         // that came, for COUNT_TOTAL
	int peers[RIG_PEERS_MAX]; // the test's ends: clients and servers
	unsigned peer_count;
	unsigned descriptors; // of the process, before
	bool removed;
};

// A worker that listens on one port of that type with so many targets.
void rig_open(struct rig *rig, int socktype, unsigned targets);
// Ends flows and port; whatever stays behind fails the test, which `about` names.
void rig_close(struct rig *rig, const char *about);
void rig_turns(struct rig *rig, unsigned count);
// Asks for the port's removal; it is over when rig->removal.result is 0.
void rig_remove_port(struct rig *rig);
// Lets the pool have a socket whose other end, returned, is the test's.
int rig_add_socket(struct rig *rig, enum rk_socket_kind kind);
// A client connects, and is accepted by the next turn; returns the client's end.
int rig_add_client(struct rig *rig);
// The worker gets a helper; returns the helper's end of the channel.
int rig_add_helper(struct rig *rig);
// The listener's accept delivers that descriptor.
void rig_accept(struct rig *rig, int fd);
// A client, connected to its server: peers[0] is the server's end, peers[1] the client's.
void rig_open_tcp_flow(struct rig *rig);
// A client's datagram; clients are numbered.
void rig_add_datagram(uint16_t client);
// Lets every timer of that kind be due.
void rig_expire(struct rig *rig, enum rk_timer_kind kind);
uint64_t rig_count(const struct rig *rig, enum rk_port_counter counter);
unsigned rig_flows(const struct rig *rig);
// A command of the control thread, which the next turn reads.
void rig_command(struct rig *rig, struct rk_command *command);
unsigned rig_open_descriptors(void);
