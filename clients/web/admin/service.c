/* SPDX-License-Identifier: Apache-2.0 */
/* One service: its servers, and its methods with their types, documentation and statistics. */

#include <stdlib.h>
#include <string.h>

#include "clients/json/instances.h"
#include "clients/json/value.h"
#include "clients/web/admin/routes.h"
#include "clients/web/core/core.h"

static const char *kind_name(const ferry_type *type) {
    static const char *const names[] = {
        [FERRY_KIND_BOOL] = "bool",     [FERRY_KIND_I8] = "i8",
        [FERRY_KIND_I16] = "i16",       [FERRY_KIND_I32] = "i32",
        [FERRY_KIND_I64] = "i64",       [FERRY_KIND_DOUBLE] = "double",
        [FERRY_KIND_UUID] = "uuid",     [FERRY_KIND_ENUM] = "enum",
        [FERRY_KIND_STRING] = "string", [FERRY_KIND_BINARY] = "binary",
        [FERRY_KIND_LIST] = "list",     [FERRY_KIND_SET] = "set",
        [FERRY_KIND_MAP] = "map",       [FERRY_KIND_STRUCT] = "struct",
        [FERRY_KIND_UNION] = "union",   [FERRY_KIND_EXCEPTION] = "exception",
        [FERRY_KIND_ARGS] = "args",
    };

    return names[type->kind];
}

static json_t *text_or_null(const char *text) {
    return text ? json_string(text) : json_null();
}

static json_t *doc_of(const ferry_notes *notes) {
    return text_or_null(notes ? notes->doc : NULL);
}

static json_t *annotation(const ferry_notes *notes, const char *name) {
    for (uint32_t i = 0; notes && i < notes->n_annotations; i++)
        if (strcmp(notes->annotations[i].name, name) == 0)
            return json_string(notes->annotations[i].value ? notes->annotations[i].value : "");
    return json_null();
}

static json_t *type_name(const ferry_type *type) {
    char text[256];

    return type ? json_string(ferry_type_format(type, text, sizeof(text))) : json_null();
}

/* ---- types, for forms ---- */

static void add_type(json_t *types, const ferry_type *type);

static json_t *type_ref(json_t *types, const ferry_type *type) {
    json_t *ref = json_pack("{s:s}", "kind", kind_name(type));

    if (type->name) {
        json_object_set_new(ref, "name", json_string(type->name));
        add_type(types, type);
    }
    if (type->key)
        json_object_set_new(ref, "key", type_ref(types, type->key));
    if (type->item)
        json_object_set_new(ref, "item", type_ref(types, type->item));
    return ref;
}

static json_t *fields_of(json_t *types, const ferry_type *type) {
    json_t *fields = json_array();

    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];
        bool is_optional = field->flags & FERRY_OPTIONAL || field->value;

        json_array_append_new(fields, json_pack("{s:s, s:o, s:s, s:o, s:b, s:o}", "name",
                                                field->name, "type", type_name(field->type), "kind",
                                                kind_name(field->type), "type_ref",
                                                type_ref(types, field->type), "optional",
                                                is_optional, "doc", doc_of(field->notes)));
    }
    return fields;
}

/* Adds the type, and all types that it needs, once. */
static void add_type(json_t *types, const ferry_type *type) {
    json_t *one = json_object_get(types, type->name) ? NULL : json_object(), *values;

    if (!one)
        return;
    json_object_set_new(types, type->name, one); /* add it first: a type may refer to itself */
    json_object_set_new(one, "kind", json_string(kind_name(type)));
    json_object_set_new(one, "doc", doc_of(type->notes));
    if (type->kind != FERRY_KIND_ENUM) {
        json_object_set_new(one, "fields", fields_of(types, type));
        return;
    }
    values = json_array();
    for (uint32_t i = 0; i < type->n; i++)
        json_array_append_new(values, json_pack("{s:s, s:i, s:o}", "name", type->values[i].name,
                                                "value", (int)type->values[i].value, "doc",
                                                doc_of(type->values[i].notes)));
    json_object_set_new(one, "values", values);
}

/* ---- methods ---- */

static json_t *example_of(const ferry_type *args) {
    json_t *json = NULL;
    ferry_bytes bytes;

    if (!args || ferry_value_example(args, &bytes) < 0)
        return json_null();
    if (value_to_json(bytes, &json, NULL) < 0)
        json = json_null();
    ferry_free(bytes.block);
    return present_integers(json);
}

