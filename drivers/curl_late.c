// curl_late.c: libcurl for drivers, loaded when the first of them needs it.

#include "drivers/curl_late.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define CURL_LATE_FILE "libcurl.so.4"

static const struct {
	const char *name;
	size_t member;
} functions[] = {
	{"curl_easy_init", offsetof(struct curl_late, init)},
	{"curl_easy_setopt", offsetof(struct curl_late, setopt)},
	{"curl_easy_perform", offsetof(struct curl_late, perform)},
	{"curl_easy_getinfo", offsetof(struct curl_late, getinfo)},
	{"curl_easy_strerror", offsetof(struct curl_late, strerror)},
	{"curl_easy_cleanup", offsetof(struct curl_late, cleanup)},
};

static int fail(struct rk_error *e)
{
	const char *reason = dlerror();

	error_set(e, ELIBACC, "%s", reason ? reason : CURL_LATE_FILE " cannot be loaded");
	return error_hint(e, "this driver needs libcurl (Debian's package libcurl4)");
}

static int load(struct curl_late *curl, struct rk_error *e)
{
	void *library = dlopen(CURL_LATE_FILE, RTLD_NOW | RTLD_LOCAL);
	void *symbol;

	if (!library)
		return fail(e);
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		symbol = dlsym(library, functions[i].name);
		if (!symbol) {
			fail(e);
			dlclose(library);
			return -ELIBACC;
		}
		memcpy((char *)curl + functions[i].member, &symbol, sizeof(symbol));
	}
	return 0;
}

const struct curl_late *curl_late_load(struct rk_error *e)
{
	static struct curl_late curl;
	struct curl_late loaded;

	if (curl.init)
		return &curl;
	if (load(&loaded, e) < 0)
		return NULL;
	curl = loaded;
	return &curl;
}
