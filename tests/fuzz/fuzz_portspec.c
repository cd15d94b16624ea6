// fuzz_portspec.c: published ports as text, from command lines and files.
// What is accepted is in range and formats to a text that means the same.

#include "config/portspec.h"
#include "tests/fuzz/lib/fuzz.h"

#include <string.h>

static void require_round_trip(const struct rk_port_spec *spec)
{
	char text[RK_PORT_TEXT_MAX], second[RK_PORT_TEXT_MAX];
	struct rk_port_spec again;
	struct rk_error e;

	port_spec_format(spec, text, sizeof(text));
	FUZZ_REQUIRE(port_spec_parse(&again, text, strlen(text), &e) == 0);
	FUZZ_REQUIRE(memcmp(spec, &again, sizeof(again)) == 0);
	FUZZ_REQUIRE(strcmp(text, port_spec_format(&again, second, sizeof(second))) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_port_spec spec;
	struct rk_error e;
	int rc;

	if (size > FUZZ_GUARDED_MAX)
		return 0;
	fuzz_error_spoil(&e);
	rc = port_spec_parse(&spec, fuzz_guarded(data, size), size, &e);
	if (rc < 0) {
		fuzz_error_require(&e, rc);
		fuzz_require_printable(e.text, "");
		return 0;
	}
	FUZZ_REQUIRE(spec.child_port > 0);
	FUZZ_REQUIRE(!spec.parent_port_end || spec.parent_port_end > spec.parent_port);
	FUZZ_REQUIRE(spec.child_port + port_spec_count(&spec) - 1 <= UINT16_MAX);
	FUZZ_REQUIRE((unsigned)spec.proto < PROTO_COUNT);
	require_round_trip(&spec);
	return 0;
}
