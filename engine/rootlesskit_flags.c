// rootlesskit_flags.c: RootlessKit's flags, and which setting each of them is.
//
// How it works: a row of the table names a flag and the row of the key table (config/keys.c) that
// it sets. Type, allowed values and most of the help come from there, so a flag cannot mean
// anything that the file cannot say. The words follow Go's package flag: one dash or two,
// "--flag=value" or "--flag value", and a bool that stands alone is true.

#include "engine/rootlesskit_flags.h"
#include "config/keys.h"
#include "config/quote.h"
#include "config/value.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HELP_COLUMN 32
#define NAME_SIZE   32

enum flag_kind {
	FLAG_SETTING,   // of section and key
	FLAG_DEBUG,     // the log level
	FLAG_HELP,      // struct rootlesskit_flags
	FLAG_VERSION,   // likewise
	FLAG_SEMVER,    // likewise
	FLAG_SOURCE_IP, // a bool for a setting that has more values
};

struct flag {
	const char *category;
	const char *name;
	char letter; // 0 = none
	enum flag_kind kind;
	const char *section;
	const char *key;
	const char *initial; // RootlessKit's default, NULL = the key's own
	const char *help;    // NULL = the key's own
};

#define SETTING(section_name, key_name)                                                            \
	.kind = FLAG_SETTING, .section = (section_name), .key = (key_name)

// clang-format off
static const struct flag flags[] = {
	{"Misc", "debug", .kind = FLAG_DEBUG, .help = "Writes debug records to stderr."},
	{"Misc", "help", 'h', .kind = FLAG_HELP, .help = "Prints this."},
	{"Misc", "version", 'v', .kind = FLAG_VERSION, .help = "Prints the version."},
	{"Misc", "print-semver", .kind = FLAG_SEMVER,
		.help = "Prints one part of the version: major, minor or patch."},

	{"Mount", "copy-up", SETTING("mount", "copy-up")},
	{"Mount", "copy-up-mode", SETTING("mount", "copy-up-mode")},
	{"Mount", "propagation", SETTING("mount", "propagation")},

	{"Network", "net", SETTING("network", "driver"), .initial = "host"},
	{"Network", "mtu", SETTING("network", "mtu")},
	{"Network", "cidr", SETTING("network", "cidr")},
	{"Network", "ifname", SETTING("network", "ifname")},
	{"Network", "disable-host-loopback", SETTING("network", "disable-host-loopback"),
		.initial = "false"},
	{"Network", "ipv6", SETTING("network", "ipv6")},
	{"Network", "detach-netns", SETTING("network", "detach-netns")},

	{"Network [gvisor-tap-vsock]", "gvproxy-binary", SETTING("gvisor-tap-vsock", "binary")},
	{"Network [lxc-user-nic]", "lxc-user-nic-binary", SETTING("lxc-user-nic", "binary")},
	{"Network [lxc-user-nic]", "lxc-user-nic-bridge", SETTING("lxc-user-nic", "bridge")},
	{"Network [pasta]", "pasta-binary", SETTING("pasta", "binary")},
	{"Network [slirp4netns]", "slirp4netns-binary", SETTING("slirp4netns", "binary")},
	{"Network [slirp4netns]", "slirp4netns-sandbox", SETTING("slirp4netns", "sandbox"),
		.initial = "false"},
	{"Network [slirp4netns]", "slirp4netns-seccomp", SETTING("slirp4netns", "seccomp"),
		.initial = "false"},
	{"Network [vpnkit]", "vpnkit-binary", SETTING("vpnkit", "binary")},

	{"Port", "port-driver", SETTING("port", "driver"), .initial = "none"},
	{"Port", "publish", 'p', SETTING("port", "publish")},
	{"Port", "source-ip-transparent", .kind = FLAG_SOURCE_IP,
		.help = "Shows servers in the namespace the address of a TCP client (default: true)."},

	{"Process", "pidns", SETTING("process", "pidns")},
	{"Process", "cgroupns", SETTING("process", "cgroupns")},
	{"Process", "utsns", SETTING("process", "utsns")},
	{"Process", "ipcns", SETTING("process", "ipcns")},
	{"Process", "reaper", SETTING("process", "reaper")},
	{"Process", "evacuate-cgroup2", SETTING("process", "evacuate-cgroup2")},

	{"State", "state-dir", SETTING("engine", "state-dir")},

	{"SubID", "subid-source", SETTING("process", "subid-source")},
};
// clang-format on

