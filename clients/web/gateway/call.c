/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in JSON. See call.h. */

#include "clients/web/gateway/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/json/value.h"
#include "clients/web/gateway/descriptions.h"

typedef struct JsonCall {
    Web *web;
    CallOptions options;
    CallFn fn;
    void *ctx;
    const ferry_description *description; /* kept while the call runs */
    const ferry_method *method;
    ferry_client *handle; /* the handle of this call; NULL: the call uses the shared client */
    bool is_fresh;        /* the description was fetched for this call */
    char *values[4];      /* of the headers */
    size_t service_len;
    char name[512]; /* "calc.Calc.add" */
} JsonCall;

/* ---- values ---- */

json_t *call_value(const ferry_type *type, ferry_bytes bytes, bool text_integers,
                   ferry_error *reterr) {
    ferry_bytes shown = {NULL, 0, NULL};
    json_t *json = NULL;
    int r = 0;

    if (type)
        r = ferry_value_format(type, bytes, &shown, reterr);
    if (r == 0)
        r = value_to_json(type ? shown : bytes, &json, reterr);
    ferry_free(shown.block);
    return r < 0 ? NULL : text_integers ? present_integers(json) : json;
}

static const ferry_type *exception_named(const ferry_method *method, const char *name) {
    for (uint32_t i = 0; method && name && i < method->n_throws; i++)
        if (strcmp(method->throws[i].type->name, name) == 0)
            return method->throws[i].type;
    return NULL;
}

/* Returns the status of an exception with the annotation (http.status = "409"). 0: it has no such
 * annotation. */
static unsigned status_annotation(const ferry_type *exception) {
    const ferry_notes *notes = exception->notes;

    for (uint32_t i = 0; notes && i < notes->n_annotations; i++) {
        const char *value = notes->annotations[i].value;
        uint64_t status;

        if (strcmp(notes->annotations[i].name, "http.status") == 0 && value &&
            text_parse_count(value, &status) == 0 && status >= 400 && status <= 599)
            return (unsigned)status;
    }
    return 0;
}

json_t *call_problem(const ferry_method *method, const ferry_error *error, unsigned *ret_status) {
    const ferry_type *exception = exception_named(method, error->type);
    unsigned status = problem_status(error);
    json_t *problem, *data;

    if (exception && status_annotation(exception))
        status = status_annotation(exception);
    else if (method && !exception && error->code == -EREMOTEIO)
        status = 500; /* the interface does not declare it */
    problem = problem_new(error, status);
    data = exception && ferry_error_data(error).len > 0
               ? call_value(exception, ferry_error_data(error), false, NULL)
               : NULL;
    if (data)
        json_object_set_new(json_object_get(problem, "ferry"), "data", data);
    *ret_status = status;
    return problem;
}

/* ---- a call ---- */

static void finish(JsonCall *call, unsigned status, json_t *json, const ferry_error *error) {
    ferry_client *handle = call->handle;

    if (status) /* 0: a stream has taken over */
        call->fn(status, json, error, call->ctx);
    for (size_t i = 0; i < call->options.n_headers; i++)
        free(call->values[i]);
    json_decref(call->options.args);
    ferry_free(call->description);
    free(call);
    ferry_close(handle);
}

static void fail(JsonCall *call, const ferry_error *error) {
    unsigned status;
    json_t *problem = call_problem(call->method, error, &status);

    finish(call, status, problem, error);
}

static void on_reply(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error problem = FERRY_ERROR_INIT;
    JsonCall *call = ctx;
    const ferry_type *type = call->method ? call->method->result : NULL;
    json_t *json;

    if (error) {
        fail(call, error);
        return;
    }
    if (reply->body.len == 0 || (call->method && !type)) {
        finish(call, 204, NULL, NULL);
        return;
    }
    json = call_value(type, reply->body, call->options.text_integers, &problem);
    if (json) {
        finish(call, 200, json, NULL);
        return;
    }
    problem.code = -EPROTO; /* an error of the server, not of the caller */
    fail(call, &problem);
}

/* Opens a handle with the settings of the method and of the request. */
static int open_handle(JsonCall *call, ferry_error *reterr) {
    const ferry_method *method = call->method;
    uint32_t timeout_ms = call->options.timeout_ms ? call->options.timeout_ms
                          : method                 ? method->timeout_ms
                                                   : 0;
    bool is_idempotent =
        call->options.is_idempotent || (method && method->flags & FERRY_IDEMPOTENT);

    if (timeout_ms == 0 && !is_idempotent && call->options.n_headers == 0)
        return 0;
    return ferry_with(call->web->client,
                      &(ferry_options){.timeout_ms = timeout_ms,
                                       .idempotent = is_idempotent,
                                       .n_headers = call->options.n_headers,
                                       .headers = call->options.headers},
                      &call->handle, reterr);
}

static ferry_client *handle_of(const JsonCall *call) {
    return call->handle ? call->handle : call->web->client;
}

/* The stream's own time limits are those of item-streams.c and uploads.c. */
static int start_stream(JsonCall *call, ferry_bytes args, ferry_error *reterr) {
    const ferry_options options = {.n_headers = call->options.n_headers,
                                   .headers = call->options.headers};
    ferry_client *handle = NULL;
    int r = ferry_with(call->web->client, &options, &handle, reterr);

    if (r < 0)
        return r;
    call->options.stream_fn(call->description, call->method, call->name, args, handle, call->ctx);
    finish(call, 0, NULL, NULL);
    return 0;
}

