/* SPDX-License-Identifier: Apache-2.0 */
/* The layer that uses libcurl. */

#include <curl/curl.h>
#include <netdb.h>
#include <stdlib.h>

#include "fetch.h"

static CURL *curl; /* keeps its connections from one request to the next */

static size_t on_header(char *data, size_t size, size_t n, void *ctx) {
    Fetch *fetch = ctx;

    if (size * n > 5 && memcmp(data, "HTTP/", 5) == 0)
        fetch->head.len = 0; /* after 100 Continue, the actual response follows */
    if (fetch->head.len + size * n > FETCH_HEAD_MAX || !fetch_add(&fetch->head, data, size * n))
        return 0;
    return size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx) {
    Fetch *fetch = ctx;

    if (fetch->body.len + size * n > fetch->limit) {
        fetch_fail(fetch, FETCH_TOO_LARGE, "the body is larger than %zu bytes", fetch->limit);
        return 0;
    }
    return fetch_add(&fetch->body, data, size * n) ? size * n : 0;
}

static int on_debug(CURL *handle, curl_infotype type, char *data, size_t len, void *ctx) {
    Fetch *fetch = ctx;

    (void)handle;
    if (type == CURLINFO_HEADER_OUT && fetch->request.len + len < FETCH_HEAD_MAX)
        fetch_add(&fetch->request, data, len);
    return 0;
}

static void set_up(Fetch *fetch, struct curl_slist *headers, char *why) {
    const char *authority = getenv("WEBGET_AUTHORITY");

    curl_easy_reset(curl); /* the connections stay */
    curl_easy_setopt(curl, CURLOPT_URL, fetch->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)fetch->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_debug);
    curl_easy_setopt(curl, CURLOPT_DEBUGDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    if (authority)
        curl_easy_setopt(curl, CURLOPT_CAINFO, authority);
}

static bool explain(Fetch *fetch, CURLcode code, const char *why) {
    long error = 0;

    why = *why ? why : curl_easy_strerror(code);
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    fetch->error = code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : (int)error;
    fetch->gai = code == CURLE_COULDNT_RESOLVE_HOST ? EAI_NONAME : 0;
    fetch->offset = -1;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return fetch_fail(fetch, FETCH_UNREACHABLE, "%s", why);
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        fetch_read_head(fetch);
        return fetch_fail(fetch, FETCH_TRUNCATED, "%s", why);
    case CURLE_WRITE_ERROR:
        return fetch->failure ? false : fetch_fail(fetch, FETCH_NO_MEMORY, "out of memory");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
        return fetch_fail(fetch, FETCH_TLS, "%s", why);
    default:
        return fetch_fail(fetch, FETCH_MALFORMED, "%s", why);
    }
}

bool fetch_by_library(Fetch *fetch, webget_connections *count) {
    struct curl_slist *headers = curl_slist_append(NULL, "User-Agent: ferry-webget");
    char why[CURL_ERROR_SIZE] = "";
    long opened = 0;
    CURLcode code;

    if (!curl)
        curl = curl_easy_init();
    if (!curl || !headers) {
        curl_slist_free_all(headers);
        return fetch_fail(fetch, FETCH_NO_MEMORY, "out of memory");
    }
    set_up(fetch, headers, why);
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &opened);
    count->requests++;
    count->opened += opened;
    count->reused += opened == 0 && code == CURLE_OK;
    fetch->reused = opened == 0;
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return explain(fetch, code, why);
    return fetch_read_head(fetch);
}

void library_hang_up(void) {
    curl_easy_cleanup(curl);
    curl = NULL;
}
