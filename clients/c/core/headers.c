/* SPDX-License-Identifier: Apache-2.0 */
/* Headers as MessagePack maps, and the check for options of later versions. */

#include "base/buffer.h"
#include "base/text.h"
#include "clients/c/core/core.h"

static int refuse(ferry_error *reterr, const char *problem) {
    return error_set(reterr, "ferry.Misuse", "headers: %s", problem);
}

static int check_header(const ferry_header *headers, size_t i, ferry_error *reterr) {
    const ferry_header *header = &headers[i];

    if (!header->name || !*header->name || !header->value)
        return refuse(reterr, "a name is empty, or a value is NULL");
    if (!text_is_utf8(header->name, strlen(header->name)) ||
        !text_is_utf8(header->value, strlen(header->value)))
        return refuse(reterr, "a name or a value is not UTF-8");
    /* Refuse duplicate names: one peer may use the first value, and another peer the second. */
    for (size_t j = 0; j < i; j++)
        if (strcmp(headers[j].name, header->name) == 0)
            return refuse(reterr, "a name occurs twice");
    return 0;
}

static bool is_given(size_t n, const ferry_header *headers, Span key) {
    for (size_t i = 0; i < n; i++)
        if (span_is(key, headers[i].name))
            return true;
    return false;
}

int headers_write(Buffer *to, Span inherited, size_t n, const ferry_header *headers,
                  ferry_error *reterr) {
    uint32_t left, total = (uint32_t)n;
    size_t start = to->len;
    Span key;
    int r = 0;

    if (n > 0 && !headers)
        return refuse(reterr, "n_headers is not 0, but headers is NULL");
    if (n > WIRE_HEADERS_MAX)
        return refuse(reterr, "more than 64 headers");
    for (size_t i = 0; r == 0 && i < n; i++)
        r = check_header(headers, i, reterr);
    if (r < 0)
        return r;

    Reader pairs = pairs_of(inherited, &left);

    for (Reader count = pairs; pairs_next(&count, &left, &key); reader_value(&count))
        total += !is_given(n, headers, key);
    if (total > WIRE_HEADERS_MAX)
        return refuse(reterr, "more than 64 headers");
    if (total == 0)
        return 0;
    write_map(to, total);
    pairs = pairs_of(inherited, &left);
    while (pairs_next(&pairs, &left, &key)) {
        Span value = reader_value(&pairs);

        /* A header of the call replaces an inherited one. */
        if (is_given(n, headers, key))
            continue;
        write_str(to, key.data, key.len);
        write_raw(to, value);
    }
    for (size_t i = 0; i < n; i++) {
        write_text(to, headers[i].name);
        write_text(to, headers[i].value);
    }
    if (to->failed)
        return error_set_code(reterr, -ENOMEM, NULL);
    if (to->len - start > WIRE_HEADERS_BYTES)
        return refuse(reterr, "more than 16 KiB in all");
    return 0;
}

int reserved_check(const uint64_t *reserved, size_t n, ferry_error *reterr) {
    for (size_t i = 0; i < n; i++)
        if (reserved[i] != 0)
            return error_set(
                reterr, "ferry.Misuse",
                "a reserved field of the options is not 0: set the options to 0 first, "
                "or use a newer library");
    return 0;
}
