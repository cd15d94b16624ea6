// fuzz_dockerproxy_flags.c: the command line of rootlesskit-docker-proxy, one word a line.
// What is accepted is a protocol's name, an address literal and a port in plain digits.

#include "base/addr.h"
#include "engine/dockerproxy/flags.h"
#include "tests/fuzz/lib/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void require_sound(const struct proxy_flags *flags)
{
	struct rk_addr addr;

	FUZZ_REQUIRE(addr_parse(&addr, flags->host_ip, strlen(flags->host_ip), 0) == 0);
	FUZZ_REQUIRE(flags->host_is_ip6 == (addr.sa.sa_family == AF_INET6));
	FUZZ_REQUIRE(flags->host_port > 0);
	FUZZ_REQUIRE(!flags->host_port_text[strspn(flags->host_port_text, "0123456789")]);
	FUZZ_REQUIRE(strtoul(flags->host_port_text, NULL, 10) == flags->host_port);
	fuzz_require_printable(flags->proto, "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[FUZZ_WORDS_MAX + 1];
	struct proxy_flags flags;
	struct rk_error e;
	int rc;

	fuzz_take_words(data, size, "rootlesskit-docker-proxy", words);
	fuzz_error_spoil(&e);
	rc = flags_read(&flags, words, &e);
	if (rc == 0 && !flags.help)
		rc = flags_check(&flags, &e);
	if (rc < 0) {
		fuzz_error_require(&e, rc);
		fuzz_require_printable(e.text, "");
	} else if (!flags.help) {
		require_sound(&flags);
	}
	return 0;
}
