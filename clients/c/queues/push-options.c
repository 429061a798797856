/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a push. See push-options.h. */

#include "clients/c/queues/push-options.h"

enum { PRIORITY_MAX = 9, KEY_MAX = 255 };

static int check(const ferry_push_options *options, ferry_error *reterr) {
    if (options->priority > PRIORITY_MAX)
        return error_set(reterr, "ferry.Misuse", "priority is %u: it must be 0 to 9",
                         options->priority);
    if (options->key && (!*options->key || strlen(options->key) > KEY_MAX))
        return error_set(reterr, "ferry.Misuse", "the key is empty, or longer than 255 bytes");
    if (options->ordering_key &&
        (!*options->ordering_key || strlen(options->ordering_key) > KEY_MAX))
        return error_set(reterr, "ferry.Misuse",
                         "the ordering key is empty, or longer than 255 bytes");
    if (options->unique > 1 || (options->unique && !options->key))
        return error_set(reterr, "ferry.Misuse",
                         "unique is %u: it must be 0, or 1 together with a key", options->unique);
    if (options->at_ms && options->delay_ms)
        return error_set(reterr, "ferry.Misuse",
                         "at_ms and delay_ms are both set: set one of them");
    return reserved_check(options->reserved, sizeof(options->reserved) / sizeof(uint64_t), reterr);
}

int push_options_write(Buffer *scratch, const ferry_push_options *options, Span *ret_options,
                       Span *headers, ferry_error *reterr) {
    unsigned n = (options->key != NULL) + (options->ordering_key != NULL) + (options->unique > 0) +
                 (options->at_ms > 0) + (options->delay_ms > 0) + (options->ttl_ms > 0) +
                 (options->priority > 0);
    size_t len;
    int r = check(options, reterr);

    if (r < 0)
        return r;
    if (n > 0)
        write_map(scratch, n);
    if (options->key) {
        write_text(scratch, "key");
        write_text(scratch, options->key);
    }
    if (options->ordering_key) {
        write_text(scratch, "order");
        write_text(scratch, options->ordering_key);
    }
    write_nonzero_pair(scratch, "unique", options->unique);
    write_nonzero_pair(scratch, "at", options->at_ms);
    write_nonzero_pair(scratch, "delay", options->delay_ms);
    write_nonzero_pair(scratch, "ttl", options->ttl_ms);
    write_nonzero_pair(scratch, "priority", options->priority);
    len = scratch->len;
    if (options->n_headers > 0) {
        r = headers_write(scratch, *headers, options->n_headers, options->headers, reterr);
        if (r < 0)
            return r;
    }
    if (scratch->failed)
        return error_set_code(reterr, -ENOMEM, NULL);
    /* Take the address last: the buffer may have moved while it grew. */
    *ret_options = span_of(scratch->data, len);
    if (options->n_headers > 0)
        *headers = span_of(scratch->data + len, scratch->len - len);
    return 0;
}
