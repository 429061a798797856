/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the URL of a cache: taken apart, or refused with a cause. */

#include <stdlib.h>
#include <string.h>

#include "cache/connection/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ferry_error error = FERRY_ERROR_INIT;
    char *text = malloc(size + 1);
    CacheUrl url;
    int r;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    r = cache_url_parse(text, &url, &error);
    if (r < 0 && !error.message)
        abort();
    if (r >= 0 && url.kind != CACHE_URL_MEMORY && (url.n_hosts == 0 || !url.hosts[0].name[0]))
        abort();
    ferry_error_clear(&error);
    if (r >= 0)
        cache_url_deinit(&url);
    free(text);
    return 0;
}
