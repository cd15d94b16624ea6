// main.c: rootlessctl's command line: global options, a command, its options and words.
//
// How it works: options follow the conventions of RootlessKit's client (Go's flag package), which
// scripts rely on: one or two dashes, --name value or --name=value, booleans with =true or =false,
// the first word that is no option or "--" ends them.

#include "base/error.h"
#include "base/fd.h"
#include "engine/ctl/client.h"
#include "engine/ctl/commands.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_NO_COMMAND 3 // an unknown command, as upstream's client exits

struct options {
	const char *socket; // "" = by the environment
	bool debug;
	struct ctl_options command;
	bool help;
	bool version;
};

static void print_usage(FILE *out)
{
	fprintf(out, "Usage: rootlessctl [OPTION]... COMMAND [OPTION]... [WORD]...\n"
		     "\n"
		     "Talks to the control API of rk-engine or RootlessKit.\n"
		     "\n"
		     "Commands:\n");
	for (unsigned i = 0; i < ctl_command_count; i++)
		fprintf(out, "  %-13s  %s\n", ctl_commands[i].name, ctl_commands[i].summary);
	fprintf(out, "  %-13s  print this; with the name of a command, how it is used\n", "help");
	fprintf(out, "\n"
		     "Options:\n"
		     "  --socket PATH  the API's socket; default: $ROOTLESSKIT_STATE_DIR/api.sock\n"
		     "  --debug        show the HTTP exchange on stderr\n"
		     "  --help, -h     print this\n"
		     "  --version, -v  print the version\n");
}

static const char *option_usage(const struct ctl_command *command)
{
	if (command->takes & TAKES_PORT)
		return " [--json] [--port ID]";
	if (command->takes & TAKES_PACE)
		return " [-d SECONDS] [-n COUNT] [-b]";
	return command->takes & TAKES_JSON ? " [--json]" : "";
}

static void print_command_usage(FILE *out, const struct ctl_command *command)
{
	fprintf(out, "Usage: rootlessctl [--socket PATH] %s%s%s%s\n\n  %s\n", command->name,
		option_usage(command), command->arguments[0] ? " " : "", command->arguments,
		command->summary);
}

static int parse_bool(const char *name, const char *value, bool *out, struct rk_error *e)
{
	static const char *const words[][6] = {
		{"false", "0", "f", "F", "FALSE", "False"},
		{"true", "1", "t", "T", "TRUE", "True"},
	};

	for (size_t i = 0; i < 12 && value; i++) {
		if (strcmp(value, words[i / 6][i % 6]) != 0)
			continue;
		*out = i / 6;
		return 0;
	}
	if (value)
		return error_set(e, EINVAL, "--%s=%s: true or false is expected", name, value);
	*out = true;
	return 0;
}

static bool is_named(const char *option, const char *name)
{
	size_t length = strlen(name);

	return strncmp(option, name, length) == 0 &&
	       (option[length] == '\0' || option[length] == '=');
}

// Where the value of an option with one goes; NULL: no such option here.
static const char **text_option(
	struct options *options, const struct ctl_command *command, const char *option)
{
	if (!command)
		return is_named(option, "socket") ? &options->socket : NULL;
	if (command->takes & TAKES_PORT && is_named(option, "port"))
		return &options->command.port;
	if (command->takes & TAKES_PACE && is_named(option, "d"))
		return &options->command.delay;
	if (command->takes & TAKES_PACE && is_named(option, "n"))
		return &options->command.count;
	return NULL;
}

// Takes one option without its dashes. Returns the words it consists of, or -code.
static int take_option(struct options *options, const struct ctl_command *command,
	const char *option, const char *next, struct rk_error *e)
{
	const char *equals = strchr(option, '=');
	const char *value = equals ? equals + 1 : NULL;
	const char **text;
	int rc;

	if (is_named(option, "help") || is_named(option, "h"))
		rc = parse_bool("help", value, &options->help, e);
	else if (command && command->takes & TAKES_JSON && is_named(option, "json"))
		rc = parse_bool("json", value, &options->command.json, e);
	else if (!command && is_named(option, "debug"))
		rc = parse_bool("debug", value, &options->debug, e);
	else if (!command && (is_named(option, "version") || is_named(option, "v")))
		rc = parse_bool("version", value, &options->version, e);
	else if (command && command->takes & TAKES_PACE && is_named(option, "b"))
		rc = parse_bool("b", value, &options->command.batch, e);
	else if ((text = text_option(options, command, option))) {
		if (!value && !next)
			return error_set(e, EINVAL, "flag needs an argument: --%s", option);
		*text = value ? value : next;
		return value ? 1 : 2;
	} else {
		return error_set(e, EINVAL, "unknown option: --%s", option);
	}
	return rc < 0 ? rc : 1;
}

