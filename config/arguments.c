// arguments.c: the settings of a command line.
//
// How it works: one walk over the words collects the settings in a list and hands every other
// option to the caller; then the file is read, then the list is applied over it. So the command
// line wins wherever -c stands, and a wrong option is found before anything is read.

#include "base/fd.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/quote.h"
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct setting {
	const struct rk_key *key;
	const char *prefix; // "-o " or "": with `option`, how it was written
	const char *option;
	const char *value;
};

struct arguments {
	const char *file; // of -c, NULL = none
	struct setting *settings;
	size_t setting_count;
	config_other_option *other;
	void *context;
};

// Wraps *e with an option as it was written, up to its '='.
static int option_fail(const char *prefix, const char *option, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];

	quote_text(option, strcspn(option, "="), quoted, sizeof(quoted));
	return error_wrap(e, "%s%.*s", prefix, (int)strlen(quoted) - 2, quoted + 1);
}

// Finds the key of "SECTION.KEY=VALUE" or "SECTION.KEY".
static int setting_find_key(const char *text, const struct rk_key **key, struct rk_error *e)
{
	size_t length = strcspn(text, "=");
	const char *dot = memchr(text, '.', length);
	char section[RK_QUOTE_MAX], name[RK_QUOTE_MAX];

	if (!dot)
		return error_set(e, EINVAL, "not a setting, allowed: SECTION.KEY=VALUE");
	// A name that is cut here is longer than any in the table.
	snprintf(section, sizeof(section), "%.*s", (int)(dot - text), text);
	snprintf(name, sizeof(name), "%.*s", (int)(text + length - dot - 1), dot + 1);
	return key_find(section, name, key, e);
}

// `option` is "--SECTION.KEY=VALUE", or the word behind the prefix "-o ".
static int setting_collect(
	struct arguments *arguments, const char *prefix, const char *option, struct rk_error *e)
{
	struct setting *setting = &arguments->settings[arguments->setting_count];
	const char *text = prefix[0] ? option : option + strlen("--");
	const char *equals = strchr(text, '=');
	int rc = setting_find_key(text, &setting->key, e);

	if (rc < 0)
		return option_fail(prefix, option, e);
	if (!equals && setting->key->type != KEY_BOOL) {
		error_set(e, EINVAL, "needs a value, as in %s%s=VALUE", prefix, option);
		return option_fail(prefix, option, e);
	}
	setting->prefix = prefix;
	setting->option = option;
	setting->value = equals ? equals + 1 : "true";
	arguments->setting_count++;
	return 0;
}

static int file_collect(
	struct arguments *arguments, const char *option, const char *file, struct rk_error *e)
{
	if (!file || !file[0])
		error_set(e, EINVAL, "needs the name of a file");
	else if (arguments->file)
		error_set(e, EINVAL, "given twice");
	else {
		arguments->file = file;
		return 0;
	}
	return option_fail("", option, e);
}

static int other_collect(
	struct arguments *arguments, const char *option, const char *next, struct rk_error *e)
{
	int words;

	if (!arguments->other) {
		error_set(e, EINVAL, "unknown option");
		return option_fail("", option, e);
	}
	words = arguments->other(arguments->context, option, next, e);
	if (words == 2 && !next) {
		error_set(e, EINVAL, "needs a value");
		return option_fail("", option, e);
	}
	return words;
}

// Takes one option. Returns the words it consists of, 1 or 2, or -code.
static int option_collect(
	struct arguments *arguments, const char *option, const char *next, struct rk_error *e)
{
	int rc;

	if (strcmp(option, "-c") == 0 || strcmp(option, "--config") == 0) {
		rc = file_collect(arguments, option, next, e);
		return rc < 0 ? rc : 2;
	}
	if (strncmp(option, "--config=", strlen("--config=")) == 0) {
		rc = file_collect(arguments, option, option + strlen("--config="), e);
		return rc < 0 ? rc : 1;
	}
	if (strcmp(option, "-o") == 0) {
		if (!next)
			return error_set(e, EINVAL, "-o: needs SECTION.KEY=VALUE");
		rc = setting_collect(arguments, "-o ", next, e);
		return rc < 0 ? rc : 2;
	}
	if (strncmp(option, "--", 2) == 0 && memchr(option, '.', strcspn(option, "="))) {
		rc = setting_collect(arguments, "", option, e);
		return rc < 0 ? rc : 1;
	}
	return other_collect(arguments, option, next, e);
}

// Collects up to the first word of the command; returns its index, or -code.
static int options_collect(struct arguments *arguments, int argc, char **argv, struct rk_error *e)
{
	int i = 1;
	int words;

	while (i < argc && argv[i][0] == '-' && argv[i][1]) {
		if (strcmp(argv[i], "--") == 0)
			return i + 1;
		words = option_collect(arguments, argv[i], i + 1 < argc ? argv[i + 1] : NULL, e);
		if (words < 0)
			return words;
		i += words;
	}
	return i;
}

static int arguments_apply(
	struct rk_config *config, const struct arguments *arguments, struct rk_error *e)
{
	int rc = 0;

	if (arguments->file)
		rc = config_read_file(config, arguments->file, e);
	for (size_t i = 0; rc == 0 && i < arguments->setting_count; i++) {
		const struct setting *setting = &arguments->settings[i];

		rc = value_set(config, setting->key, setting->value, e);
		if (rc < 0)
			option_fail(setting->prefix, setting->option, e);
	}
	return rc;
}

int config_read_arguments(struct rk_config *config, int argc, char **argv,
	config_other_option *other, void *context, struct rk_error *e)
{
	// No more settings than words.
	RK_CLEANUP_FREE struct setting *settings =
		calloc(argc > 0 ? (size_t)argc : 1, sizeof(*settings));
	struct arguments arguments = {.settings = settings, .other = other, .context = context};
	int index;
	int rc;

	if (!settings)
		return error_set(e, ENOMEM, "out of memory");
	index = options_collect(&arguments, argc, argv, e);
	if (index < 0)
		return index;
	rc = arguments_apply(config, &arguments, e);
	return rc < 0 ? rc : index;
}
