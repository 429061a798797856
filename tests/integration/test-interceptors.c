/* SPDX-License-Identifier: Apache-2.0 */

/* Interceptors: before and after a call, at the caller and at the server. */

#include "support/broker.h"
#include "support/suite.h"

static TestBroker broker;

static const ferry_bytes one = {"\x01", 1, NULL};

/* The calls or requests that one interceptor has seen. */
typedef struct Seen {
    int n_before, n_after, n_failed;
    int refuse;  /* a negative errno that `before` returns, or 0 */
    bool throws; /* `before` answers the request */
    char method[64], type[64];
    bool matched; /* each `after` has got the state that its `before` returned */
    int states[64];
} Seen;

static int before_call(ferry_interception *call, void *ctx) {
    Seen *seen = ctx;

    CU_ASSERT_PTR_NULL(call->request);
    CU_ASSERT_EQUAL(call->elapsed_us, 0);
    call->state = &seen->states[seen->n_before++ % 64];
    snprintf(seen->method, sizeof(seen->method), "%s", call->method);
    CU_ASSERT_EQUAL(ferry_interception_header(call, "tenant", "one"), 0);
    CU_ASSERT_EQUAL(ferry_interception_header(call, "tenant", "two"), 0);
    CU_ASSERT_EQUAL(ferry_interception_header(call, "", "x"), -EINVAL);
    return seen->refuse;
}

static void after(ferry_interception *call, const ferry_error *error, void *ctx) {
    Seen *seen = ctx;

    seen->n_after++;
    seen->n_failed += error != NULL;
    seen->matched &=
        call->state >= (void *)seen->states && call->state < (void *)(seen->states + 64);
    snprintf(seen->type, sizeof(seen->type), "%s", error ? error->type : "");
}

static int before_request(ferry_interception *call, void *ctx) {
    Seen *seen = ctx;

    CU_ASSERT_PTR_NOT_NULL_FATAL(call->request);
    call->state = &seen->states[seen->n_before++ % 64];
    snprintf(seen->method, sizeof(seen->method), "%s", call->method);
    CU_ASSERT_EQUAL(ferry_interception_header(call, "late", "x"), -EINVAL);
    if (seen->throws)
        return ferry_request_throw(call->request, "shop.Closed", NULL, "%s",
                                   ferry_request_header(call->request, "tenant"));
    return seen->refuse;
}

static int n_handled;

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    n_handled++;
    return ferry_request_return(request, request->body);
}

static int fail(ferry_request *request, void *ctx) {
    (void)request, (void)ctx;
    return -EIO;
}

static int defer(ferry_request *request, void *ctx) {
    ferry_request **kept = ctx;

    *kept = ferry_request_defer(request);
    return 0;
}

typedef struct Ends {
    int n, code;
    char type[64], message[64];
} Ends;

static void end(const ferry_reply *reply, const ferry_error *error, void *ctx) {
    Ends *ends = ctx;

    (void)reply;
    ends->n++;
    ends->code = error ? error->code : 0;
    snprintf(ends->type, sizeof(ends->type), "%s", error ? error->type : "");
    snprintf(ends->message, sizeof(ends->message), "%s", error ? error->message : "");
}

/* A server and a caller, in turns of this thread. */
typedef struct Scene {
    Seen calls, requests;
    ferry_client *served, *caller;
    ferry_request *kept;
} Scene;

