// udp-server.c: echoes every datagram, whatever its length.
//
//   udp-server IP PORT          prints "ready" when it is bound
//   udp-server IP PORT TEXT     answers TEXT instead
//   udp-server IP PORT --who    answers "IP PORT" of the client that it sees
//   udp-server IP PORT --push N answers the first datagram, then one more a second, N in all

#include "tests/tools/lib/tool.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void push(int fd, const struct tool_address *to, long count)
{
	for (long i = 0; i < count; i++) {
		char text[32];
		int length = snprintf(text, sizeof(text), "push %ld", i);

		if (i > 0)
			sleep(1);
		if (sendto(fd, text, (size_t)length, 0, (const struct sockaddr *)&to->storage,
			    to->length) < 0)
			tool_fail("send: %s", strerror(errno));
	}
}

static size_t who(const struct tool_address *client, char *text, size_t size)
{
	char ip[64], port[16];

	if (getnameinfo((const struct sockaddr *)&client->storage, client->length, ip, sizeof(ip),
		    port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		tool_fail("the client's address has no text");
	return (size_t)snprintf(text, size, "%s %s", ip, port);
}

int main(int argc, char **argv)
{
	static unsigned char block[65536];
	int fd;

	if (argc < 3 || argc > 5)
		tool_fail("usage: udp-server IP PORT [TEXT | --who | --push N]");
	fd = tool_listen(argv[1], argv[2], SOCK_DGRAM);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (true) {
		struct tool_address from = {.length = sizeof(from.storage)};
		const void *answer = argc == 4 ? (const void *)argv[3] : block;
		ssize_t got = recvfrom(fd, block, sizeof(block), 0,
			(struct sockaddr *)&from.storage, &from.length);

		if (got < 0)
			tool_fail("receive: %s", strerror(errno));
		if (argc == 5) {
			push(fd, &from, tool_number(argv[4]));
			continue;
		}
		if (argc == 4 && strcmp(argv[3], "--who") == 0) {
			answer = block;
			got = (ssize_t)who(&from, (char *)block, sizeof(block));
		} else if (argc == 4)
			got = (ssize_t)strlen(argv[3]);
		if (sendto(fd, answer, (size_t)got, 0, (struct sockaddr *)&from.storage,
			    from.length) < 0)
			tool_fail("send: %s", strerror(errno));
	}
}
