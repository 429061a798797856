/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/connection/url.h"

#include <errno.h>
#include <string.h>

#include "support/suite.h"

static void each_kind_of_url_is_taken_apart(void) {
    CacheUrl url;

    CU_ASSERT_EQUAL(cache_url_parse("memory://", &url, NULL), 0);
    CU_ASSERT_EQUAL(url.kind, CACHE_URL_MEMORY);
    cache_url_deinit(&url);
    CU_ASSERT_EQUAL(cache_url_parse("redis://example.org", &url, NULL), 0);
    CU_ASSERT_STRING_EQUAL(url.hosts[0].name, "example.org");
    CU_ASSERT_EQUAL(url.hosts[0].port, 6379);
    CU_ASSERT_EQUAL(url.db, 0);
    cache_url_deinit(&url);
    CU_ASSERT_EQUAL(cache_url_parse("redis://us%3aer:p%40ss@[::1]:7,b,c:9/12", &url, NULL), 0);
    CU_ASSERT_STRING_EQUAL(url.user, "us:er");
    CU_ASSERT_STRING_EQUAL(url.password, "p@ss");
    CU_ASSERT_STRING_EQUAL(url.hosts[0].name, "::1");
    CU_ASSERT_EQUAL(url.hosts[0].port, 7);
    CU_ASSERT_EQUAL(url.hosts[2].port, 9);
    CU_ASSERT_EQUAL(url.n_hosts, 3);
    CU_ASSERT_EQUAL(url.db, 12);
    cache_url_deinit(&url);
    CU_ASSERT_EQUAL(cache_url_parse("redis+unix://:x@/run/redis%20.sock?db=3", &url, NULL), 0);
    CU_ASSERT_STRING_EQUAL(url.hosts[0].name, "/run/redis .sock");
    CU_ASSERT_PTR_NULL(url.user);
    CU_ASSERT_EQUAL(url.db, 3);
    cache_url_deinit(&url);
    CU_ASSERT_EQUAL(cache_url_parse("redis+cluster://a:1,b:2/", &url, NULL), 0);
    CU_ASSERT_EQUAL(url.kind, CACHE_URL_CLUSTER);
    CU_ASSERT_FALSE(url.tls);
    cache_url_deinit(&url);
    CU_ASSERT_EQUAL(cache_url_parse("rediss://:x@a?ca=/a%26b&cert=c&key=k", &url, NULL), 0);
    CU_ASSERT_EQUAL(url.kind, CACHE_URL_REDIS);
    CU_ASSERT_TRUE(url.tls);
    CU_ASSERT_STRING_EQUAL(url.ca, "/a&b");
    CU_ASSERT_STRING_EQUAL(url.certificate, "c");
    CU_ASSERT_STRING_EQUAL(url.key, "k");
    cache_url_deinit(&url);
    CU_ASSERT_EQUAL(
        cache_url_parse("rediss+sentinel://u:p@a,b:7/my%2fmaster/3?sentinel_login=s:q&ca=x", &url,
                        NULL),
        0);
    CU_ASSERT_EQUAL(url.kind, CACHE_URL_SENTINEL);
    CU_ASSERT_EQUAL(url.hosts[0].port, 26379);
    CU_ASSERT_EQUAL(url.hosts[1].port, 7);
    CU_ASSERT_STRING_EQUAL(url.master, "my/master");
    CU_ASSERT_EQUAL(url.db, 3);
    CU_ASSERT_STRING_EQUAL(url.sentinel_user, "s");
    CU_ASSERT_STRING_EQUAL(url.sentinel_password, "q");
    cache_url_deinit(&url);
}

static void the_place_of_a_url_has_no_login_and_no_options(void) {
    static const struct {
        const char *url, *place;
    } rows[] = {
        {"memory://", "memory://"},
        {"redis://example.org/2", "redis://example.org/2"},
        {"redis://us:p%40s@s@[::1]:7,b/12", "redis://[::1]:7,b/12"},
        {"redis+unix://:x@/run/a@b.sock?db=3", "redis+unix:///run/a@b.sock"},
        {"redis+sentinel://a,b/main?sentinel_login=u:secret", "redis+sentinel://a,b/main"},
        {"redis://a-host-with-a-long-name", "redis://a-host-with-a-long-na"},
        {"nothing", ""},
    };
    char place[30];

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        cache_url_place(rows[i].url, place, sizeof(place));
        CU_ASSERT_STRING_EQUAL(place, rows[i].place);
    }
}

static void malformed_urls_are_refused_with_their_cause(void) {
    static const char *const bad[] = {
        "redis://",
        "redis://:6379",
        "redis://a:0",
        "redis://a:65536",
        "redis://a:x",
        "redis://a,,b",
        "redis://a,",
        "redis://a/x",
        "redis://a/65536",
        "redis://a/-1",
        "redis://::1",
        "redis://[::1",
        "redis://[::1]x",
        "redis://user@a",
        "redis://a b",
        "redis://:%00@a",
        "redis://:%zz@a",
        "redis://:%4@a",
        "redis+unix://",
        "redis+unix://rel/x",
        "redis+unix:///x?y",
        "redis+unix:///%00",
        "redis+cluster://a/1",
        "redis+unix:///x?db=",
        "memory://x",
        "redis://a?ca=x",
        "redis://a?x=y",
        "rediss://a?ca=",
        "rediss://a?ca=x&ca=y",
        "rediss://a?cert=x",
        "rediss+cluster://a/1",
        "rediss://a?sentinel_login=a:b",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a/m/x",
        "redis+sentinel://a/m?sentinel_login=secret",
        "",
    };
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char many[600] = "redis://a", longer[5000];
    CacheUrl url;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        int r = cache_url_parse(bad[i], &url, &error);

        if (r >= 0)
            printf("taken: %s\n", bad[i]);
        CU_ASSERT_TRUE(r == -EINVAL || r == -EOPNOTSUPP);
        CU_ASSERT_TRUE(error.message && *error.message);
    }
    for (int i = 0; i < 64; i++)
        strcat(many, ",a");
    CU_ASSERT_EQUAL(cache_url_parse(many, &url, &error), -EINVAL);
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    CU_ASSERT_EQUAL(cache_url_parse(longer, &url, &error), -EINVAL);
    CU_ASSERT_EQUAL(cache_url_parse(NULL, &url, &error), -EINVAL);
}

static void an_unknown_scheme_is_named_and_a_password_is_not_shown(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CacheUrl url;

    CU_ASSERT_EQUAL(cache_url_parse("redis+tls://:secret@a", &url, &error), -EOPNOTSUPP);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "'redis+tls'"));
    CU_ASSERT_PTR_NULL(strstr(error.message, "secret"));
    CU_ASSERT_EQUAL(cache_url_parse("redis://:secret@a:x", &url, &error), -EINVAL);
    CU_ASSERT_PTR_NULL(strstr(error.message, "secret"));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(each_kind_of_url_is_taken_apart),
        TEST(the_place_of_a_url_has_no_login_and_no_options),
        TEST(malformed_urls_are_refused_with_their_cause),
        TEST(an_unknown_scheme_is_named_and_a_password_is_not_shown),
        TESTS_END,
    };

    return run_suite("cache URLs", tests);
}
