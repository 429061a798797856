/* SPDX-License-Identifier: Apache-2.0 */

/* The description of a running service, and conversion of its values from and to text. See
 * ferry/schema.h. */

#include <stdlib.h>

#include "base/block.h"
#include "clients/c/core/core.h"
#include "rpc/schema/description/description.h"
#include "rpc/schema/text/text.h"
#include "rpc/wire/name.h"
#include "rpc/wire/writer.h"

/* ---- the broker's answer ---- */

/* Write positions in the block. The order is: description, instances, texts. */
typedef struct Pieces {
    ferry_description *description;
    ferry_instance *instances;
    char *at; /* the next text; its NUL takes the place of the encoded head */
} Pieces;

static const char *put_text(Pieces *pieces, Span text) {
    char *to = pieces->at;

    if (text.len > 0)
        memcpy(to, text.data, text.len);
    to[text.len] = '\0';
    pieces->at += text.len + 1;
    return to;
}

static void read_instance(Pieces *pieces, Reader *in, ferry_instance *to) {
    *to = (ferry_instance){.name = "", .client = ""};
    for (uint32_t n = reader_map(in); n > 0 && !in->problem; n--) {
        Span key = reader_str(in);

        if (span_is(key, "instance"))
            to->name = put_text(pieces, reader_str(in));
        else if (span_is(key, "client"))
            to->client = put_text(pieces, reader_str(in));
        else if (span_is(key, "session"))
            to->session = reader_uint(in);
        else if (span_is(key, "slots"))
            to->slots = (uint32_t)reader_uint(in);
        else if (span_is(key, "busy"))
            to->busy = (uint32_t)reader_uint(in);
        else if (span_is(key, "ready"))
            to->is_ready = reader_bool(in);
        else if (span_is(key, "ejected"))
            to->is_ejected = reader_bool(in);
        else
            reader_value(in);
    }
}

static void read_answer(Pieces *pieces, Reader *in, size_t max_instances) {
    ferry_description *d = pieces->description;

    for (uint32_t n = reader_map(in); n > 0 && !in->problem; n--) {
        Span key = reader_str(in);

        if (span_is(key, "instances")) {
            uint32_t left = reader_array(in);

            if (d->n_instances > 0 || left > max_instances) {
                reader_fail(in, "too many instances");
                return;
            }
            for (; left > 0 && !in->problem; left--)
                read_instance(pieces, in, &pieces->instances[d->n_instances++]);
        } else if (span_is(key, "description") && !reader_nil(in)) {
            Span bytes = reader_bin(in);

            d->bytes = ferry_bytes_of(bytes.data, bytes.len);
        } else if (!span_is(key, "description")) {
            reader_value(in);
        }
    }
}

/* Counts the instances in the answer, to compute the size of the block. */
static uint32_t count_instances(Span body) {
    Reader in = reader_of(body.data, body.len);

    for (uint32_t n = reader_map(&in); n > 0 && !in.problem; n--) {
        if (span_is(reader_str(&in), "instances"))
            return reader_array(&in);
        reader_value(&in);
    }
    return 0;
}

/* Makes the block, without the tables. The bytes of the description lie at its end. */
static int read_description(const char *service, Span body, const void *tables, const char *problem,
                            ferry_description **ret, ferry_error *reterr) {
    uint32_t n = count_instances(body);
    size_t names = strlen(service) + 1 + (problem ? strlen(problem) + 1 : 0);
    size_t size = sizeof(ferry_description) + n * sizeof(ferry_instance) + names + 2 * body.len;
    ferry_description *d = block_new_around(size, tables);
    Reader in = reader_of(body.data, body.len);
    Pieces pieces;

    if (!d)
        return error_set_code(reterr, -ENOMEM, NULL);
    *d = (ferry_description){.service = tables};
    pieces = (Pieces){d, (ferry_instance *)(d + 1), (char *)(d + 1) + n * sizeof(ferry_instance)};
    d->name = put_text(&pieces, span_text(service));
    if (problem)
        d->problem = put_text(&pieces, span_text(problem));
    read_answer(&pieces, &in, n);
    d->instances = pieces.instances;
    if (d->bytes.len > 0)
        d->bytes.data = memcpy(pieces.at, d->bytes.data, d->bytes.len);
    if (in.problem) {
        /* Return the ownership of the tables to the caller. */
        block_swap_inner(d, NULL);
        ferry_free(d);
        return error_set(reterr, "ferry.Protocol",
                         "the broker's answer about '%s' is malformed: %s", service, in.problem);
    }
    *ret = d;
    return 0;
}

static Span bytes_in(Span body) {
    Reader in = reader_of(body.data, body.len);

    for (uint32_t n = reader_map(&in); n > 0 && !in.problem; n--) {
        if (!span_is(reader_str(&in), "description"))
            reader_value(&in);
        else if (!reader_nil(&in))
            return reader_bin(&in);
    }
    return (Span){NULL, 0};
}

