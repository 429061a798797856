/* SPDX-License-Identifier: Apache-2.0 */
/* Items of a stream, from lines of JSON. See items.h. */

#include "clients/web/gateway/items.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "clients/json/value.h"

ferry_bytes items_first_line(ferry_bytes body, ferry_bytes *ret_rest) {
    const char *text = body.data, *end = memchr(text, '\n', body.len);
    size_t len = end ? (size_t)(end - text) : body.len, rest = end ? len + 1 : len;

    *ret_rest = ferry_bytes_of(text + rest, body.len - rest);
    return ferry_bytes_of(text, len);
}

static bool is_empty(ferry_bytes line) {
    const char *text = line.data;

    for (size_t i = 0; i < line.len; i++)
        if (!strchr(" \t\r", text[i]) || text[i] == '\0')
            return false;
    return true;
}

/* Appends one item. what: "line 3". */
static int pack_one(const ferry_type *type, ferry_bytes line, const char *what, Buffer *to,
                    ferry_error *reterr) {
    CLEANUP(json_decref) json_t *json = NULL;
    CLEANUP(buffer_deinit) Buffer loose = {0};
    ferry_bytes item = {NULL, 0, NULL};
    int r = value_parse(line.data, line.len, what, &json, reterr);

    if (r == 0)
        r = value_from_json(json, &loose, reterr);
    item = ferry_bytes_of(loose.data, loose.len);
    if (r == 0 && type)
        r = ferry_value_convert(type, item, what, &item, reterr);
    if (r == 0) {
        buffer_append(to, &(uint32_t){(uint32_t)item.len}, sizeof(uint32_t));
        buffer_append(to, item.data, item.len);
    }
    ferry_free(item.block);
    return r;
}

int items_pack(const ferry_type *type, ferry_bytes lines, ItemQueue *items, ferry_error *reterr) {
    unsigned n = 1;
    char what[24];
    int r = 0;

    while (r == 0 && lines.len > 0) {
        ferry_bytes line = items_first_line(lines, &lines);

        snprintf(what, sizeof(what), "line %u", ++n);
        if (!is_empty(line))
            r = pack_one(type, line, what, &items->packed, reterr);
        if (r == 0 && items->packed.len > ITEMS_BYTES_MAX)
            r = error_set(reterr, "ferry.TooBig", "the items of a request have at most 8 MiB");
    }
    return r == 0 && items->packed.failed ? error_set_code(reterr, -ENOMEM, NULL) : r;
}

void items_send(ItemQueue *items, ferry_stream *stream) {
    int r = 0;

    while (r == 0 && items->at < items->packed.len) {
        const uint8_t *next = items->packed.data + items->at;
        uint32_t len;

        memcpy(&len, next, sizeof(len));
        r = ferry_stream_send(stream, ferry_bytes_of(next + sizeof(len), len), NULL);
        if (r == 0)
            items->at += sizeof(len) + len;
    }
    /* An error of the stream comes with its next item or its end. */
    if (r == 0 && !items->is_ended)
        items->is_ended = ferry_stream_end(stream, NULL) == 0;
}

void items_deinit(ItemQueue *items) {
    buffer_deinit(&items->packed);
}
