// fuzz_proc.c: files of /proc that are read: id maps, cgroup, mountinfo; and the file `network`.
// Ids stay below the one that is none, paths are absolute and never lead upwards.

#include "engine/api_socket.h"
#include "nsctl/cgroup_paths.h"
#include "nsctl/idmap.h"
#include "nsctl/netfiles.h"
#include "tests/fuzz/lib/fuzz.h"

#include <limits.h>
#include <string.h>

static void require_id_maps(const char *text, size_t size)
{
	struct rk_api_peers peers = {.self = 1};
	struct idmap map;

	if (idmap_from_identity(&map, text, size) == 0) {
		FUZZ_REQUIRE(map.count > 0 && map.count <= IDMAP_EXTENTS_MAX);
		for (size_t i = 0; i < map.count; i++) {
			FUZZ_REQUIRE(map.extents[i].inside == map.extents[i].outside);
			FUZZ_REQUIRE(map.extents[i].count > 0);
			FUZZ_REQUIRE(map.extents[i].count <= UINT32_MAX - map.extents[i].inside);
		}
	}
	api_peers_parse(&peers, text, size);
	FUZZ_REQUIRE(peers.range_count <= RK_API_UID_RANGES_MAX);
	for (unsigned i = 0; i < peers.range_count; i++)
		FUZZ_REQUIRE(peers.ranges[i].count <= UINT32_MAX - peers.ranges[i].first);
}

static void require_cgroup(const char *text, size_t size)
{
	char own[PATH_MAX], root[PATH_MAX], target[PATH_MAX], path[2 * PATH_MAX];

	if (cgroup_parse_own(text, size, own, sizeof(own)) < 0)
		return;
	FUZZ_REQUIRE(own[0] == '/');
	FUZZ_REQUIRE(!strstr(own, "/../"));
	if (cgroup_parse_mount(text, size, root, target, PATH_MAX) < 0)
		return;
	FUZZ_REQUIRE(target[0] == '/');
	FUZZ_REQUIRE(!root[0] || (root[0] == '/' && root[1]));
	if (cgroup_join(own, root, target, path, sizeof(path)) < 0)
		return;
	FUZZ_REQUIRE(strncmp(path, target, strlen(target)) == 0);
	path[strlen(target)] = path[strlen(target)] ? path[strlen(target)] : '/';
	FUZZ_REQUIRE(path[strlen(target)] == '/');
}

#define REQUIRE_TEXT(array) FUZZ_REQUIRE(memchr((array), '\0', sizeof(array)))

static void require_network(const char *text, size_t size)
{
	struct rk_network_info info;

	memset(&info, '~', sizeof(info));
	netfiles_parse_network(&info, text, size);
	REQUIRE_TEXT(info.driver);
	REQUIRE_TEXT(info.ifname);
	REQUIRE_TEXT(info.ip);
	REQUIRE_TEXT(info.ip6);
	REQUIRE_TEXT(info.gateway);
	REQUIRE_TEXT(info.gateway6);
	for (unsigned i = 0; i < RK_DNS_MAX; i++)
		REQUIRE_TEXT(info.dns[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text;

	if (size > FUZZ_GUARDED_MAX)
		return 0;
	text = fuzz_guarded(data, size);
	require_id_maps(text, size);
	require_cgroup(text, size);
	require_network(text, size);
	return 0;
}
