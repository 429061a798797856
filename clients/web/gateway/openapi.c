/* SPDX-License-Identifier: Apache-2.0 */
/* GET /openapi.json: the described services as OpenAPI 3.1. */

#include <stdlib.h>
#include <string.h>

#include "clients/web/core/core.h"
#include "clients/web/gateway/descriptions.h"
#include "clients/web/gateway/routes.h"

enum { SERVICES_MAX = 200 };

/* ---- schemas of types ---- */

static json_t *schema_of(json_t *schemas, const ferry_type *type);

static json_t *form(const char *key, const char *plain, const char *values) {
    json_t *text = values ? json_pack("{s:[s,s,s]}", "enum", "nan", "inf", "-inf")
                          : json_pack("{s:s, s:s}", "type", "string", "contentEncoding", "base64");

    return json_pack("{s:[{s:s}, {s:s, s:{s:o}, s:[s], s:b}]}", "anyOf", "type", plain, "type",
                     "object", "properties", key, text, "required", key, "additionalProperties", 0);
}

static json_t *integer(json_int_t low, json_int_t high) {
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", low, "maximum", high);
}

static json_t *map_schema(json_t *schemas, const ferry_type *type) {
    if (type->key->kind < FERRY_KIND_BINARY)
        return json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
                         schema_of(schemas, type->item));
    return json_pack("{s:s, s:{s:s, s:[o, o], s:i, s:i}}", "type", "array", "items", "type",
                     "array", "prefixItems", schema_of(schemas, type->key),
                     schema_of(schemas, type->item), "minItems", 2, "maxItems", 2);
}

static json_t *enum_schema(const ferry_type *type) {
    json_t *names = json_array();

    for (uint32_t i = 0; i < type->n; i++)
        json_array_append_new(names, json_string(type->values[i].name));
    return json_pack("{s:[{s:o}, {s:s}]}", "anyOf", "enum", names, "type", "integer");
}

static void add_doc(json_t *to, const ferry_notes *notes) {
    if (notes && notes->doc)
        json_object_set_new(to, "description", json_string(notes->doc));
}

/* A structure: an object whose members are its fields. */
static json_t *fields_schema(json_t *schemas, const ferry_type *type) {
    json_t *properties = json_object(), *required = json_array();
    json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);

    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];
        bool is_optional = field->flags & FERRY_OPTIONAL || field->value;
        json_t *one = schema_of(schemas, field->type);

        if (field->flags & FERRY_OPTIONAL && type->kind != FERRY_KIND_UNION)
            one = json_pack("{s:[o, {s:s}]}", "anyOf", one, "type", "null");
        add_doc(one, field->notes);
        json_object_set_new(properties, field->name, one);
        if (!is_optional && type->kind != FERRY_KIND_UNION)
            json_array_append_new(required, json_string(field->name));
    }
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_decref(required);
    if (type->kind == FERRY_KIND_UNION) {
        json_object_set_new(schema, "minProperties", json_integer(1));
        json_object_set_new(schema, "maxProperties", json_integer(1));
    }
    return schema;
}

/* Makes a reference to a type, and adds the type to the schemas once. */
static json_t *named_schema(json_t *schemas, const ferry_type *type) {
    char ref[320];
    json_t *schema;

    snprintf(ref, sizeof(ref), "#/components/schemas/%.255s", type->name);
    if (!json_object_get(schemas, type->name)) {
        json_object_set_new(schemas, type->name,
                            json_object()); /* add it first: it may refer to itself */
        schema = type->kind == FERRY_KIND_ENUM ? enum_schema(type) : fields_schema(schemas, type);
        add_doc(schema, type->notes);
        json_object_set_new(schemas, type->name, schema);
    }
    return json_pack("{s:s}", "$ref", ref);
}

static json_t *schema_of(json_t *schemas, const ferry_type *type) {
    switch (type->kind) {
    case FERRY_KIND_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case FERRY_KIND_I8:
        return integer(INT8_MIN, INT8_MAX);
    case FERRY_KIND_I16:
        return integer(INT16_MIN, INT16_MAX);
    case FERRY_KIND_I32:
        return integer(INT32_MIN, INT32_MAX);
    case FERRY_KIND_I64: /* as a text where a number would be rounded */
        return json_pack("{s:[s,s], s:s, s:s}", "type", "integer", "string", "format", "int64",
                         "pattern", "^-?[0-9]+$");
    case FERRY_KIND_DOUBLE:
        return form("$float", "number", "nan");
    case FERRY_KIND_UUID:
        return json_pack("{s:s, s:s}", "type", "string", "format", "uuid");
    case FERRY_KIND_STRING:
        return json_pack("{s:s}", "type", "string");
    case FERRY_KIND_BINARY:
        return form("$bin", "string", NULL);
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        return json_pack("{s:s, s:o, s:b}", "type", "array", "items",
                         schema_of(schemas, type->item), "uniqueItems",
                         type->kind == FERRY_KIND_SET);
    case FERRY_KIND_MAP:
        return map_schema(schemas, type);
    default:
        return type->name ? named_schema(schemas, type) : fields_schema(schemas, type);
    }
}

