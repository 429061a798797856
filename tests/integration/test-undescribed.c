/* SPDX-License-Identifier: Apache-2.0 */

/* Servers with invalid descriptions: the server gets the error, the service is listed as
 * undescribed, and its calls are served. */

#include <unistd.h>

#include <ferry/schema.h>

#include "rpc/wire/writer.h"
#include "support/faults.h"
#include "support/process.h"
#include "support/raw-peer.h"
#include "support/suite.h"

enum { ANSWER_MS = 60000, DEEP = 10000 };

static Daemon broker;
static ferry_client *client;

static void set_up(void) {
    daemon_start(&broker, &(DaemonOptions){.tcp = true});
    CU_ASSERT_EQUAL_FATAL(ferry_open(broker.url, NULL, &client, NULL), 0);
}

static void tear_down(void) {
    client = ferry_close(client);
    daemon_end(&broker);
}

/* Writes {"v": 1, "service": "odd.Odd", KEY: … The caller appends the value of KEY. */
static void begin(Buffer *to, uint32_t n_keys, const char *key) {
    buffer_reset(to);
    write_map(to, n_keys);
    write_text(to, "v");
    write_uint(to, 1);
    write_text(to, "service");
    write_text(to, "odd.Odd");
    write_text(to, key);
}

static void write_method(Buffer *to, const char *name) {
    write_map(to, 1);
    write_text(to, "name");
    write_text(to, name);
}

static void write_lists(Buffer *to) {
    for (int i = 0; i < DEEP; i++) {
        write_array(to, 2);
        write_text(to, "list");
    }
    write_text(to, "i32");
}

/* Sends SERVE with this description, on a session that stays open until the end of the test. The OK
 * has the problem, and so has the answer to a request for the description; wanted NULL: any
 * problem. */
static void is_told(const Buffer *description, const char *wanted) {
    ferry_description *found = NULL;
    ferry_error error = FERRY_ERROR_INIT;
    int fd = raw_session(broker.port, 1 << 20);
    char told[400];
    Message ok;

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_TRUE(raw_say(fd, &(Message){.op = OP_SERVE,
                                          .id = 1,
                                          .name = span_text("odd.Odd"),
                                          .serve.slots = 1,
                                          .body = span_of(description->data, description->len)}));
    CU_ASSERT_EQUAL_FATAL(raw_hear(fd, OP_OK, ANSWER_MS, &ok), HEARD);
    snprintf(told, sizeof(told), "%.*s", (int)ok.body.len, (const char *)ok.body.data);
    CU_ASSERT(ok.body.len > 0 && ok.body.len < sizeof(told));
    if (wanted)
        CU_ASSERT_STRING_EQUAL(told, wanted);

    CU_ASSERT_EQUAL_FATAL(ferry_describe(client, "odd.Odd", &found, &error), 0);
    CU_ASSERT_PTR_NULL(found->service);
    CU_ASSERT_PTR_NOT_NULL_FATAL(found->problem);
    if (wanted)
        CU_ASSERT_STRING_EQUAL(found->problem, wanted);
    CU_ASSERT_EQUAL(found->n_instances, 1);
    ferry_free(found);
    raw_say(fd, &(Message){.op = OP_UNSERVE, .id = 2, .name = span_text("odd.Odd")});
    CU_ASSERT_EQUAL(raw_hear(fd, OP_OK, ANSWER_MS, &ok), HEARD);
    close(fd);
}

static void broken_descriptions_are_reported(void) {
    CLEANUP(buffer_deinit) Buffer b = {0};

    set_up();
    buffer_append(&b, "nonsense", 8);
    is_told(&b, NULL);

    begin(&b, 3, "methods");
    write_array(&b, 2);
    write_method(&b, "m");
    write_method(&b, "m");
    is_told(&b, "description.m: two methods have one name");
    b.len -= 3;
    is_told(&b, NULL);

    begin(&b, 3, "methods");
    buffer_append(&b, "\xdd\xff\xff\xff\xff", 5);
    is_told(&b, NULL);

    begin(&b, 3, "methods");
    write_array(&b, 1);
    write_map(&b, 2);
    write_text(&b, "name");
    write_text(&b, "m");
    write_text(&b, "result");
    write_lists(&b);
    is_told(&b, NULL);

    begin(&b, 4, "unheard_of");
    write_lists(&b);
    write_text(&b, "methods");
    write_array(&b, 0);
    is_told(&b, NULL);

    begin(&b, 4, "service");
    write_text(&b, "odd.Other");
    write_text(&b, "methods");
    write_array(&b, 0);
    is_told(&b, NULL);
    tear_down();
}

/* ---- by libferry ---- */

static char event_text[300];

static void on_event(int event, const ferry_error *error, void *ctx) {
    (void)ctx;
    if (event == FERRY_EVENT_UNDESCRIBED)
        snprintf(event_text, sizeof(event_text), "%s: %s", error->type, error->message);
}

static int answer(ferry_request *request, const void *args, const void *handlers, void *ctx) {
    (void)args;
    (void)handlers;
    (void)ctx;
    return ferry_request_return(request, ferry_str("\x05"));
}

static void a_program_gets_an_event_of_a_broken_description(void) {
    static const ferry_method methods[] = {{.name = "no name", .dispatch = answer}};
    static const ferry_service odd = {.schema_version = FERRY_SCHEMA_VERSION,
                                      .name = "odd.Odd",
                                      .n_methods = 1,
                                      .methods = methods};
    ferry_client *server = NULL;

    set_up();
    CU_ASSERT_EQUAL_FATAL(
        ferry_open(broker.url, &(ferry_options){.on_event = on_event}, &server, NULL), 0);
    CU_ASSERT_EQUAL(ferry_serve(server, &odd, NULL, NULL, NULL, NULL, NULL), 0);
    for (int i = 0; i < 6000 && !*event_text; i++) {
        ferry_process(server, NULL);
        usleep(10000);
    }
    CU_ASSERT_STRING_EQUAL(event_text, "ferry.InvalidArgument: description[0]: a name is invalid");
    ferry_close(server);
    tear_down();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(broken_descriptions_are_reported),
        TEST(a_program_gets_an_event_of_a_broken_description),
        TESTS_END,
    };

    return run_suite("broken descriptions", tests);
}