/* A oneway method has no answer: the HTTP answer only says that the call was sent. */
static int call_oneway(JsonCall *call, ferry_bytes args, ferry_error *reterr) {
    void *values = NULL;
    char service[256];
    int r = ferry_value_unpack(call->method->args, args, &values, reterr);

    snprintf(service, sizeof(service), "%.*s", (int)call->service_len, call->name);
    if (r == 0)
        r = open_handle(call, reterr);
    if (r == 0)
        r = ferry_method_call(handle_of(call), service, call->method, values, NULL, reterr);
    ferry_free(values);
    return r;
}

static void send_call(JsonCall *call, ferry_bytes args) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    unsigned flags = call->method ? call->method->flags : 0;
    int r = 0;

    if (call->web->is_away) {
        r = error_set(&error, "ferry.NotConnected", "%s", call->web->problem);
    } else if (flags & (FERRY_STREAM_IN | FERRY_STREAM_OUT) && !call->options.stream_fn) {
        r = error_set(&error, "ferry.Unsupported",
                      "'%s' has a stream, which cannot be called through this interface",
                      call->name);
    } else if (call->options.has_items && !(flags & FERRY_STREAM_IN)) {
        r = error_set(&error, "ferry.InvalidArgument",
                      "'%s' takes no items: the body has one line, with the arguments", call->name);
    } else if (flags & (FERRY_STREAM_IN | FERRY_STREAM_OUT)) {
        r = start_stream(call, args, &error);
    } else if (flags & FERRY_ONEWAY) {
        r = call_oneway(call, args, &error);
        if (r == 0) {
            finish(call, 202, json_object(), NULL);
            return;
        }
    } else {
        r = open_handle(call, &error);
        if (r == 0)
            r = ferry_call_async(handle_of(call), call->name, args, on_reply, call, &error);
    }
    if (r < 0)
        fail(call, &error);
}

/* Packs the arguments, and sends. Returns an error that a fresh description may avoid. */
static int pack_and_send(JsonCall *call, ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer loose = {0};
    ferry_bytes args = {NULL, 0, NULL};
    const ferry_service *service = call->description->service;
    int r = value_from_json(call->options.args, &loose, reterr);

    call->method = service ? ferry_method_find(service, call->name + call->service_len + 1) : NULL;
    if (r == 0 && service && !call->method)
        return error_set(reterr, "ferry.NoSuchMethod", "'%s' has no method '%s'",
                         call->description->name, call->name + call->service_len + 1);
    if (r == 0 && !call->method && !json_is_array(call->options.args))
        return error_set(
            reterr, "ferry.InvalidArgument",
            "'%s' does not describe its methods: give the arguments in order, as a list",
            call->description->name);
    args = ferry_bytes_of(loose.data, loose.len);
    if (r == 0 && call->method && call->method->args)
        r = ferry_value_convert(call->method->args, args, "args", &args, reterr);
    if (r < 0)
        return r;
    send_call(call, args);
    ferry_free(args.block);
    return 0;
}

static void on_description(const ferry_description *description, const ferry_error *error,
                           void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error problem = FERRY_ERROR_INIT;
    CLEANUP(ferry_error_clear) ferry_error absent = FERRY_ERROR_INIT;
    JsonCall *call = ctx;

    if (error && error->code == -ENOENT) {
        error_set(&absent, "ferry.NoSuchService", "no server offers '%.*s'", (int)call->service_len,
                  call->name);
        error = &absent;
    }
    if (error) {
        fail(call, error);
        return;
    }
    ferry_free(call->description);
    call->description = ferry_keep(description);
    if (!call->description) {
        error_set_code(&problem, -ENOMEM, NULL);
        fail(call, &problem);
        return;
    }
    if (pack_and_send(call, &problem) == 0)
        return;
    if (call->is_fresh) {
        fail(call, &problem);
        return;
    }
    call->is_fresh = true;
    call->method = NULL;
    descriptions_get(call->web->descriptions, description->name, true, on_description, call);
}

void web_call_start(Web *web, const CallOptions *options, CallFn fn, void *ctx) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    JsonCall *call = calloc(1, sizeof(*call));
    int len;

    if (!call) {
        json_decref(options->args);
        error_set_code(&error, -ENOMEM, NULL);
        fn(503, problem_new(&error, 503), &error, ctx);
        return;
    }
    *call = (JsonCall){.web = web,
                       .options = *options,
                       .fn = fn,
                       .ctx = ctx,
                       .service_len = strlen(options->service)};
    len = snprintf(call->name, sizeof(call->name), "%s.%s", options->service, options->method);
    call->options.service = call->options.method = NULL; /* lent */
    for (size_t i = 0; i < options->n_headers; i++)
        call->options.headers[i].value = call->values[i] = strdup(options->headers[i].value);
    if (len > 255 || ferry_name_problem(options->service) || ferry_name_problem(call->name) ||
        strchr(options->method, '.')) {
        error_set(&error, "ferry.InvalidArgument",
                  "the path does not have valid names of a service and a method");
        fail(call, &error);
        return;
    }
    if (!json_is_array(options->args) && !json_is_object(options->args)) {
        error_set(&error, "ferry.InvalidArgument",
                  "the arguments are an object, by name, or a list, in order");
        fail(call, &error);
        return;
    }
    descriptions_get(web->descriptions, options->service, false, on_description, call);
}
