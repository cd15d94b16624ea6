// config.c: defaults, memory and single settings of struct rk_config, by way of the key table.

#include "config/config.h"

#include "config/keys.h"
#include "config/value.h"

#include <string.h>

int config_init(struct rk_config *config)
{
	struct rk_error e;
	int rc;

	memset(config, 0, sizeof(*config));
	for (const struct rk_key *key = rk_keys; key->name; key++) {
		rc = key->initial ? value_set(config, key, key->initial, &e) : 0;
		if (rc < 0) {
			config_free(config);
			return rc;
		}
	}
	return 0;
}

void config_free(struct rk_config *config)
{
	for (const struct rk_key *key = rk_keys; key->name; key++)
		value_free(config, key);
	memset(config, 0, sizeof(*config));
}

int config_set(struct rk_config *config, const char *section, const char *key, const char *value,
	struct rk_error *e)
{
	const struct rk_key *row;
	int rc = key_find(section, key, &row, e);

	if (rc == 0)
		rc = value_set(config, row, value, e);
	return rc < 0 ? error_wrap(e, "[%s] %s", section, key) : 0;
}
