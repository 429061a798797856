/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "clients/web/http/path.h"
#include "support/suite.h"

static void a_path_is_split_and_decoded(void) {
    Path path;

    CU_ASSERT_PTR_NULL(path_split("/api/queues/a%20b%2Fc/jobs", &path));
    CU_ASSERT_EQUAL_FATAL(path.n, 4);
    CU_ASSERT_STRING_EQUAL(path.parts[0], "api");
    CU_ASSERT_STRING_EQUAL(path.parts[2], "a b/c");
    CU_ASSERT_STRING_EQUAL(path.parts[3], "jobs");
    CU_ASSERT_PTR_NULL(path_split("/", &path));
    CU_ASSERT_EQUAL(path.n, 0);
    CU_ASSERT_PTR_NULL(path_split("/x+y", &path));
    CU_ASSERT_STRING_EQUAL(path.parts[0], "x+y");
}

static void bad_paths_are_refused(void) {
    static const char *const bad[] = {"",     "x",     "/a%", "/a%4",  "/a%zz",         "/a%00",
                                      "/%ff", "/a%0a", "/a/", "/a%7f", "/1/2/3/4/5/6/7"};
    char longest[PATH_BYTES_MAX + 1];
    Path path;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_PTR_NOT_NULL(path_split(bad[i], &path));
    memset(longest, 'a', sizeof(longest));
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    CU_ASSERT_PTR_NOT_NULL(path_split(longest, &path));
    longest[sizeof(longest) - 2] = '\0';
    CU_ASSERT_PTR_NULL(path_split(longest, &path));
}

static void a_pattern_matches_whole_parts(void) {
    Path path;

    path_split("/api/queues/mail/pause", &path);
    CU_ASSERT_TRUE(path_matches(&path, "/api/queues/NAME/pause"));
    CU_ASSERT_FALSE(path_matches(&path, "/api/queues/NAME"));
    CU_ASSERT_FALSE(path_matches(&path, "/api/queues/NAME/pause/now"));
    CU_ASSERT_FALSE(path_matches(&path, "/api/queues/NAME/pau"));
    CU_ASSERT_FALSE(path_matches(&path, "/"));
    path_split("/", &path);
    CU_ASSERT_TRUE(path_matches(&path, "/"));
    CU_ASSERT_FALSE(path_matches(&path, "/FILE"));
    path_split("/index.html", &path);
    CU_ASSERT_TRUE(path_matches(&path, "/FILE"));
}

static void a_query_has_plus_for_a_space(void) {
    char text[] = "a+b%2Bc", wrong[] = "a%2";

    CU_ASSERT_PTR_NULL(path_decode(text, true));
    CU_ASSERT_STRING_EQUAL(text, "a b+c");
    CU_ASSERT_PTR_NOT_NULL(path_decode(wrong, true));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_path_is_split_and_decoded),
        TEST(bad_paths_are_refused),
        TEST(a_pattern_matches_whole_parts),
        TEST(a_query_has_plus_for_a_space),
        TESTS_END,
    };

    return run_suite("web: paths", tests);
}
