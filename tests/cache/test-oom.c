/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation fails once: a function fails with -ENOMEM or works without the memory, and
 * nothing leaks. */

#include <ferry/cache.h>
#include <stdio.h>
#include <string.h>

#include "cache-setup.h"
#include "support/oom.h"
#include "support/suite.h"

static const char *url;

static void opening_fails_whole(void) {
    static const char *const urls[] = {"memory://", "redis://a,b:6380/2", "redis+unix:///x?db=1",
                                       "redis+cluster://u:p@a,b:7001",
                                       "redis+sentinel://u:p@a,b:7001/m?sentinel_login=u:p"};

    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++)
        OOM_EACH(n) {
            ferry_cache *cache = NULL;
            int r =
                ferry_cache_open(urls[i], &(ferry_cache_options){.near_cache = true}, &cache, NULL);

            OOM_STOP;
            CU_ASSERT_EQUAL(r, oom_happened() ? -ENOMEM : 0);
            CU_ASSERT_EQUAL(cache != NULL, r == 0);
            ferry_cache_close(cache);
        }
}

static ferry_cache *open_cache(void) {
    ferry_cache_options options = {.timeout_ms = 60000, .near_cache = true};
    ferry_cache *cache = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    CU_ASSERT_EQUAL(
        ferry_cache_set_tagged(cache, ferry_str("is"), ferry_str("there"), 0, "t", NULL), 0);
    return cache;
}

static void is_whole(ferry_bytes *got, const char *text) {
    CU_ASSERT_EQUAL(got->len, strlen(text));
    CU_ASSERT_EQUAL(memcmp(got->data, text, got->len), 0);
    ferry_free(got);
}

/* If memory runs out, the connection is closed; after three such failures the breaker opens. */
static void recover(ferry_cache *cache) {
    ferry_bytes *got = NULL;

    for (int i = 0; i < 30000 && ferry_cache_get(cache, ferry_str("is"), &got, NULL) != 1; i++)
        sleep_ms(2);
    CU_ASSERT_PTR_NOT_NULL(got);
    ferry_free(got);
}

static void reading_and_writing_fail_whole(void) {
    ferry_cache *cache = open_cache();

    OOM_EACH(n) {
        ferry_bytes *got = NULL;
        int r = ferry_cache_get(cache, ferry_str("is"), &got, NULL);

        OOM_STOP;
        recover(cache);
        CU_ASSERT(r == 1 || oom_happened());
        if (r == 1)
            is_whole(got, "there");
    }
    OOM_EACH(n) {
        ferry_bytes *got = NULL;
        int r = ferry_cache_set_tagged(cache, ferry_str("k"), ferry_str("new"), 60000, "t,u", NULL);

        OOM_STOP;
        recover(cache);
        CU_ASSERT(r == 0 || (r == -ENOMEM && oom_happened()));
        if (r == 0 && !oom_happened()) {
            CU_ASSERT_EQUAL_FATAL(ferry_cache_get(cache, ferry_str("k"), &got, NULL), 1);
            is_whole(got, "new");
        }
    }
    OOM_EACH(n) {
        ferry_bytes keys[] = {ferry_str("is"), ferry_str("not")}, *got = NULL;
        int r = ferry_cache_get_many(cache, keys, 2, &got, NULL);

        OOM_STOP;
        recover(cache);
        CU_ASSERT(r == 1 || oom_happened());
        if (r >= 0)
            ferry_free(got);
    }
    OOM_EACH(n) {
        int r = ferry_cache_invalidate(cache, "u,v", NULL);

        OOM_STOP;
        recover(cache);
        CU_ASSERT(r == 0 || oom_happened());
    }
    ferry_cache_close(cache);
}

static int compute(ferry_packer *out, void *ctx) {
    ++*(int *)ctx;
    ferry_pack_str(out, "computed");
    return 0;
}

static void fetching_fails_or_gives_the_value(void) {
    ferry_cache *cache = open_cache();
    char key[24];

    OOM_EACH(n) {
        ferry_fetch_options options = {
            .ttl_ms = 60000, .stale_ms = 1000, .wait_ms = 50, .tags = "t"};
        ferry_bytes *got = NULL;
        int times = 0, r;

        snprintf(key, sizeof(key), "fetch:%u", n);
        r = ferry_cache_fetch(cache, ferry_str(key), &options, compute, &times, &got, NULL);
        OOM_STOP;
        recover(cache);
        CU_ASSERT(times <= 1);
        CU_ASSERT(r == 0 || (r == -ENOMEM && oom_happened()));
        if (r == 0)
            is_whole(got, "\xA8"
                          "computed");
        /* A lease that could not be released blocks other computations only for wait_ms. */
        times = 0;
        CU_ASSERT_EQUAL(
            ferry_cache_fetch(cache, ferry_str(key), &options, compute, &times, &got, NULL), 0);
        is_whole(got, "\xA8"
                      "computed");
    }
    ferry_cache_close(cache);
}

int main(int argc, char **argv) {
    CU_TestInfo tests[] = {
        TEST(opening_fails_whole),
        TEST(reading_and_writing_fail_whole),
        TEST(fetching_fails_or_gives_the_value),
        TESTS_END,
    };
    CacheSetup setup;
    int r;

    if (!cache_setup(&setup, argc > 1 ? argv[1] : "memory"))
        return EXIT_SKIPPED;
    url = setup.url;
    r = run_suite("cache: out of memory", tests);
    cache_setup_end(&setup);
    return r;
}
