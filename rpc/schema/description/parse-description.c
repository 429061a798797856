/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a description from an untrusted peer into tables. See description.h. */

#include "base/error.h"
#include "rpc/schema/codec/codec.h"
#include "rpc/schema/codec/values.h"
#include "rpc/schema/description/description-parser.h"
#include "rpc/schema/description/description.h"
#include "rpc/wire/name.h"

/* ---- methods ---- */

static bool read_args(DescriptionParser *p, Reader *reader, ferry_method *method) {
    ferry_type *type = parser_take(p, sizeof(*type));
    ferry_field *fields;
    uint32_t n;

    if (!type)
        return false;
    fields = parser_fields(p, reader, &n);
    if (p->error.type)
        return false;
    type->kind = FERRY_KIND_ARGS;
    parser_lay_out(type, fields, n);
    for (uint32_t i = 0; i < n; i++)
        parser_lay_out_containers(fields[i].type);
    method->args = type;
    return true;
}

static void read_method_flag(DescriptionParser *p, Reader *reader, ferry_method *method,
                             uint32_t flag) {
    bool set;

    if (parser_flag(p, reader, &set) && set)
        method->flags |= flag;
}

static void read_throws(DescriptionParser *p, Reader *reader, ferry_method *method) {
    ferry_field *fields = parser_fields(p, reader, &method->n_throws);

    method->throws = fields;
    for (uint32_t i = 0; i < method->n_throws; i++)
        if (fields[i].type->kind != FERRY_KIND_EXCEPTION)
            parser_refuse(p, "only an exception can be thrown");
}

static void read_method_key(DescriptionParser *p, ferry_method *method, Span key, Reader *reader) {
    uint64_t ms;

    if (span_is(key, "name")) {
        method->name = parser_name(p, reader, false);
    } else if (span_is(key, "args")) {
        read_args(p, reader, method);
    } else if (span_is(key, "result")) {
        method->result = parser_type(p, reader);
    } else if (span_is(key, "stream_in")) {
        method->stream_in = parser_type(p, reader);
        method->flags |= FERRY_STREAM_IN;
    } else if (span_is(key, "stream_out")) {
        method->stream_out = parser_type(p, reader);
        method->flags |= FERRY_STREAM_OUT;
    } else if (span_is(key, "throws")) {
        read_throws(p, reader, method);
    } else if (span_is(key, "oneway")) {
        read_method_flag(p, reader, method, FERRY_ONEWAY);
    } else if (span_is(key, "idempotent")) {
        read_method_flag(p, reader, method, FERRY_IDEMPOTENT);
    } else if (span_is(key, "inherited")) {
        read_method_flag(p, reader, method, FERRY_INHERITED);
    } else if (span_is(key, "timeout_ms")) {
        ms = reader_uint(reader);
        method->timeout_ms = ms > 3600000 ? 3600000 : (uint32_t)ms;
    } else if (span_is(key, "cache_ttl_ms")) {
        method->cache_ttl_ms = reader_uint(reader);
    } else if (!parser_note(p, key, reader, &method->notes)) {
        parser_value(p, reader);
    }
}

static bool read_method(DescriptionParser *p, Span map, ferry_method *method) {
    MapWalk walk = parser_walk(p, map);
    Span key;

    while (parser_next(p, &walk, &key))
        read_method_key(p, method, key, &walk.reader);
    if (p->error.type || !parser_good(p, &walk.reader))
        return false;
    return method->name ? true : parser_refuse(p, "a method has no name");
}