static int build(const char *service, Span body, ferry_description **ret, ferry_error *reterr) {
    ferry_error problem = FERRY_ERROR_INIT;
    ferry_service *tables = NULL;
    Span bytes = bytes_in(body);
    int r = 0;

    if (bytes.len > 0)
        r = description_read(bytes, &tables, &problem);
    if (bytes.len > 0 && r == 0 && strcmp(tables->name, service) != 0) {
        error_set(&problem, "ferry.InvalidArgument", "the description is of another service: '%s'",
                  tables->name);
        tables = (ferry_service *)(uintptr_t)ferry_free(tables);
    }
    if (r == -ENOMEM)
        r = error_set_code(reterr, r, NULL);
    else
        r = read_description(service, body, tables, problem.message, ret, reterr);
    if (r < 0)
        ferry_free(tables);
    ferry_error_clear(&problem);
    return r;
}

static int check_describe(ferry_client *client, const char *service, ferry_error *reterr) {
    int r = client_check(client, reterr);

    if (r == 0 && !service)
        r = error_set(reterr, "ferry.Misuse", "the service's name is NULL");
    return r;
}

/* Packs the arguments of ferry.Broker.describe. The handle may choose an instance of the described
 * service, but the call itself goes to the broker, which has no instance of that name. The choice
 * therefore becomes an argument of this call. It is removed from the handle, and *chosen keeps it
 * until the caller restores it. */
static int begin_describe(ferry_client *client, const char *service, Buffer *args, Span *chosen,
                          ferry_error *reterr) {
    Span name = span_text(service);

    *chosen = client->instance;
    client->instance = (Span){NULL, 0};
    write_array(args, chosen->len > 0 ? 2 : 1);
    write_str(args, name.data, name.len);
    if (chosen->len > 0)
        write_str(args, chosen->data, chosen->len);
    return args->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
}

int ferry_describe(ferry_client *client, const char *service, ferry_description **ret,
                   ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer args = {0};
    ferry_reply *reply = NULL;
    Span chosen;
    int r = check_describe(client, service, reterr);

    if (r < 0)
        return r;
    r = begin_describe(client, service, &args, &chosen, reterr);
    if (r == 0)
        r = ferry_call(client, "ferry.Broker.describe", ferry_bytes_of(args.data, args.len), &reply,
                       reterr);
    client->instance = chosen;
    if (!reply)
        return r;
    r = build(service, span_of(reply->body.data, reply->body.len), ret, reterr);
    ferry_free(reply);
    return r;
}

/* A call of ferry.Broker.describe in flight. */
typedef struct Describing {
    ferry_describe_fn fn;
    void *ctx;
    char service[];
} Describing;

static void on_description(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    ferry_error problem = FERRY_ERROR_INIT;
    Describing *describing = ctx;
    ferry_description *description = NULL;

    if (!error && build(describing->service, span_of(reply->body.data, reply->body.len),
                        &description, &problem) < 0)
        error = &problem;
    describing->fn(description, error, describing->ctx);
    ferry_free(description);
    ferry_error_clear(&problem);
    free(describing);
}

int ferry_describe_async(ferry_client *client, const char *service, ferry_describe_fn fn, void *ctx,
                         ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer args = {0};
    Describing *describing;
    Span chosen;
    int r = check_describe(client, service, reterr);

    if (r < 0)
        return r;
    if (!fn)
        return error_set(reterr, "ferry.Misuse", "the callback is NULL");
    describing = malloc(sizeof(*describing) + strlen(service) + 1);
    if (!describing)
        return error_set_code(reterr, -ENOMEM, NULL);
    describing->fn = fn;
    describing->ctx = ctx;
    strcpy(describing->service, service);
    r = begin_describe(client, service, &args, &chosen, reterr);
    if (r == 0)
        r = ferry_call_async(client, "ferry.Broker.describe", ferry_bytes_of(args.data, args.len),
                             on_description, describing, reterr);
    client->instance = chosen;
    if (r < 0)
        free(describing);
    return r;
}

const ferry_method *ferry_method_find(const ferry_service *service, const char *name) {
    return description_method(service, name);
}

/* ---- values and texts ---- */

static int give(const Buffer *bytes, ferry_bytes *ret, ferry_error *reterr) {
    int r = block_hold(ferry_bytes_of(bytes->data, bytes->len), ret);

    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

int ferry_service_print(const ferry_service *service, char **ret) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    ferry_bytes bytes = {0};
    int r = description_print(service, &text);

    if (r == 0) {
        buffer_append(&text, "", 1);
        r = text.failed ? -ENOMEM : give(&text, &bytes, NULL);
    }
    if (r == 0)
        *ret = (char *)(uintptr_t)bytes.data;
    return r;
}

int ferry_value_convert(const ferry_type *type, ferry_bytes value, const char *root,
                        ferry_bytes *ret, ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    int r =
        schema_convert(type, span_of(value.data, value.len), root ? root : "value", &bytes, reterr);

    return r < 0 ? r : give(&bytes, ret, reterr);
}

int ferry_value_format(const ferry_type *type, ferry_bytes value, ferry_bytes *ret,
                       ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    int r = schema_format(type, span_of(value.data, value.len), type->name ? type->name : "value",
                          &bytes, reterr);

    return r < 0 ? r : give(&bytes, ret, reterr);
}

int ferry_value_example(const ferry_type *type, ferry_bytes *ret) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    int r = schema_example(type, &bytes);

    return r < 0 ? r : give(&bytes, ret, NULL);
}

const char *ferry_type_format(const ferry_type *type, char *to, size_t size) {
    return description_type_text(type, to, size);
}
