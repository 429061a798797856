/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that strangers send to the HTTP side. The first byte chooses: 0, a path; 1, the headers
 * with the origin of a request, one per line; 2, an Authorization header; else, an answer of the
 * broker that is shaped for browsers.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "clients/json/value.h"
#include "clients/web/core/core.h"
#include "clients/web/http/guard.h"
#include "clients/web/http/path.h"
#include "clients/web/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_path(const char *text) {
    Path path;

    if (path_split(text, &path))
        return;
    if (path.n > PATH_PARTS_MAX)
        abort();
    for (size_t i = 0; i < path.n; i++)
        if (!text_is_utf8(path.parts[i], strlen(path.parts[i])))
            abort();
    path_matches(&path, "/api/queues/NAME/jobs");
    if (path_matches(&path, "/FILE") && path.n != 1)
        abort();
}

/* An allowed request comes from this host, or has no origin. */
static void check_guard(char *text) {
    static const GuardNames names = {NULL, 0, "http"};
    const char *lines[4] = {NULL}, *why = NULL;
    char origin[300];
    unsigned status;

    for (size_t i = 0; i < 4 && text; i++)
        lines[i] = strsep(&text, "\n");
    for (unsigned bits = 0; bits < 8; bits++) {
        status = guard_check(&(GuardRequest){.host = lines[0],
                                             .origin = lines[1],
                                             .fetch_site = lines[2],
                                             .content_type = lines[3],
                                             .is_read = bits & 1,
                                             .takes_bytes = bits & 2,
                                             .is_action = bits & 4},
                             &names, &why);
        if (status && !why)
            abort();
        if (status || !lines[1])
            continue;
        snprintf(origin, sizeof(origin), "http://%s", lines[0]);
        if (strcasecmp(origin, lines[1]) != 0)
            abort();
    }
}

static void check_token(const char *text) {
    static char name[] = "a", secret[] = "0123456789abcdef";
    static const Tokens tokens = {.n = 1, .v = {{name, secret, NULL}}};

    if (tokens_find(&tokens, text) && strncasecmp(text, "Basic ", 6) != 0 &&
        strcmp(text + 7, secret) != 0)
        abort();
}

/* Shaping a shaped answer changes nothing. */
static void check_present(const uint8_t *data, size_t size) {
    json_t *json = NULL, *again;

    if (value_to_json(ferry_bytes_of(data, size), &json, NULL) < 0)
        return;
    json = present_integers(json);
    again = present_integers(json_deep_copy(json));
    if (!json_equal(json, again))
        abort();
    json_decref(again);
    present(json);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text;

    if (size < 1 || size > 4096)
        return 0;
    text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (*data == 0)
        check_path(text);
    else if (*data == 1)
        check_guard(text);
    else if (*data == 2)
        check_token(text);
    else
        check_present(data + 1, size - 1);
    free(text);
    return 0;
}
