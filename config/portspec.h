// portspec.h: a published port, [PARENT-IP]:PARENT-PORT[:CHILD-IP]:CHILD-PORT/PROTO, or a range of
// them (8000-8010 and 80-90 for the ports). Parent port 0: the kernel chooses one.
#pragma once

#include "base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rk_proto { PROTO_TCP, PROTO_TCP4, PROTO_TCP6, PROTO_UDP, PROTO_UDP4, PROTO_UDP6, PROTO_COUNT };

// Whether the child is shown the client's own address. Auto: prefer for TCP, off for UDP; in a port
// spec: as configured.
enum rk_source_ip { SOURCE_IP_AUTO, SOURCE_IP_OFF, SOURCE_IP_PREFER, SOURCE_IP_REQUIRE };
// Whether a TCP connection to the child starts with a header of the PROXY protocol.
enum rk_proxy_protocol { PROXY_PROTOCOL_OFF, PROXY_PROTOCOL_V1, PROXY_PROTOCOL_V2 };

// Room for "fe80::1%interface-name", with the NUL.
#define RK_IP_TEXT_MAX 64
// Room for the longest text of port_spec_format(), with the NUL.
#define RK_PORT_TEXT_MAX 160
// Room for the name of a proxy in the namespace, with the NUL.
#define RK_CHILD_PROXY_MAX 32

struct rk_port_spec {
	enum rk_proto proto;
	char parent_ip[RK_IP_TEXT_MAX]; // as given, "" = all addresses
	char child_ip[RK_IP_TEXT_MAX];  // as given, "" = by the rule of engine/ports_forward.c
	uint16_t parent_port;
	uint16_t child_port;
	uint16_t parent_port_end; // last of a range, above parent_port; 0 = one port
	enum rk_source_ip source_ip;
	enum rk_proxy_protocol proxy_protocol;
	bool proxy_protocol_set; // else as configured
	bool owned;              // goes with the process that asked for it (API only)
	// What listens at the child's loopback address for the real server, and does not pass the
	// client's address on: "docker-proxy"; "" = nothing does (API only).
	char child_proxy[RK_CHILD_PROXY_MAX];
};

// Parses exactly one spec from (text, length); no NUL needed, anything longer than 256 bytes is
// refused. 0 or -EINVAL with *e quoting the spec and naming the part that is wrong.
int port_spec_parse(struct rk_port_spec *spec, const char *text, size_t length, struct rk_error *e);

// Checks what a spec must fulfil whoever made it (INI text, API JSON): addresses are literals,
// fit the protocol's family, the child's port is not 0, a range is one on both sides. 0 or -EINVAL
// with *e.
int port_spec_check(const struct rk_port_spec *spec, struct rk_error *e);

// How many ports the spec has, at least 1.
unsigned port_spec_count(const struct rk_port_spec *spec);
uint16_t port_spec_child_end(const struct rk_port_spec *spec); // the child's last port
// Whether two specs share protocol and a parent port; the addresses are not looked at.
bool port_spec_overlaps(const struct rk_port_spec *a, const struct rk_port_spec *b);

// "127.0.0.1:8080:80/tcp", IPv6 in brackets: what port_spec_parse() reads back to the same spec.
// Returns `text`.
const char *port_spec_format(const struct rk_port_spec *spec, char *text, size_t size);

const char *proto_name(enum rk_proto proto);
int proto_parse(const char *name, enum rk_proto *proto); // 0 or -EINVAL
bool proto_is_udp(enum rk_proto proto);
int proto_family(enum rk_proto proto); // AF_INET, AF_INET6, or AF_UNSPEC for both
