// flags.c: docker-proxy's command line, which rootlesskit-docker-proxy takes as well.

#include "engine/dockerproxy/flags.h"
#include "base/addr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROTO_LENGTH_MAX 16

// Where the value of a flag goes; NULL: there is no such flag.
static const char **find_flag(struct proxy_flags *flags, const char *name, size_t length)
{
	const struct {
		const char *name;
		const char **value;
	} known[] = {
		{"proto", &flags->proto},
		{"host-ip", &flags->host_ip},
		{"host-port", &flags->host_port_text},
		{"container-ip", &flags->container_ip},
		{"container-port", &flags->container_port_text},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == length && strncmp(known[i].name, name, length) == 0)
			return known[i].value;
	return NULL;
}

// Takes one flag. Returns the words it consists of, 1 or 2, or -EINVAL.
static int take_flag(
	struct proxy_flags *flags, const char *word, const char *next, struct rk_error *e)
{
	const char *name = word + (word[1] == '-' ? 2 : 1);
	size_t length = strcspn(name, "=");
	const char **value = find_flag(flags, name, length);

	if (strcmp(name, "h") == 0 || strcmp(name, "help") == 0) {
		flags->help = true;
		return 1;
	}
	if (!value)
		return error_set(
			e, EINVAL, "flag provided but not defined: -%.*s", (int)length, name);
	*value = name[length] ? name + length + 1 : next;
	if (!*value)
		return error_set(e, EINVAL, "flag needs an argument: -%s", name);
	return name[length] ? 1 : 2;
}

int flags_read(struct proxy_flags *flags, char **argv, struct rk_error *e)
{
	char **word = argv + 1;

	*flags = (struct proxy_flags){.proto = "tcp",
		.host_ip = "",
		.container_ip = "",
		.host_port_text = "-1",
		.container_port_text = "-1"};
	while (*word && (*word)[0] == '-' && (*word)[1] && strcmp(*word, "--") != 0) {
		int words = take_flag(flags, *word, word[1], e);

		if (words < 0)
			return words;
		word += words;
	}
	return 0;
}

int flags_check(struct proxy_flags *flags, struct rk_error *e)
{
	size_t length = strspn(flags->proto, "abcdefghijklmnopqrstuvwxyz");
	size_t digits = strspn(flags->host_port_text, "0123456789");
	struct rk_addr host;
	unsigned long port;

	if (!length || length > PROTO_LENGTH_MAX || flags->proto[length])
		return error_set(e, EINVAL, "-proto %.32s: not a protocol", flags->proto);
	if (addr_parse(&host, flags->host_ip, strlen(flags->host_ip), 0) < 0)
		return error_set(e, EINVAL, "-host-ip \"%.64s\": not an address", flags->host_ip);
	flags->host_is_ip6 = host.sa.sa_family == AF_INET6;
	port = strtoul(flags->host_port_text, NULL, 10);
	if (flags->host_port_text[digits] || port < 1 || port > UINT16_MAX)
		return error_set(e, EINVAL, "-host-port %.32s: 1 to %d is allowed",
			flags->host_port_text, UINT16_MAX);
	flags->host_port = (uint16_t)port;
	return 0;
}
