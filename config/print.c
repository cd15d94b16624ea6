// print.c: the key table as an INI file, as the text of --help, and as Markdown.

#include "config/config.h"
#include "config/keys.h"
#include "config/value.h"

#include <string.h>

#define HELP_COLUMN 24 // where the text behind the name of a key starts
#define HELP_WIDTH  96

void config_print(const struct rk_config *config, FILE *out)
{
	const char *section = "";

	for (const struct rk_key *key = rk_keys; key->name; key++) {
		size_t count = value_count(config, key);

		if (strcmp(section, key->section) != 0)
			fprintf(out, "%s[%s]\n", section[0] ? "\n" : "", key->section);
		section = key->section;
		if (count == 0)
			fprintf(out, "# %s =\n", key->name);
		for (size_t i = 0; i < count; i++) {
			fprintf(out, "%s = ", key->name);
			value_write(config, key, i, out);
			fputc('\n', out);
		}
	}
}

// What stands for the default: its text, or a word for "none at all".
static const char *key_default(const struct rk_key *key)
{
	if (!key->initial)
		return "none";
	return key->initial[0] ? key->initial : "empty";
}

// Writes `text` behind column HELP_COLUMN, broken at blanks.
static void help_write_text(const char *text, FILE *out)
{
	size_t column = HELP_COLUMN;

	while (*text) {
		size_t length = strcspn(text, " ");

		if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
			fprintf(out, "\n%*s", HELP_COLUMN, "");
			column = HELP_COLUMN;
		}
		if (column > HELP_COLUMN) {
			fputc(' ', out);
			column++;
		}
		fwrite(text, 1, length, out);
		column += length;
		text += length + (text[length] == ' ');
	}
	fputc('\n', out);
}

static void help_write_key(const struct rk_key *key, FILE *out)
{
	char allowed[RK_KEY_ALLOWED_MAX];

	fprintf(out, "  %-*s", HELP_COLUMN - 2, key->name);
	help_write_text(key->help, out);
	fprintf(out, "%*sAllowed: %s; default: %s%s\n", HELP_COLUMN, "",
		key_allowed(key, allowed, sizeof(allowed)), key_default(key),
		key_is_repeatable(key) ? "; repeatable" : "");
}

void config_print_help(FILE *out)
{
	fputs("Settings: [section] key = value in the file of -c, or on the command line\n"
	      "--section.key=value or -o section.key=value, which win over the file.\n",
		out);
	for (const struct rk_section *section = rk_sections; section->name; section++) {
		fprintf(out, "\n[%s] %s\n", section->name, section->help);
		for (const struct rk_key *key = rk_keys; key->name; key++) {
			if (strcmp(key->section, section->name) == 0)
				help_write_key(key, out);
		}
	}
}

static const char markdown_head[] =
	"# Configuration\n"
	"\n"
	"This page is made from the key table in `config/keys.c`; a unit test compares the two.\n"
	"`config/rootless.ini` is an example to start from, `rk-engine --print-config` shows what "
	"is\n"
	"in force, and `rk-engine --check -c FILE` validates a file and exits.\n"
	"\n"
	"## The file\n"
	"\n"
	"    [section]\n"
	"    key = value\n"
	"\n"
	"- A comment is a line that starts with `#` or `;`. Behind a value there is none: "
	"everything\n"
	"  after the `=` is the value, without the blanks at its ends, so `command = sh -c \"a; "
	"b\"`\n"
	"  needs no quoting. A value does not go on in the next line.\n"
	"- A section may be opened again. A key stands at most once in a file unless it is\n"
	"  repeatable; a repeatable key adds one value a line.\n"
	"- Durations have a unit: `500ms`, `180s`, `3m`, `1h`.\n"
	"- A line has at most 4095 bytes, a value 4000, the file 1 MiB.\n"
	"- A mistake is reported as `FILE:LINE: [section] key: what is wrong, allowed: ...`, and\n"
	"  nothing is started.\n"
	"\n"
	"## The command line\n"
	"\n"
	"`--section.key=value` and `-o section.key=value` set one key and win over the file given\n"
	"with `-c FILE`, wherever it stands. A repeatable key adds to what the file has; of any "
	"other\n"
	"key given twice the last one counts. A key whose values are true and false may stand "
	"alone:\n"
	"`--network.ipv6` is `--network.ipv6=true`.\n"
	"\n"
	"## The keys\n";

static void markdown_write_key(const struct rk_key *key, FILE *out)
{
	char allowed[RK_KEY_ALLOWED_MAX];

	fprintf(out, "| `%s` | %s%s%s | ", key->name, key->type == KEY_PORTS ? "`" : "",
		key_allowed(key, allowed, sizeof(allowed)), key->type == KEY_PORTS ? "`" : "");
	if (key->initial && key->initial[0])
		fprintf(out, "`%s`", key->initial);
	else
		fputs(key_default(key), out);
	fprintf(out, " | %s%s |\n", key->help, key_is_repeatable(key) ? " Repeatable." : "");
}

void config_print_markdown(FILE *out)
{
	fputs(markdown_head, out);
	for (const struct rk_section *section = rk_sections; section->name; section++) {
		fprintf(out,
			"\n### [%s]\n\n%s\n\n| key | allowed | default | meaning "
			"|\n|---|---|---|---|\n",
			section->name, section->help);
		for (const struct rk_key *key = rk_keys; key->name; key++) {
			if (strcmp(key->section, section->name) == 0)
				markdown_write_key(key, out);
		}
	}
}
