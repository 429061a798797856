/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/redis/ketama.h"

#include <stdlib.h>
#include <string.h>

#include "cache/redis/md5.h"
#include "support/suite.h"

static Span span(const char *text) {
    return (Span){(const uint8_t *)text, strlen(text)};
}

static void md5_gives_the_digests_of_its_rfc(void) {
    static const struct {
        const char *text;
        uint8_t first[4];
    } cases[] = {
        {"", {0xd4, 0x1d, 0x8c, 0xd9}},
        {"a", {0x0c, 0xc1, 0x75, 0xb9}},
        {"message digest", {0xf9, 0x6b, 0x69, 0x7d}},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         {0xd1, 0x74, 0xab, 0x98}},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         {0x57, 0xed, 0xf4, 0xa2}},
    };
    uint8_t digest[16];

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        md5(cases[i].text, strlen(cases[i].text), digest);
        CU_ASSERT_EQUAL(memcmp(digest, cases[i].first, 4), 0);
    }
}

/* From libmemcached's table of cases for ketama: the key "SVa_]_V41)" has the hash 443691461, and
 * the point 445379617 belongs to 10.0.1.7. */
static void hashes_and_points_are_those_that_libmemcached_published(void) {
    static const char *const servers[] = {"10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4",
                                          "10.0.1.5", "10.0.1.6", "10.0.1.7", "10.0.1.8"};
    KetamaPoint *points = ketama_new(servers, 8);
    bool found = false;

    CU_ASSERT_EQUAL(ketama_hash(span("SVa_]_V41)")), 443691461);
    for (size_t i = 0; i < 8 * KETAMA_POINTS; i++) {
        CU_ASSERT_TRUE(i == 0 || points[i - 1].at <= points[i].at);
        found |= points[i].at == 445379617 && points[i].server == 6;
    }
    CU_ASSERT_TRUE(found);
    free(points);
}

static void the_continuum_wraps_around(void) {
    static const char *const servers[] = {"10.0.1.1:11211", "10.0.1.2:11211", "10.0.1.3:11211",
                                          "10.0.1.4:11211", "10.0.1.5:11211", "10.0.1.6:11211",
                                          "10.0.1.7:11211", "10.0.1.8:11211"};
    enum { N = 8 * KETAMA_POINTS };
    KetamaPoint *points = ketama_new(servers, 8);

    /* Computed with another implementation of MD5. */
    CU_ASSERT_EQUAL(points[0].at, 762113);
    CU_ASSERT_EQUAL(points[0].server, 4);
    CU_ASSERT_EQUAL(points[N - 1].at, 4293620028u);
    CU_ASSERT_EQUAL(ketama_find(points, N, 762113), 4);
    CU_ASSERT_EQUAL(ketama_find(points, N, 0), 4);
    CU_ASSERT_EQUAL(ketama_find(points, N, 4293620028u), points[N - 1].server);
    CU_ASSERT_EQUAL(ketama_find(points, N, UINT32_MAX), points[0].server);
    free(points);
}

static void one_server_more_moves_only_its_share(void) {
    static const char *const servers[] = {"a:1", "b:1", "c:1", "d:1", "e:1"};
    KetamaPoint *before = ketama_new(servers, 4), *after = ketama_new(servers, 5);
    int moved = 0;

    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t hash = ketama_hash((Span){(const uint8_t *)&i, sizeof(i)});
        uint32_t was = ketama_find(before, 4 * KETAMA_POINTS, hash);
        uint32_t is = ketama_find(after, 5 * KETAMA_POINTS, hash);

        CU_ASSERT_TRUE(is == was || is == 4);
        moved += is != was;
    }
    CU_ASSERT_TRUE(moved > 1000 && moved < 3000);
    free(before);
    free(after);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(md5_gives_the_digests_of_its_rfc),
        TEST(hashes_and_points_are_those_that_libmemcached_published),
        TEST(the_continuum_wraps_around),
        TEST(one_server_more_moves_only_its_share),
        TESTS_END,
    };

    return run_suite("cache ketama", tests);
}