static json_t *throws_of(json_t *types, const ferry_method *method) {
    json_t *throws = json_array();

    for (uint32_t i = 0; i < method->n_throws; i++) {
        add_type(types, method->throws[i].type);
        json_array_append_new(throws, json_pack("{s:s, s:s}", "name", method->throws[i].name,
                                                "type", method->throws[i].type->name));
    }
    return throws;
}

static json_t *method_to_json(json_t *types, const ferry_method *method) {
    json_t *json = json_pack(
        "{s:s, s:o, s:b, s:b, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "name", method->name, "doc",
        doc_of(method->notes), "oneway", method->flags & FERRY_ONEWAY, "idempotent",
        method->flags & FERRY_IDEMPOTENT, "deprecated", annotation(method->notes, "deprecated"),
        "timeout_ms", (json_int_t)method->timeout_ms, "stream_in", type_name(method->stream_in),
        "stream_out", type_name(method->stream_out), "result", type_name(method->result), "throws",
        throws_of(types, method), "example", example_of(method->args));

    json_object_set_new(json, "args", method->args ? fields_of(types, method->args) : json_null());
    if (method->result)
        json_object_set_new(json, "result_ref", type_ref(types, method->result));
    json_object_set_new(json, "stats", json_null());
    return json;
}

static json_t *instances_of(const ferry_description *d) {
    json_t *rows = instances_json(d);

    present(rows);
    return rows;
}

static json_t *idl_of(const ferry_service *service) {
    char *text = NULL;
    json_t *json;

    if (!service || ferry_service_print(service, &text) < 0)
        return json_null();
    json = json_string(text);
    ferry_free(text);
    return json;
}

static json_t *description_to_json(const ferry_description *d) {
    const ferry_service *service = d->service;
    json_t *types = json_object(), *methods = json_array(), *whole = NULL;

    for (uint32_t i = 0; service && i < service->n_methods; i++)
        json_array_append_new(methods, method_to_json(types, &service->methods[i]));
    if (!service || value_to_json(d->bytes, &whole, NULL) < 0)
        whole = json_null();
    return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "name", d->name, "instances",
                     instances_of(d), "problem", d->problem ? d->problem : "", "doc",
                     doc_of(service ? service->notes : NULL), "idl", idl_of(service), "description",
                     present_integers(whole), "methods", methods, "types", types);
}

/* ---- the request: the description, then the statistics ---- */

typedef struct ServiceQuestion {
    HttpRequest *request;
    json_t *json;
} ServiceQuestion;

/* Adds each method's statistics. Methods that are called but not described get a row, too. */
static void add_stats(json_t *methods, json_t *rows) {
    json_t *row, *method;
    size_t i, j;

    json_array_foreach(rows, i, row) {
        const char *name = json_string_value(json_object_get(row, "method"));
        bool is_found = false;

        json_array_foreach(methods, j, method) {
            if (!name || strcmp(json_string_value(json_object_get(method, "name")), name) != 0)
                continue;
            json_object_del(row, "latencies");
            json_object_set(method, "stats", row);
            is_found = true;
        }
        if (!is_found && name)
            json_array_append_new(methods, json_pack("{s:s, s:O}", "name", name, "stats", row));
    }
}

static void on_stats(json_t *rows, const ferry_error *error, void *ctx) {
    ServiceQuestion describing = *(ServiceQuestion *)ctx;

    free(ctx);
    if (!error) {
        present(rows);
        add_stats(json_object_get(describing.json, "methods"), rows);
    }
    http_reply_json(describing.request, 200, describing.json);
}

static void on_description(const ferry_description *description, const ferry_error *error,
                           void *ctx) {
    HttpRequest *request = ctx;
    ServiceQuestion *describing = error ? NULL : malloc(sizeof(*describing));

    if (error) {
        problem_reply(request, error);
        return;
    }
    if (!describing) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *describing = (ServiceQuestion){request, description_to_json(description)};
    ask(http_ctx(request), on_stats, describing, "methods", "s", description->name);
}

void admin_service(HttpRequest *request) {
    Web *web = http_ctx(request);
    ferry_error error = FERRY_ERROR_INIT;

    if (ferry_describe_async(web->client, http_part(request, 2), on_description, request, &error) <
        0)
        problem_reply(request, &error);
    ferry_error_clear(&error);
}