/* ---- operations ---- */

static json_t *content(const char *type, json_t *schema) {
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

static json_t *problem_answer(const char *text) {
    return json_pack("{s:s, s:o}", "description", text, "content",
                     content("application/problem+json",
                             json_pack("{s:s}", "$ref", "#/components/schemas/Problem")));
}

/* Makes the schema of the arguments: by name, or in order. */
static json_t *arguments_of(json_t *schemas, const ferry_type *args) {
    json_t *items = json_array(), *in_order, *schema;

    for (uint32_t i = 0; i < args->n; i++)
        json_array_append_new(items, schema_of(schemas, args->fields[i].type));
    in_order = json_pack("{s:s, s:i}", "type", "array", "maxItems", (int)args->n);
    if (args->n > 0)
        json_object_set(in_order, "prefixItems", items);
    json_decref(items);
    schema = json_pack("{s:[o, o]}", "anyOf", fields_schema(schemas, args), in_order);
    return json_pack("{s:b, s:o}", "required", args->n > 0, "content",
                     content("application/json", schema));
}

/* OpenAPI 3.1 has no schema for the lines of a body. */
static json_t *lines_of(const ferry_method *method) {
    char text[400];

    snprintf(text, sizeof(text),
             "The first line has the arguments, an object or a list. Each other line is an item: "
             "%.255s.",
             method->stream_in ? method->stream_in->name : "any value");
    return json_pack("{s:b, s:s, s:o}", "required", 1, "description", text, "content",
                     content("application/x-ndjson", json_pack("{s:s}", "type", "string")));
}

static json_t *answers_of(json_t *schemas, const ferry_method *method) {
    json_t *answers = json_object();
    char thrown[300] = "an exception that the method declares: ";

    if (method->stream_out)
        json_object_set_new(
            answers, "200",
            json_pack("{s:s, s:o}", "description", "the items, as events", "content",
                      content("text/event-stream", json_pack("{s:s}", "type", "string"))));
    else if (method->flags & FERRY_ONEWAY)
        json_object_set_new(
            answers, "202",
            json_pack("{s:s}", "description", "the call was sent; it has no answer"));
    else if (method->result)
        json_object_set_new(
            answers, "200",
            json_pack("{s:s, s:o}", "description", "the result", "content",
                      content("application/json", schema_of(schemas, method->result))));
    else
        json_object_set_new(answers, "204", json_pack("{s:s}", "description", "done; no result"));
    for (uint32_t i = 0; i < method->n_throws; i++) {
        size_t len = strlen(thrown);

        json_decref(named_schema(schemas, method->throws[i].type)); /* it is added to the schemas */
        snprintf(thrown + len, sizeof(thrown) - len, "%s%s", i > 0 ? ", " : "",
                 method->throws[i].type->name);
    }
    if (method->n_throws > 0)
        json_object_set_new(answers, "422", problem_answer(thrown));
    json_object_set_new(answers, "default", problem_answer("the call failed"));
    return answers;
}

static bool is_deprecated(const ferry_notes *notes) {
    for (uint32_t i = 0; notes && i < notes->n_annotations; i++)
        if (strcmp(notes->annotations[i].name, "deprecated") == 0)
            return true;
    return false;
}

static void add_method(json_t *document, const char *service, const ferry_method *method) {
    json_t *paths = json_object_get(document, "paths"), *operation;
    json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
    char path[600], id[600];

    snprintf(path, sizeof(path), "/v1/call/%s/%s", service, method->name);
    snprintf(id, sizeof(id), "%s.%s", service, method->name);
    operation = json_pack("{s:s, s:[s], s:o}", "operationId", id, "tags", service, "responses",
                          answers_of(schemas, method));
    add_doc(operation, method->notes);
    if (is_deprecated(method->notes))
        json_object_set_new(operation, "deprecated", json_true());
    if (method->flags & FERRY_STREAM_IN)
        json_object_set_new(operation, "requestBody", lines_of(method));
    else if (method->args)
        json_object_set_new(operation, "requestBody", arguments_of(schemas, method->args));
    json_object_set_new(operation, "parameters",
                        json_pack("[{s:s}, {s:s}, {s:s}]", "$ref",
                                  "#/components/parameters/Deadline", "$ref",
                                  "#/components/parameters/IdempotencyKey", "$ref",
                                  "#/components/parameters/Integers"));
    json_object_set_new(paths, path, json_pack("{s:o}", "post", operation));
}

/* ---- the document ---- */

static json_t *header_parameter(const char *name, const char *text, json_t *schema) {
    return json_pack("{s:s, s:s, s:s, s:o}", "name", name, "in", "header", "description", text,
                     "schema", schema);
}

static json_t *path_parameter(const char *name) {
    return json_pack("[{s:s, s:s, s:b, s:{s:s}}]", "name", name, "in", "path", "required", 1,
                     "schema", "type", "string");
}

/* Adds the endpoints of topics and queues, whose names are not known in advance. */
static void add_fixed(json_t *paths) {
    json_object_set_new(paths, "/v1/publish/{topic}",
                        json_pack("{s:{s:s, s:o, s:{s:{s:{}, s:{}}}, s:{s:{s:s}, s:o}}}", "post",
                                  "operationId", "publish", "parameters", path_parameter("topic"),
                                  "requestBody", "content", "application/json",
                                  "application/octet-stream", "responses", "202", "description",
                                  "the broker has it", "default", problem_answer("why it failed")));
    json_object_set_new(paths, "/v1/push/{queue}",
                        json_pack("{s:{s:s, s:o, s:{s:{s:{}, s:{}}}, s:{s:{s:s}, s:o}}}", "post",
                                  "operationId", "push", "parameters", path_parameter("queue"),
                                  "requestBody", "content", "application/json",
                                  "application/octet-stream", "responses", "201", "description",
                                  "the job is as safe as its queue promises", "default",
                                  problem_answer("why it failed")));
    json_object_set_new(paths, "/v1/subscribe/{pattern}",
                        json_pack("{s:{s:s, s:o, s:{s:{s:s, s:{s:{}}}, s:o}}}", "get",
                                  "operationId", "subscribe", "parameters",
                                  path_parameter("pattern"), "responses", "200", "description",
                                  "messages, as events", "content", "text/event-stream", "default",
                                  problem_answer("why it failed")));
}

static json_t *document_new(void) {
    json_t *problem =
        json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "type", "object",
                  "properties", "type", "type", "string", "title", "type", "string", "status",
                  "type", "integer", "detail", "type", "string", "ferry", "type", "object");
    json_t *parameters = json_pack(
        "{s:o, s:o, s:o}", "Deadline",
        header_parameter("Ferry-Deadline-Ms", "milliseconds that the call may take",
                         integer(1, 3600000)),
        "IdempotencyKey",
        header_parameter("Idempotency-Key", "the call may be retried; passed on to the service",
                         json_pack("{s:s}", "type", "string")),
        "Integers",
        header_parameter("Ferry-Integers", "string: integers beyond 2^53 are texts",
                         json_pack("{s:[s]}", "enum", "string")));
    json_t *document = json_pack(
        "{s:s, s:{s:s, s:s, s:s}, s:{}, s:{s:{s:o}, s:o}}", "openapi", "3.1.0", "info", "title",
        "ferry", "version", FERRY_VERSION, "description", "The services of a ferry broker.",
        "paths", "components", "schemas", "Problem", problem, "parameters", parameters);

    add_fixed(json_object_get(document, "paths"));
    return document;
}

