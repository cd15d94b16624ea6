// proxy_header.c: the header of the PROXY protocol, versions 1 and 2.

#include "engine/proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define V2_COMMAND_PROXY 0x21 // version 2, command PROXY
#define V2_TCP_IPV4      0x11
#define V2_TCP_IPV6      0x21

// Addresses without a scope: the header has no place for one.
static const char *format_ip(const struct rk_addr *addr, char text[INET6_ADDRSTRLEN])
{
	if (addr->sa.sa_family == AF_INET6)
		return inet_ntop(AF_INET6, &addr->in6.sin6_addr, text, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET, &addr->in4.sin_addr, text, INET6_ADDRSTRLEN);
}

static size_t write_v1(
	unsigned char *header, const struct rk_addr *client, const struct rk_addr *server)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	return (size_t)snprintf((char *)header, PROXY_HEADER_MAX, "PROXY TCP%c %s %s %u %u\r\n",
		client->sa.sa_family == AF_INET6 ? '6' : '4', format_ip(client, from),
		format_ip(server, to), addr_port(client), addr_port(server));
}

static unsigned char *put(unsigned char *at, const void *data, size_t size)
{
	memcpy(at, data, size);
	return at + size;
}

static size_t write_v2(
	unsigned char *header, const struct rk_addr *client, const struct rk_addr *server)
{
	static const unsigned char signature[] = {
		'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
	bool ip6 = client->sa.sa_family == AF_INET6;
	size_t ip_size = ip6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
	uint16_t ports[] = {htons(addr_port(client)), htons(addr_port(server))};
	uint16_t length = htons((uint16_t)(2 * ip_size + sizeof(ports)));
	unsigned char *at = put(header, signature, sizeof(signature));

	*at++ = V2_COMMAND_PROXY;
	*at++ = ip6 ? V2_TCP_IPV6 : V2_TCP_IPV4;
	at = put(at, &length, sizeof(length));
	at = put(at, ip6 ? (const void *)&client->in6.sin6_addr : &client->in4.sin_addr, ip_size);
	at = put(at, ip6 ? (const void *)&server->in6.sin6_addr : &server->in4.sin_addr, ip_size);
	at = put(at, ports, sizeof(ports));
	return (size_t)(at - header);
}

size_t proxy_header_write(unsigned char header[PROXY_HEADER_MAX], enum rk_proxy_protocol version,
	const struct rk_addr *client, const struct rk_addr *server)
{
	if (version == PROXY_PROTOCOL_V1)
		return write_v1(header, client, server);
	return write_v2(header, client, server);
}
