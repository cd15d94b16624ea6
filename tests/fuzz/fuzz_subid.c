// fuzz_subid.c: /etc/subuid, what getsubids(1) prints, and the id map that is made of them.
// Ranges and extents never reach the id that is none, and nothing is mapped twice.

#include "nsctl/idmap.h"
#include "nsctl/subid.h"
#include "tests/fuzz/lib/fuzz.h"

static void require_list(const struct subid_list *list)
{
	struct idmap map;
	uint64_t next = 0;

	FUZZ_REQUIRE(list->count <= SUBID_RANGES_MAX);
	for (size_t i = 0; i < list->count; i++) {
		FUZZ_REQUIRE(list->ranges[i].count > 0);
		FUZZ_REQUIRE(list->ranges[i].count <= UINT32_MAX - list->ranges[i].start);
	}
	idmap_from_ranges(&map, 1000, list);
	FUZZ_REQUIRE(map.count >= 1 && map.count <= IDMAP_EXTENTS_MAX);
	for (size_t i = 0; i < map.count; i++) {
		FUZZ_REQUIRE(map.extents[i].inside == next);
		FUZZ_REQUIRE(map.extents[i].count > 0);
		next += map.extents[i].count;
		FUZZ_REQUIRE(next <= UINT32_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct subid_list list;
	const char *text;

	if (size > FUZZ_GUARDED_MAX)
		return 0;
	text = fuzz_guarded(data, size);
	subid_parse(&list, text, size, "user", 1000);
	require_list(&list);
	subid_parse(&list, text, size, "", 1000);
	require_list(&list);
	subid_parse_program(&list, text, size);
	require_list(&list);
	return 0;
}