static bool read_methods(DescriptionParser *p, Span list) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = reader_array(&reader);
    const char *repeated;
    ferry_method *methods;

    if (!parser_good(p, &reader))
        return false;
    if (n > VALUE_FIELDS_MAX)
        return parser_refuse(p, "there are too many methods");
    methods = parser_take_array(p, n, sizeof(*methods));
    for (uint32_t i = 0; i < n && methods && !p->error.type; i++) {
        Span map = parser_value(p, &reader);

        if (!p->error.type)
            read_method(p, map, &methods[i]);
        if (p->error.type && methods[i].name)
            value_error_in_field(&p->error, methods[i].name);
        else if (p->error.type)
            value_error_in_item(&p->error, i);
    }
    repeated = !p->error.type && n > 0
                   ? parser_repeated_name(p, &methods->name, n, sizeof(*methods))
                   : NULL;
    if (repeated) {
        parser_refuse(p, "two methods have one name");
        value_error_in_field(&p->error, repeated);
    }
    p->service->n_methods = n;
    p->service->methods = methods;
    return !p->error.type;
}

/* ---- the whole description ---- */

/* Reads the defaults into the arena of the description. All types are complete. */
static bool read_defaults(DescriptionParser *p) {
    for (PendingDefault *pending = p->pending; pending; pending = pending->next) {
        ferry_error error = FERRY_ERROR_INIT;
        void *value = NULL;
        int r = schema_unpack_into(p->arena, pending->field->type, pending->value,
                                   pending->field->name, &value, &error);

        if (r < 0) {
            value_error_set(&p->error, r == -ENOMEM ? "ferry.OutOfMemory" : NULL,
                            "a default is refused: %s", error.message);
            ferry_error_clear(&error);
            return false;
        }
        pending->field->value = value;
    }
    return true;
}

static bool read_service(DescriptionParser *p, Span bytes) {
    MapWalk walk = parser_walk(p, bytes);
    Span key, methods = {NULL, 0}, types = {NULL, 0};
    uint64_t version = 0;

    while (parser_next(p, &walk, &key)) {
        if (span_is(key, "v"))
            version = reader_uint(&walk.reader);
        else if (span_is(key, "service"))
            p->service->name = parser_text(p, &walk.reader);
        else if (span_is(key, "extends"))
            p->service->extends = parser_name(p, &walk.reader, true);
        else if (span_is(key, "methods"))
            methods = parser_value(p, &walk.reader);
        else if (span_is(key, "types"))
            types = parser_value(p, &walk.reader);
        else if (!parser_note(p, key, &walk.reader, &p->service->notes))
            parser_value(p, &walk.reader);
    }
    if (p->error.type || !parser_good(p, &walk.reader))
        return false;
    if (walk.reader.at != walk.reader.end)
        return parser_refuse(p, "there are bytes after it");
    if (version != DESCRIPTION_VERSION)
        return parser_refuse(p, "this library does not know its version");
    if (!p->service->name || !name_is_valid(p->service->name, strlen(p->service->name)))
        return parser_refuse(p, "the service has no valid name");
    if (!methods.data)
        return parser_refuse(p, "it has no methods");
    if (types.data && !parser_declare_types(p, types))
        return false;
    return parser_complete_types(p) && read_methods(p, methods) && read_defaults(p);
}

int description_read(Span bytes, ferry_service **ret, ferry_error *reterr) {
    Arena arena;
    DescriptionParser parser = {.arena = &arena};
    int r;

    if (bytes.len > DESCRIPTION_BYTES_MAX)
        return error_set(reterr, "ferry.TooBig", "a description has at most %d bytes",
                         DESCRIPTION_BYTES_MAX);
    value_error_init(&parser.error);
    arena_init(&arena, (64 << 10) + 64 * bytes.len);
    /* The block starts with the first piece. */
    arena.first = DESCRIPTION_TABLES * bytes.len;
    parser.service = arena_take(&arena, sizeof(ferry_service));
    if (!parser.service)
        return error_set(reterr, "ferry.OutOfMemory", "out of memory");
    *parser.service = (ferry_service){.schema_version = FERRY_SCHEMA_VERSION};
    read_service(&parser, bytes);
    parser_forget_types(&parser);
    if (!parser.error.type) {
        *ret = parser.service;
        return 0;
    }
    r = value_error_report(&parser.error, "description", reterr);
    ferry_free(arena.block);
    return r;
}

size_t description_memory(const ferry_service *service) {
    return arena_memory(service);
}
