/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/web/http/guard.h"
#include "support/suite.h"

static const char *const extra[] = {"ferry.example"};
static const GuardNames names = {extra, 1, "http"};

static unsigned check(GuardRequest request) {
    const char *why = "";

    if (!request.host)
        request.host = "127.0.0.1:5878";
    return guard_check(&request, &names, &why);
}

static void only_known_hosts_are_served(void) {
    static const char *const good[] = {"127.0.0.1",        "127.0.0.1:80", "localhost",
                                       "LOCALHOST:5878",   "[::1]:5878",   "[::1]",
                                       "ferry.example:80", "10.1.2.3"};
    static const char *const bad[] = {"evil.example",
                                      "",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil",
                                      "ferry.example.",
                                      "localhost:",
                                      "localhost:x",
                                      "[::1",
                                      "127.0.0.1:80@evil.example"};
    const char *why;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        CU_ASSERT_EQUAL(check((GuardRequest){.host = good[i], .is_read = true}), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CU_ASSERT_EQUAL(check((GuardRequest){.host = bad[i], .is_read = true}), 421);
        CU_ASSERT_EQUAL(check((GuardRequest){.host = bad[i], .is_page = true}), 421);
    }
    CU_ASSERT_EQUAL(guard_check(&(GuardRequest){.is_read = true}, &names, &why), 421);
}

static void pages_of_other_sites_are_refused(void) {
    static const char *const sites[] = {"cross-site", "same-site", "x"};
    static const char *const origins[] = {"null", "http://evil.example", "https://127.0.0.1:5878",
                                          "http://127.0.0.1:5879", "http://127.0.0.1:5878.evil"};

    for (size_t i = 0; i < sizeof(sites) / sizeof(*sites); i++) {
        CU_ASSERT_EQUAL(check((GuardRequest){.fetch_site = sites[i], .is_read = true}), 403);
        CU_ASSERT_EQUAL(check((GuardRequest){.fetch_site = sites[i], .is_page = true}), 0);
    }
    for (size_t i = 0; i < sizeof(origins) / sizeof(*origins); i++)
        CU_ASSERT_EQUAL(
            check((GuardRequest){.origin = origins[i], .content_type = "application/json"}), 403);
    CU_ASSERT_EQUAL(check((GuardRequest){.origin = "http://127.0.0.1:5878",
                                         .fetch_site = "same-origin",
                                         .content_type = "application/json"}),
                    0);
}

static void a_change_needs_headers_that_a_form_cannot_send(void) {
    static const char *const forms[] = {"text/plain", "application/x-www-form-urlencoded",
                                        "multipart/form-data; boundary=x", "application/jsonx", ""};

    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        CU_ASSERT_EQUAL(check((GuardRequest){.content_type = forms[i]}), 415);
        CU_ASSERT_EQUAL(check((GuardRequest){.content_type = forms[i], .takes_bytes = true}), 415);
    }
    CU_ASSERT_EQUAL(check((GuardRequest){0}), 415);
    CU_ASSERT_EQUAL(check((GuardRequest){.content_type = "application/x-ndjson"}), 415);
    CU_ASSERT_EQUAL(
        check((GuardRequest){.content_type = "application/x-ndjson", .takes_lines = true}), 0);
    CU_ASSERT_EQUAL(check((GuardRequest){.content_type = "application/json; charset=utf-8"}), 0);
    CU_ASSERT_EQUAL(check((GuardRequest){.content_type = "application/octet-stream"}), 415);
    CU_ASSERT_EQUAL(
        check((GuardRequest){.content_type = "application/octet-stream", .takes_bytes = true}), 0);
    CU_ASSERT_EQUAL(check((GuardRequest){.content_type = "application/json", .is_action = true}),
                    403);
    CU_ASSERT_EQUAL(check((GuardRequest){.content_type = "application/json",
                                         .ferry_request = "1",
                                         .is_action = true}),
                    0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(only_known_hosts_are_served),
        TEST(pages_of_other_sites_are_refused),
        TEST(a_change_needs_headers_that_a_form_cannot_send),
        TESTS_END,
    };

    return run_suite("web: where requests come from", tests);
}
