// options.c: rk-engine's command line.

#include "engine/options.h"

#include <errno.h>
#include <string.h>

// What is filled while the words are walked.
struct reading {
	struct rk_options *options;
	struct rk_config *config;
};

static const struct {
	const char *option;
	enum rk_mode mode;
} modes[] = {
	{"--check", MODE_CHECK},
	{"--print-config", MODE_PRINT_CONFIG},
	{"--version", MODE_VERSION},
	{"-v", MODE_VERSION},
	{"--help", MODE_HELP},
	{"-h", MODE_HELP},
};

static bool read_mode(struct rk_options *options, const char *option)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(option, modes[i].option) != 0)
			continue;
		options->mode = modes[i].mode;
		return true;
	}
	return false;
}

// The value of "--name=VALUE", or of `next`; *words tells how many words they are. NULL: the option
// has another name, or no value (then *words is 2, and our caller says so).
static const char *read_value(const char *option, const char *name, const char *next, int *words)
{
	size_t length = strlen(name);

	if (strncmp(option, name, length) != 0)
		return NULL;
	if (option[length] == '=') {
		*words = 1;
		return option + length + 1;
	}
	if (option[length])
		return NULL;
	*words = 2;
	return next;
}

static int read_option(void *context, const char *option, const char *next, struct rk_error *e)
{
	struct reading *reading = context;
	struct rk_options *options = reading->options;
	const char *value;
	int words = 0;

	if (read_mode(options, option))
		return 1;
	value = read_value(option, "--attach", next, &words);
	if (value)
		options->attach = value;
	if (words)
		return words;
	value = read_value(option, "-p", next, &words);
	if (!words)
		value = read_value(option, "--publish", next, &words);
	if (value && config_set(reading->config, "port", "publish", value, e) < 0)
		return error_wrap(e, "%.*s", (int)strcspn(option, "="), option);
	if (words)
		return words;
	error_set(e, EINVAL, "%s: unknown option", option);
	return error_hint(e, "rk-engine --help lists them");
}

int options_read(struct rk_options *options, struct rk_config *config, int argc, char **argv,
	struct rk_error *e)
{
	struct reading reading = {options, config};

	*options = (struct rk_options){.mode = MODE_RUN};
	return config_read_arguments(config, argc, argv, read_option, &reading, e);
}
