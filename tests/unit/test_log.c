// test_log.c: log records as text and as JSON, each one write.

#include "base/fd.h"
#include "base/log.h"
#include "base/log_limit.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int saved_stderr = -1;
static int pipe_in = -1;
static char text[8192];

// Puts a pipe in place of stderr.
static void capture(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	fd_close(&ends[1]);
	pipe_in = ends[0];
}

static const char *captured(void)
{
	dup2(saved_stderr, STDERR_FILENO); // the pipe's last writer goes: EOF
	fd_close(&saved_stderr);
	cr_assert_geq(fd_read_text(pipe_in, text, sizeof(text)), 0);
	fd_close(&pipe_in);
	return text;
}

Test(log, writes_text)
{
	log_init("prog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	capture();
	log_info("hello %d", 1);
	log_debug("hidden");
	log_error("bad");
	cr_assert_str_eq(captured(), "prog: info: hello 1\nprog: error: bad\n");
}

Test(log, writes_failures_with_their_hint)
{
	struct rk_error e;

	error_set(&e, 1, "it failed");
	error_hint(&e, "mend it");
	log_init("prog", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	capture();
	log_failure(&e);
	cr_assert_str_eq(captured(), "prog: error: it failed (mend it)\n");
}

// The record as a JSON reader sees it; free with cJSON_Delete().
static cJSON *parse_one_line(const char *record)
{
	cJSON *json = cJSON_Parse(record);

	cr_assert(json, "no JSON: %s", record);
	cr_assert_eq(strchr(record, '\n'), record + strlen(record) - 1, "one line");
	return json;
}

Test(log, writes_json_that_a_reader_takes_back)
{
	const char *nasty = "quote \" slash \\ tab \t bell \a newline \n end";
	cJSON *json;

	log_init("prog", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	capture();
	log_debug("%s", nasty);
	json = parse_one_line(captured());
	cr_assert_str_eq(cJSON_GetObjectItem(json, "message")->valuestring, nasty);
	cr_assert_str_eq(cJSON_GetObjectItem(json, "level")->valuestring, "debug");
	cr_assert_str_eq(cJSON_GetObjectItem(json, "program")->valuestring, "prog");
	cr_assert_eq(cJSON_GetObjectItem(json, "pid")->valueint, getpid());
	cJSON_Delete(json);
}

// JSON is UTF-8 (RFC 8259), whatever a path or the words of a program are.
Test(log, writes_json_of_nothing_but_utf8)
{
	cJSON *json;

	log_init("prog", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	capture();
	log_info("%s",
		"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80|\xff|\xc3|\xe2\x82|\xc0\x80|\xed\xa0\x80|"
		"\xf4\x90\x80\x80|\x80");
	json = parse_one_line(captured());
	cr_assert_str_eq(cJSON_GetObjectItem(json, "message")->valuestring,
		"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80|?|?|??|??|???|????|?");
	cJSON_Delete(json);
}

Test(log, keeps_json_whole_when_the_message_is_too_long)
{
	char large[4000];

	memset(large, '\1', sizeof(large) - 1); // each becomes six bytes
	large[sizeof(large) - 1] = '\0';
	log_init("prog", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	capture();
	log_info("%s", large);
	cJSON_Delete(parse_one_line(captured()));
}

Test(log, ends_a_long_text_line)
{
	char large[8000];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	log_init("prog", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	capture();
	log_info("%s", large);
	captured();
	cr_assert_eq(text[strlen(text) - 1], '\n');
}

Test(log_limit, passes_one_line_in_a_while_and_counts_the_others)
{
	struct rk_log_limit limit = {0};
	uint64_t left_out = 99;

	cr_assert(log_limit_pass(&limit, 5, &left_out));
	cr_assert_eq(left_out, 0);
	cr_assert_not(log_limit_pass(&limit, 5, &left_out));
	cr_assert_not(log_limit_pass(&limit, 5 + LOG_LIMIT_REST_MS - 1, &left_out));
	cr_assert(log_limit_pass(&limit, 5 + LOG_LIMIT_REST_MS, &left_out));
	cr_assert_eq(left_out, 2);
	cr_assert_not(log_limit_pass(&limit, 6 + LOG_LIMIT_REST_MS, &left_out));
	cr_assert(log_limit_pass(&limit, 5 + 3 * LOG_LIMIT_REST_MS, &left_out));
	cr_assert_eq(left_out, 1);
}
