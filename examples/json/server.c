/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text to MessagePack, and back. */

#include <stdlib.h>

#include "json.h"
#include "server.h"
#include "text.h"

/* Converts a position in octets to character, line and column. */
typedef struct Place {
    int64_t position;
    int32_t line, column;
} Place;

static Place place_of(const char *text, size_t at) {
    Place place = {0, 1, 1};

    for (size_t i = 0; i < at; i++) {
        if ((text[i] & 0xc0) == 0x80)
            continue;
        place.position++;
        place.column++;
        if (text[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

static int malformed(ferry_request *request, const char *text, const JsonError *error) {
    Place place = place_of(text, error->at);
    char message[128];

    snprintf(message, sizeof(message), "%s: line %d column %d (char %lld)", error->reason,
             place.line, place.column, (long long)place.position);
    return json_throw_malformed(request, &(json_malformed){place.position, place.line, place.column,
                                                           error->reason, message});
}

static int number_too_large(ferry_request *request, const char *text, const JsonError *error) {
    char number[64], message[128];

    snprintf(number, sizeof(number), error->len < 60 ? "%.*s" : "%.*s…",
             (int)(error->len < 60 ? error->len : 56), text + error->at);
    snprintf(message, sizeof(message), "%s does not fit in 64 bits", number);
    return json_throw_number_too_large(
        request, &(json_number_too_large){number, place_of(text, error->at).position, message});
}

static int too_deep(ferry_request *request, int64_t position) {
    return json_throw_too_deep(
        request, &(json_too_deep){position, JSON_LEVELS, "more than 32 levels inside each other"});
}

static int loads(ferry_request *request, const char *text, void *ctx) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *packer = ferry_packer_new();
    JsonError error;
    int r = packer ? text_to_packed(text, packer, &error) : -ENOMEM;

    (void)ctx;
    switch (r) {
    case 0:
        return json_loads_return(request, ferry_packer_bytes(packer));
    case JSON_MALFORMED:
        return malformed(request, text, &error);
    case JSON_NUMBER:
        return number_too_large(request, text, &error);
    case JSON_TOO_DEEP:
        return too_deep(request, place_of(text, error.at).position);
    default:
        return r;
    }
}

static int dumps(ferry_request *request, ferry_bytes value, bool ensure_ascii, void *ctx) {
    char message[96], *text = NULL;
    JsonError error;
    int r = packed_to_text(value, ensure_ascii, &text, &error);

    (void)ctx;
    if (r == JSON_TOO_DEEP)
        return too_deep(request, (int64_t)error.at);
    if (r == JSON_NOT_JSON) {
        snprintf(message, sizeof(message), "JSON has no way to say %s, at octet %zu", error.reason,
                 error.at);
        return json_throw_not_json(request,
                                   &(json_not_json){(int64_t)error.at, error.reason, message});
    }
    if (r == 0)
        r = json_dumps_return(request, text);
    free(text);
    return r;
}

int json_start(ferry_client *client, ferry_error *reterr) {
    static const json_handlers handlers = {.loads = loads, .dumps = dumps};

    return json_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