#define FLAG_COUNT (sizeof(flags) / sizeof(flags[0]))

// What RootlessKit does without having a flag for it: it prints little, and it never kills.
static const struct {
	const char *section;
	const char *key;
	const char *value;
} silent_defaults[] = {
	{"engine", "log-level", "warning"},
	{"process", "stop-timeout", "0s"},
};

int rootlesskit_flags_set_defaults(struct rk_config *config, struct rk_error *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(silent_defaults) / sizeof(silent_defaults[0]); i++)
		rc = config_set(config, silent_defaults[i].section, silent_defaults[i].key,
			silent_defaults[i].value, e);
	for (size_t i = 0; rc == 0 && i < FLAG_COUNT; i++) {
		if (flags[i].initial)
			rc = config_set(
				config, flags[i].section, flags[i].key, flags[i].initial, e);
	}
	return rc;
}

static const struct rk_key *flag_key(const struct flag *flag)
{
	const struct rk_key *key = NULL;

	if (flag->kind == FLAG_SETTING && key_find(flag->section, flag->key, &key, NULL) < 0)
		return NULL;
	return key;
}

static bool flag_is_bool(const struct flag *flag)
{
	const struct rk_key *key = flag_key(flag);

	return key ? key->type == KEY_BOOL : flag->kind != FLAG_SEMVER;
}

// `name` is what stands between the dashes and '=' or the end.
static const struct flag *flag_find(const char *name, size_t length)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (strlen(flags[i].name) == length && memcmp(flags[i].name, name, length) == 0)
			return &flags[i];
		if (length == 1 && flags[i].letter == name[0])
			return &flags[i];
	}
	return NULL;
}