static void set_scene(Scene *scene) {
    ferry_interceptor of_calls = {before_call, after, &scene->calls};
    ferry_interceptor of_requests = {before_request, after, &scene->requests};
    const ferry_serve_options serve = {.slots = 9, .interceptor = &of_requests};
    const ferry_options options = {.interceptor = &of_calls};

    *scene = (Scene){.calls.matched = true, .requests.matched = true};
    n_handled = 0;
    scene->served = connect_client(&broker);
    CU_ASSERT_EQUAL(
        ferry_serve_method(scene->served, "shop.Shop.echo", &serve, echo, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(
        ferry_serve_method(scene->served, "shop.Shop.fail", &serve, fail, NULL, NULL, NULL), 0);
    CU_ASSERT_EQUAL(ferry_serve_method(scene->served, "shop.Shop.defer", &serve, defer,
                                       &scene->kept, NULL, NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_open(broker.url, &options, &scene->caller, NULL), 0);
    CU_ASSERT_EQUAL(ferry_ping(scene->caller, NULL, NULL), 0);
    CU_ASSERT_EQUAL(scene->calls.n_before, 0);
}

static void end_scene(Scene *scene) {
    ferry_close(scene->caller);
    ferry_close(scene->served);
    CU_ASSERT_TRUE(scene->calls.matched);
    CU_ASSERT_TRUE(scene->requests.matched);
    CU_ASSERT_EQUAL(scene->calls.n_before, scene->calls.n_after);
    CU_ASSERT_EQUAL(scene->requests.n_before, scene->requests.n_after);
}

static Ends call(Scene *scene, const char *method) {
    Ends ends = {0};
    int r = ferry_call_async(scene->caller, method, one, end, &ends, NULL);

    CU_ASSERT_EQUAL(r, 0);
    if (r == 0)
        CU_ASSERT_TRUE(process_both_until(scene->caller, scene->served, &ends.n, 1));
    return ends;
}

static void both_sides_see_a_call_and_its_answer(void) {
    Scene scene;

    set_scene(&scene);
    CU_ASSERT_EQUAL(call(&scene, "shop.Shop.echo").code, 0);
    CU_ASSERT_STRING_EQUAL(scene.calls.method, "shop.Shop.echo");
    CU_ASSERT_STRING_EQUAL(scene.requests.method, "shop.Shop.echo");
    CU_ASSERT_EQUAL(scene.calls.n_after, 1);
    CU_ASSERT_EQUAL(scene.requests.n_after, 1);
    CU_ASSERT_EQUAL(scene.calls.n_failed + scene.requests.n_failed, 0);
    CU_ASSERT_EQUAL(call(&scene, "shop.Shop.fail").code, -EIO);
    CU_ASSERT_STRING_EQUAL(scene.calls.type, "ferry.Internal");
    CU_ASSERT_STRING_EQUAL(scene.requests.type, "ferry.Internal");
    end_scene(&scene);
}

static void a_caller_may_refuse_a_call_before_it_is_sent(void) {
    Scene scene;
    ferry_error error = FERRY_ERROR_INIT;
    Ends ends = {0};

    set_scene(&scene);
    scene.calls.refuse = -EACCES;
    CU_ASSERT_EQUAL(ferry_call(scene.caller, "shop.Shop.echo", one, NULL, &error), -EACCES);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.PermissionDenied");
    CU_ASSERT_FALSE(error.outcome_unknown);
    CU_ASSERT_EQUAL(ferry_call_async(scene.caller, "shop.Shop.echo", one, end, &ends, NULL),
                    -EACCES);
    CU_ASSERT_EQUAL(scene.calls.n_after, 2);
    CU_ASSERT_STRING_EQUAL(scene.calls.type, "ferry.PermissionDenied");
    ferry_process(scene.served, NULL);
    CU_ASSERT_EQUAL(scene.requests.n_before, 0);
    CU_ASSERT_EQUAL(ends.n, 0);
    ferry_error_clear(&error);
    end_scene(&scene);
}

static void a_server_may_refuse_or_answer_before_the_handler(void) {
    Scene scene;
    Ends ends;

    set_scene(&scene);
    scene.requests.refuse = -EACCES;
    ends = call(&scene, "shop.Shop.echo");
    CU_ASSERT_EQUAL(ends.code, -EACCES);
    CU_ASSERT_STRING_EQUAL(scene.requests.type, "ferry.PermissionDenied");
    scene.requests.throws = true;
    ends = call(&scene, "shop.Shop.echo");
    CU_ASSERT_STRING_EQUAL(ends.type, "shop.Closed");
    /* The header that the caller's interceptor has added: the later value is used. */
    CU_ASSERT_STRING_EQUAL(ends.message, "two");
    CU_ASSERT_STRING_EQUAL(scene.requests.type, "shop.Closed");
    CU_ASSERT_EQUAL(n_handled, 0);
    end_scene(&scene);
}

static void each_end_of_a_call_is_seen_once(void) {
    Scene scene;
    Ends ends = {0};
    ferry_client *handle = NULL;

    set_scene(&scene);
    /* The handle is closed while its call runs; the server answers later. */
    CU_ASSERT_EQUAL(ferry_with(scene.caller, NULL, &handle, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(handle, "shop.Shop.defer", one, end, &ends, NULL), 0);
    for (int i = 0; i < 10000 && !scene.kept; i++) {
        ferry_process(scene.caller, NULL);
        ferry_process(scene.served, NULL);
        usleep(1000);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(scene.kept);
    CU_ASSERT_EQUAL(scene.requests.n_after, 0);
    ferry_close(handle);
    CU_ASSERT_EQUAL(scene.calls.n_after, 1);
    CU_ASSERT_STRING_EQUAL(scene.calls.type, "ferry.Cancelled");
    CU_ASSERT_EQUAL(ferry_request_return(scene.kept, one), 0);
    CU_ASSERT_EQUAL(scene.requests.n_after, 1);
    /* A call of a service that does not exist. */
    CU_ASSERT_EQUAL(ferry_call(scene.caller, "shop.Nobody.call", one, NULL, NULL), -EHOSTUNREACH);
    CU_ASSERT_EQUAL(scene.calls.n_after, 2);
    /* A handle with its own interceptor. */
    CU_ASSERT_EQUAL(ferry_with(scene.caller,
                               &(ferry_options){.interceptor = &(ferry_interceptor){0}}, &handle,
                               NULL),
                    0);
    CU_ASSERT_EQUAL(ferry_call(handle, "shop.Nobody.call", one, NULL, NULL), -EHOSTUNREACH);
    CU_ASSERT_EQUAL(scene.calls.n_after, 2);
    ferry_close(handle);
    end_scene(&scene);
}

static void a_request_outlives_its_service(void) {
    ferry_client *caller = connect_client(&broker), *served = connect_client(&broker);
    Seen seen = {.matched = true};
    ferry_interceptor interceptor = {before_request, after, &seen};
    const ferry_serve_options serve = {.interceptor = &interceptor};
    ferry_registration *service = NULL;
    ferry_request *kept = NULL;
    Ends ends = {0};

    CU_ASSERT_EQUAL(
        ferry_serve_method(served, "short.Short.defer", &serve, defer, &kept, &service, NULL), 0);
    CU_ASSERT_EQUAL(ferry_call_async(caller, "short.Short.defer", one, end, &ends, NULL), 0);
    for (int i = 0; i < 10000 && !kept; i++) {
        ferry_process(caller, NULL);
        ferry_process(served, NULL);
        usleep(1000);
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    ferry_registration_close(service);
    CU_ASSERT_EQUAL(seen.n_after, 0);
    CU_ASSERT_EQUAL(ferry_request_return(kept, one), 0);
    CU_ASSERT_EQUAL(seen.n_after, 1);
    CU_ASSERT_TRUE(process_both_until(caller, served, &ends.n, 1));
    CU_ASSERT_EQUAL(ends.code, 0);
    ferry_close(served);
    ferry_close(caller);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(both_sides_see_a_call_and_its_answer),
        TEST(a_caller_may_refuse_a_call_before_it_is_sent),
        TEST(a_server_may_refuse_or_answer_before_the_handler),
        TEST(each_end_of_a_call_is_seen_once),
        TEST(a_request_outlives_its_service),
        TESTS_END,
    };
    int status;

    broker_spawn(&broker);
    status = run_suite("client: interceptors", tests);
    broker_terminate(&broker);
    return status;
}
