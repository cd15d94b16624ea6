// curl_late.h: libcurl for drivers, loaded when the first of them needs it.
//
// With the libraries that it needs itself it makes a process three megabytes larger; most engines
// never ask an HTTP server anything. The members are libcurl's functions of the same name without
// "curl_easy_"; its types and options come from its own header.
#pragma once

#include "base/error.h"

#include <curl/curl.h>

struct curl_late {
	CURL *(*init)(void);
	CURLcode (*setopt)(CURL *curl, CURLoption option, ...);
	CURLcode (*perform)(CURL *curl);
	CURLcode (*getinfo)(CURL *curl, CURLINFO info, ...);
	const char *(*strerror)(CURLcode code);
	void (*cleanup)(CURL *curl);
};

// The same table each time; it lives as long as the process. Call it before the process gives up
// its rights, because files are opened. NULL with -ELIBACC when the library cannot be loaded.
const struct curl_late *curl_late_load(struct rk_error *e);
