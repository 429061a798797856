/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/address/endpoint-list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "support/suite.h"

/* The brokers that the URL lists, with a space after each. */
static const char *read(const char *url) {
    CLEANUP(endpoint_list_free) EndpointList *list = NULL;
    static char text[4096];

    *text = '\0';
    CU_ASSERT_EQUAL_FATAL(endpoint_list_new(&list, url, NULL), 0);
    for (unsigned i = 0; i < list->n; i++)
        sprintf(text + strlen(text), "%s ", list->urls[i]);
    return text;
}

static const char *refuse(const char *url) {
    CLEANUP(endpoint_list_free) EndpointList *list = NULL;
    static char text[1024];
    ferry_error error = FERRY_ERROR_INIT;

    *text = '\0';
    CU_ASSERT_EQUAL_FATAL(endpoint_list_new(&list, url, &error), -EINVAL);
    snprintf(text, sizeof(text), "%s", error.message);
    ferry_error_clear(&error);
    return text;
}

static void a_url_lists_brokers(void) {
    CU_ASSERT_STRING_EQUAL(read("tcp://a:1"), "tcp://a:1 ");
    CU_ASSERT_STRING_EQUAL(read("tcp://a:1,tcp://b:2,ipc:///run/c"),
                           "tcp://a:1 tcp://b:2 ipc:///run/c ");
    CU_ASSERT_STRING_EQUAL(read("zmq+tcp://a:1,zmq+tcp://b:2"), "zmq+tcp://a:1 zmq+tcp://b:2 ");
    CU_ASSERT_STRING_EQUAL(read("tcp://a:1,tcp://b:2?prefer=order"), "tcp://a:1 tcp://b:2 ");
}

static void a_path_may_have_commas(void) {
    CU_ASSERT_STRING_EQUAL(read("ipc:///run/a,b"), "ipc:///run/a,b ");
    CU_ASSERT_STRING_EQUAL(read("ipc:///run/a,b,ipc://c"), "ipc:///run/a,b ipc://c ");
}

static void a_bad_list_is_refused_with_the_reason(void) {
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp://a:1,b:2"), "each broker of a list is a URL"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp://a:1,"), "each broker of a list is a URL"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp://a:1,tcp://b"), "'tcp://b' is not the URL"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp://a:1,tcp://a:1"), "'tcp://a:1' twice"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(refuse("tcp://a:1,zmq+tcp://b:1"), "write it in front of all of them"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp://a:1?prefer=near"), "any, local or order"));
}

static void a_list_has_sixteen_brokers_at_most(void) {
    char url[32 * (BROKERS_MAX + 1)] = "ipc://0";

    for (int i = 1; i < BROKERS_MAX; i++)
        sprintf(url + strlen(url), ",ipc://%d", i);
    CU_ASSERT_PTR_NOT_NULL(strstr(read(url), "ipc://15 "));
    strcat(url, ",ipc://16");
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse(url), "more than 16 brokers"));
}

/* The order in which a client with these random numbers tries the brokers. */
static const char *arranged(const char *url, uint64_t random) {
    CLEANUP(endpoint_list_free) EndpointList *list = NULL;
    uint64_t numbers[BROKERS_MAX];
    static char text[256];

    for (size_t i = 0; i < BROKERS_MAX; i++)
        numbers[i] = random;
    *text = '\0';
    CU_ASSERT_EQUAL_FATAL(endpoint_list_new(&list, url, NULL), 0);
    endpoint_list_arrange(list, numbers);
    for (unsigned i = 0; i < list->n; i++)
        sprintf(text + strlen(text), "%s ", list->urls[i]);
    return text;
}

static void any_broker_may_be_the_first(void) {
    static const char url[] = "ipc://a,ipc://b,ipc://c";
    bool was_first[3] = {false, false, false};

    for (uint64_t i = 0; i < 6; i++)
        was_first[arranged(url, i)[6] - 'a'] = true;
    CU_ASSERT_TRUE(was_first[0] && was_first[1] && was_first[2]);
}

static void a_list_in_order_stays_in_order(void) {
    for (uint64_t i = 0; i < 6; i++)
        CU_ASSERT_STRING_EQUAL(arranged("ipc://a,ipc://b,ipc://c?prefer=order", i),
                               "ipc://a ipc://b ipc://c ");
}

static void local_brokers_come_first_if_they_are_preferred(void) {
    for (uint64_t i = 0; i < 6; i++) {
        const char *text = arranged("tcp://far:1,tcp://127.0.0.1:1,tcp://away:1?prefer=local", i);

        CU_ASSERT_EQUAL(strncmp(text, "tcp://127.0.0.1:1 ", 18), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "tcp://far:1 "));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "tcp://away:1 "));
    }
}

static void a_name_stands_for_brokers(void) {
    CLEANUP(endpoint_list_free) EndpointList *list = NULL;

    CU_ASSERT_EQUAL_FATAL(endpoint_list_new(&list, "tcp+srv://a.test?prefer=local", NULL), 0);
    CU_ASSERT_EQUAL(list->n, 0);
    CU_ASSERT_EQUAL(list->prefer, PREFER_LOCAL);
    CU_ASSERT_STRING_EQUAL(list->name, "tcp+srv://a.test");
    list = endpoint_list_free(list);
    CU_ASSERT_EQUAL_FATAL(endpoint_list_new(&list, "tcp+dns://a.test:5877", NULL), 0);
    CU_ASSERT_STRING_EQUAL(list->name, "tcp+dns://a.test:5877");
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp+dns://a.test"), "NAME:PORT"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp+dns://127.0.0.1:1"), "NAME:PORT"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp+srv://a.test:1"), "without a port"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(refuse("tcp+srv://a.test,tcp://b:1"), "no other broker beside it"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("tcp://b:1,tcp+srv://a.test"), "'tcp+srv://a.test'"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(refuse("tcp://b:1,tcp+dns://a.test:1"), "no other broker beside it"));
    CU_ASSERT_PTR_NOT_NULL(strstr(refuse("zmq+tcp+srv://a.test"), "is not the URL"));
}

static void the_brokers_of_a_name_are_found(void) {
    CLEANUP(endpoint_list_free) EndpointList *named = NULL, *list = NULL;

    CU_ASSERT_EQUAL_FATAL(endpoint_list_new(&named, "tcp+dns://localhost:5877", NULL), 0);
    CU_ASSERT_EQUAL_FATAL(endpoint_list_find(&list, named, 20000, NULL), 0);
    CU_ASSERT_TRUE(endpoint_list_index(list, "tcp://127.0.0.1:5877") < list->n);
    CU_ASSERT_EQUAL(endpoint_list_index(list, "tcp://127.0.0.9:5877"), list->n);
    CU_ASSERT_STRING_EQUAL(list->name, "tcp+dns://localhost:5877");
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_url_lists_brokers),
        TEST(a_path_may_have_commas),
        TEST(a_bad_list_is_refused_with_the_reason),
        TEST(a_list_has_sixteen_brokers_at_most),
        TEST(any_broker_may_be_the_first),
        TEST(a_list_in_order_stays_in_order),
        TEST(local_brokers_come_first_if_they_are_preferred),
        TEST(a_name_stands_for_brokers),
        TEST(the_brokers_of_a_name_are_found),
        TESTS_END,
    };

    return run_suite("rpc/address lists of endpoints", tests);
}