/* ---- the request: the list of services, then the description of each ---- */

typedef struct OpenApi {
    HttpRequest *request;
    json_t *document;
    size_t n_left; /* requested descriptions, plus one for the loop that requests them */
} OpenApi;

static void finish_one(OpenApi *api) {
    if (--api->n_left > 0)
        return;
    http_reply_json(api->request, 200, api->document);
    free(api);
}

static void on_description(const ferry_description *description, const ferry_error *error,
                           void *ctx) {
    const ferry_service *service = error ? NULL : description->service;
    OpenApi *api = ctx;

    for (uint32_t i = 0; service && i < service->n_methods; i++)
        add_method(api->document, description->name, &service->methods[i]);
    finish_one(api);
}

static void on_services(json_t *rows, const ferry_error *error, void *ctx) {
    OpenApi *api = ctx;
    Web *web = http_ctx(api->request);
    json_t *row;
    size_t i;

    if (error) {
        problem_reply(api->request, error);
        json_decref(api->document);
        free(api);
        return;
    }
    json_array_foreach(rows, i, row) {
        if (i >= SERVICES_MAX || !json_is_true(json_object_get(row, "described")))
            continue;
        api->n_left++;
        descriptions_get(web->descriptions, json_string_value(json_object_get(row, "name")), false,
                         on_description, api);
    }
    finish_one(api);
}

void gateway_openapi(HttpRequest *request) {
    OpenApi *api = malloc(sizeof(*api));

    if (!api) {
        http_reply_problem(request, 503, "OutOfMemory", "out of memory");
        return;
    }
    *api = (OpenApi){request, document_new(), 1};
    ask(http_ctx(request), on_services, api, "services", "");
}