// The spellings of strconv.ParseBool (Go). 0 or -EINVAL.
static int parse_bool(const char *text, bool *value)
{
	static const char *const spellings[2][7] = {
		{"0", "f", "F", "false", "False", "FALSE", NULL},
		{"1", "t", "T", "true", "True", "TRUE", NULL},
	};

	for (int truth = 0; truth < 2; truth++) {
		for (int i = 0; spellings[truth][i]; i++) {
			if (strcmp(text, spellings[truth][i]) != 0)
				continue;
			*value = truth;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_key(
	const struct flag *flag, struct rk_config *config, const char *value, struct rk_error *e)
{
	const struct rk_key *key;
	int rc = key_find(flag->section, flag->key, &key, e);

	if (rc == 0)
		rc = value_set(config, key, value, e);
	return rc < 0 ? error_wrap(e, "invalid value for flag --%s", flag->name) : 0;
}

static int set_bool(const struct flag *flag, struct rootlesskit_flags *set,
	struct rk_config *config, const char *text, struct rk_error *e)
{
	char quoted[RK_QUOTE_MAX];
	bool value;

	if (parse_bool(text, &value) < 0)
		return error_set(e, EINVAL,
			"invalid boolean value %s for flag --%s, allowed: true, false",
			quote_text(text, strlen(text), quoted, sizeof(quoted)), flag->name);
	switch (flag->kind) {
	case FLAG_SETTING:
		return set_key(flag, config, value ? "true" : "false", e);
	case FLAG_DEBUG:
		return config_set(config, "engine", "log-level", value ? "debug" : "warning", e);
	case FLAG_HELP:
		set->help = value;
		break;
	case FLAG_VERSION:
		set->version = value;
		break;
	case FLAG_SOURCE_IP:
		return config_set(config, "port", "source-ip", value ? "auto" : "off", e);
	case FLAG_SEMVER: // is no bool
		break;
	}
	return 0;
}

// Takes the flag at `word`. Returns the number of words that it consists of, or -EINVAL.
static int read_flag(struct rootlesskit_flags *set, struct rk_config *config, const char *word,
	const char *next, struct rk_error *e)
{
	const char *name = word + (word[1] == '-' ? 2 : 1);
	size_t length = strcspn(name, "=");
	const char *value = name[length] ? name + length + 1 : NULL;
	const struct flag *flag = flag_find(name, length);
	char quoted[RK_QUOTE_MAX];
	int words = 1;
	int rc = 0;

	if (!flag) {
		quote_text(word, strcspn(word, "="), quoted, sizeof(quoted));
		error_set(e, EINVAL, "flag provided but not defined: %.*s", (int)strlen(quoted) - 2,
			quoted + 1);
		return error_hint(e, "rootlesskit --help lists the flags");
	}
	if (flag_is_bool(flag)) {
		rc = set_bool(flag, set, config, value ? value : "true", e);
		return rc < 0 ? rc : words;
	}
	if (!value) {
		value = next;
		words = 2;
	}
	if (!value)
		return error_set(e, EINVAL, "flag needs an argument: --%s", flag->name);
	if (flag->kind == FLAG_SEMVER)
		set->print_semver = value;
	else
		rc = set_key(flag, config, value, e);
	return rc < 0 ? rc : words;
}

int rootlesskit_flags_read(struct rootlesskit_flags *set, struct rk_config *config, int argc,
	char **argv, struct rk_error *e)
{
	int i = 1;

	while (i < argc && argv[i][0] == '-' && argv[i][1]) {
		int words;

		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		words = read_flag(set, config, argv[i], i + 1 < argc ? argv[i + 1] : NULL, e);
		if (words < 0)
			return words;
		i += words;
	}
	set->command = i;
	return 0;
}

void rootlesskit_flags_translate(struct rk_error *e)
{
	char section[NAME_SIZE], key[NAME_SIZE], rest[sizeof(e->text)];
	int used = 0;

	if (sscanf(e->text, "[%31[^]]] %31[a-z0-9-]%n", section, key, &used) != 2)
		return;
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (flags[i].kind != FLAG_SETTING || strcmp(flags[i].section, section) != 0 ||
			strcmp(flags[i].key, key) != 0)
			continue;
		snprintf(rest, sizeof(rest), "%s", e->text + used);
		snprintf(e->text, sizeof(e->text), "--%s%.*s", flags[i].name,
			(int)(sizeof(e->text) - NAME_SIZE), rest);
		return;
	}
}

// "--publish, -p value"
static void print_name(const struct flag *flag)
{
	char name[2 * NAME_SIZE];
	int length = snprintf(name, sizeof(name), "--%s", flag->name);

	if (flag->letter)
		length += snprintf(
			name + length, sizeof(name) - (size_t)length, ", -%c", flag->letter);
	if (!flag_is_bool(flag))
		snprintf(name + length, sizeof(name) - (size_t)length, " value");
	printf("    %-*s ", HELP_COLUMN - 5, name);
}

static void print_flag(const struct flag *flag)
{
	const struct rk_key *key = flag_key(flag);
	char allowed[RK_KEY_ALLOWED_MAX];
	const char *initial = flag->initial;

	print_name(flag);
	if (!key) {
		printf("%s\n", flag->help);
		return;
	}
	printf("%s\n%*sAllowed: %s", flag->help ? flag->help : key->help, HELP_COLUMN, "",
		key_allowed(key, allowed, sizeof(allowed)));
	if (!initial)
		initial = key->initial;
	if (initial && initial[0])
		printf("; default: %s", initial);
	printf("%s\n", key_is_repeatable(key) ? "; repeatable" : "");
}

void rootlesskit_flags_print(void)
{
	const char *category = "";

	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (strcmp(category, flags[i].category) != 0)
			printf("%s  %s:\n", category[0] ? "\n" : "", flags[i].category);
		category = flags[i].category;
		print_flag(&flags[i]);
	}
}
