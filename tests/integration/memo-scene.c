/* SPDX-License-Identifier: Apache-2.0 */
/* Memoised methods, and caches for them. See memo-scene.h. */

#include "memo-scene.h"

#include <string.h>

#include "support/suite.h"

bool with_redis, over_cluster, never_near;
CacheSetup memo_servers;

static bool all_near;
static int asked; /* atomic: requests that reached a handler */

/* ---- the server: each answer is the number of requests so far ---- */

int64_t memo_count(void) {
    return __atomic_add_fetch(&asked, 1, __ATOMIC_ACQ_REL);
}

int times_asked(void) {
    return __atomic_load_n(&asked, __ATOMIC_ACQUIRE);
}

static int square(ferry_request *request, int32_t a, void *ctx) {
    (void)ctx;
    memo_count();
    return memo_users_square_return(request, (int64_t)a * a);
}

static int find(ferry_request *request, int64_t id, void *ctx) {
    int64_t n = memo_count();

    (void)ctx;
    if (id == MEMO_FIELDLESS)
        return ferry_request_throw(request, "memo.NoSuchUser", NULL, "without its fields");
    if (id == MEMO_UNDECLARED)
        return ferry_request_throw(request, "memo.Undeclared", NULL, "never remembered");
    if (id < 0)
        return memo_throw_no_such_user(request,
                                       &(memo_no_such_user){.id = id, .message = "nobody"});
    return memo_users_find_return(request, &(memo_user){.id = id, .name = n > 1 ? "new" : "old"});
}

static int title(ferry_request *request, const memo_user *user, const char *language, void *ctx) {
    (void)ctx, (void)language;
    memo_count();
    return memo_users_title_return(request, user->name);
}

static int brief(ferry_request *request, int32_t a, void *ctx) {
    (void)ctx, (void)a;
    return memo_users_brief_return(request, memo_count());
}

static int stale(ferry_request *request, int32_t a, void *ctx) {
    (void)ctx, (void)a;
    return memo_users_stale_return(request, memo_count());
}

static int plain(ferry_request *request, int32_t a, void *ctx) {
    (void)ctx;
    memo_count();
    return memo_throw_no_such_user(request, &(memo_no_such_user){.id = a, .message = "nobody"});
}

const memo_users_handlers memo_handlers = {
    .square = square, .find = find, .title = title, .brief = brief, .stale = stale, .plain = plain};

/* ---- the cache ---- */

static bool choose(const char *where) {
    with_redis = strcmp(where, "memory") != 0;
    over_cluster = strcmp(where, "cluster") == 0;
    never_near = strcmp(where, "far") == 0;
    all_near = strcmp(where, "near") == 0;
    return cache_setup(&memo_servers, over_cluster ? "cluster" : with_redis ? "unix" : "memory");
}

void memo_start(void) {
    __atomic_store_n(&asked, 0, __ATOMIC_RELEASE);
    cache_setup_empty(&memo_servers);
}

ferry_cache *memo_cache(uint32_t timeout_ms) {
    const ferry_cache_options with = {.timeout_ms = timeout_ms,
                                      .near_cache = all_near     ? FERRY_NEAR_ALL
                                                    : never_near ? FERRY_NEAR_NOTHING
                                                                 : FERRY_NEAR_MEMOISED};
    ferry_cache *cache = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(memo_servers.url, &with, &cache, NULL), 0);
    return cache;
}

int main(int argc, char **argv) {
    int r;

    if (!choose(argc > 1 ? argv[1] : "memory"))
        return EXIT_SKIPPED;
    r = memo_calls_suite();
    if (memo_serve_suite() != EXIT_SUCCESS)
        r = EXIT_FAILURE;
    cache_setup_end(&memo_servers);
    return r;
}
