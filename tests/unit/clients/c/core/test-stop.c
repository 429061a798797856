/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of other threads on a client that is closed as soon as the call has had its effect. */

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include <ferry/pool.h>

#include "support/suite.h"

/* write() of this thread is delayed: the change that it announces has happened long before. */
static _Thread_local bool is_slow;
static sem_t has_begun;
static ssize_t written;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

ssize_t __wrap_write(int fd, const void *data, size_t size) {
    ssize_t n;

    if (!is_slow)
        return __real_write(fd, data, size);
    is_slow = false;
    sem_post(&has_begun);
    usleep(50 * 1000);
    n = __real_write(fd, data, size);
    written = n;
    return n;
}

/* A client of a broker that does not exist. */
static ferry_client *client_new(void) {
    ferry_client *client = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_open("ipc:///nowhere/at/all", NULL, &client, NULL), 0);
    return client;
}

static void *run_and_close(void *client) {
    sem_wait(&has_begun);
    ferry_run(client, NULL);
    ferry_close(client);
    return NULL;
}

static void *close_pool(void *pool) {
    sem_wait(&has_begun);
    ferry_pool_close(pool);
    return NULL;
}

/* Another thread closes the client as soon as possible. The bytes that does() writes must reach the
 * client's descriptor before that. */
static void expect_done_before(void *(*closes)(void *what), int (*does)(void *what), void *what) {
    pthread_t thread;

    pthread_create(&thread, NULL, closes, what);
    written = 0;
    is_slow = true;
    CU_ASSERT_EQUAL(does(what), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(written, 8);
}

static int stop(void *client) {
    return ferry_stop(client);
}

static void stop_later(void *client) {
    ferry_stop(client);
}

static int post(void *client) {
    return ferry_post(client, stop_later, client);
}

static int stop_pool(void *pool) {
    return ferry_pool_stop(pool);
}

static void a_stop_finishes_before_the_client_is_freed(void) {
    expect_done_before(run_and_close, stop, client_new());
}

static void a_post_finishes_before_the_client_is_freed(void) {
    expect_done_before(run_and_close, post, client_new());
}

static void a_stop_of_a_pool_finishes_before_its_client_is_freed(void) {
    ferry_pool *pool = NULL;

    CU_ASSERT_EQUAL_FATAL(ferry_pool_open(NULL, &pool, NULL), 0);
    expect_done_before(close_pool, stop_pool, pool);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_stop_finishes_before_the_client_is_freed),
        TEST(a_post_finishes_before_the_client_is_freed),
        TEST(a_stop_of_a_pool_finishes_before_its_client_is_freed),
        TESTS_END,
    };

    sem_init(&has_begun, 0, 0);
    return run_suite("client: stops", tests);
}
