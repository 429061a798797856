/* SPDX-License-Identifier: Apache-2.0 */

/* Calls of methods by their names. See ferry/call.h. */

#include <stdarg.h>

#include "clients/c/calls/call.h"
#include "clients/c/core/client.h"
#include "clients/c/core/names.h"
#include "clients/c/core/pack-format.h"

static int named(ferry_client *client, const char *method, ferry_bytes args, CallSpec *ret,
                 ferry_error *reterr) {
    int r = client_check(client, reterr);
    const CachedName *name;

    if (r < 0)
        return r;
    name = names_find_method(client->core->names, method, reterr);
    if (!name)
        return -EINVAL;
    *ret = (CallSpec){.service = name_service(name), .method = name_method(name), .args = args};
    if (!args.data && args.len > 0)
        return error_set(reterr, "ferry.Misuse", "args.data is NULL, but args.len is not 0");
    return 0;
}

int ferry_call(ferry_client *client, const char *method, ferry_bytes args, ferry_reply **ret,
               ferry_error *reterr) {
    CallSpec spec;
    int r = named(client, method, args, &spec, reterr);

    return r < 0 ? r : call_run(client, &spec, ret, reterr);
}

int ferry_call_async(ferry_client *client, const char *method, ferry_bytes args, ferry_reply_fn fn,
                     void *ctx, ferry_error *reterr) {
    CallSpec spec;
    int r = fn ? named(client, method, args, &spec, reterr)
               : error_set(reterr, "ferry.Misuse", "the callback is NULL");

    if (r < 0)
        return r;
    spec.fn = (AnyFn)fn;
    spec.ctx = ctx;
    return call_start(client, &spec, reterr);
}

int ferry_callf(ferry_client *client, const char *method, ferry_reply **ret, ferry_error *reterr,
                const char *format, ...) {
    CLEANUP(buffer_deinit) Buffer packed = {0};
    va_list args;
    int r;

    va_start(args, format);
    r = format_pack(&packed, format, args, reterr);
    va_end(args);
    if (r < 0)
        return r;
    return ferry_call(client, method, ferry_bytes_of(packed.data, packed.len), ret, reterr);
}