// Takes the options at the start of `words`; returns how many words they are, or -code.
static int take_options(struct options *options, const struct ctl_command *command, char **words,
	struct rk_error *e)
{
	int i = 0;

	while (words[i] && words[i][0] == '-' && words[i][1]) {
		const char *option = words[i] + (words[i][1] == '-' ? 2 : 1);
		int taken;

		if (!option[0])
			return i + 1;
		taken = take_option(options, command, option, words[i + 1], e);
		if (taken < 0)
			return taken;
		i += taken;
	}
	return i;
}

static const struct ctl_command *find_command(const char *name)
{
	for (unsigned i = 0; i < ctl_command_count; i++)
		if (strcmp(ctl_commands[i].name, name) == 0)
			return &ctl_commands[i];
	return NULL;
}

static int find_socket(const struct options *options, char *path, size_t size, struct rk_error *e)
{
	const char *state_dir = getenv("ROOTLESSKIT_STATE_DIR");
	int length;

	if (options->socket[0])
		length = snprintf(path, size, "%s", options->socket);
	else if (state_dir && state_dir[0])
		length = snprintf(path, size, "%s/api.sock", state_dir);
	else
		return error_set(
			e, EINVAL, "please specify --socket or set $ROOTLESSKIT_STATE_DIR");
	if (length < 0 || (size_t)length >= size)
		return error_set(e, ENAMETOOLONG, "the path of the socket is too long");
	return 0;
}

static int run_command(const struct ctl_command *command, struct options *options, char **words,
	struct rk_error *e)
{
	struct ctl_client *client;
	char path[PATH_MAX];
	int taken = take_options(options, command, words, e);
	int rc;

	if (taken < 0) {
		print_command_usage(stdout, command);
		return taken;
	}
	if (options->help) {
		print_command_usage(stdout, command);
		return 0;
	}
	rc = find_socket(options, path, sizeof(path), e);
	if (rc < 0)
		return rc;
	client = client_open(path, options->debug, e);
	if (!client)
		return -e->code;
	rc = command->run(client, words + taken, &options->command, e);
	client_close(client);
	return rc;
}

static int no_command(const char *name)
{
	fprintf(stderr, "error: no such command: %s\n", name);
	return EXIT_NO_COMMAND;
}

static int help(const char *topic)
{
	const struct ctl_command *command = topic ? find_command(topic) : NULL;

	if (topic && !command)
		return no_command(topic);
	if (command)
		print_command_usage(stdout, command);
	else
		print_usage(stdout);
	return EXIT_SUCCESS;
}

static int report(const struct rk_error *e)
{
	char line[sizeof(e->text) + sizeof(e->hint) + 8];

	fflush(stdout);
	fprintf(stderr, "error: %s\n", error_line(e, line, sizeof(line)));
	return EXIT_FAILURE;
}

static int run(int argc, char **argv)
{
	struct options options = {.socket = ""};
	const struct ctl_command *command;
	struct rk_error e = {0};
	int taken = argc > 0 ? take_options(&options, NULL, argv + 1, &e) : 0;
	char **words = argv + 1 + (taken > 0 ? taken : 0);

	if (taken < 0) {
		print_usage(stdout);
		return report(&e);
	}
	if (options.version) {
		printf("rootlessctl version %s\n", RK_VERSION);
		return EXIT_SUCCESS;
	}
	if (options.help || argc < 2 || !words[0])
		return help(NULL);
	if (strcmp(words[0], "help") == 0 || strcmp(words[0], "h") == 0)
		return help(words[1]);
	command = find_command(words[0]);
	if (!command)
		return no_command(words[0]);
	return run_command(command, &options, words + 1, &e) < 0 ? report(&e) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);
	int rc = fd_flush_output();
	struct rk_error e;

	if (rc == 0 || status != EXIT_SUCCESS)
		return status;
	error_errno(&e, -rc, "standard output");
	return report(&e);
}
