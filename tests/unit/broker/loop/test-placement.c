#include "broker/loop/placement.h"

#include "support/suite.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

/* A thread that waits, as libzmq's does. */
typedef struct Other {
    pthread_t thread;
    pid_t id;
    int ready[2], end[2];
} Other;

static struct {
    Timers timers;
    Placement placement;
    cpu_set_t before;
    Other other;
} scene;

static void *wait_for_end(void *ctx) {
    Other *other = ctx;
    char byte = 0;

    other->id = gettid();
    CU_ASSERT_EQUAL(write(other->ready[1], &byte, 1), 1);
    CU_ASSERT_EQUAL(read(other->end[0], &byte, 1), 0);
    return NULL;
}

static void begin(Together together) {
    Other *other = &scene.other;
    char byte;

    CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof(scene.before), &scene.before), 0);
    CU_ASSERT_EQUAL(pipe(other->ready), 0);
    CU_ASSERT_EQUAL(pipe(other->end), 0);
    CU_ASSERT_EQUAL(pthread_create(&other->thread, NULL, wait_for_end, other), 0);
    CU_ASSERT_EQUAL(read(other->ready[0], &byte, 1), 1);
    timers_init(&scene.timers, 1000);
    scene.placement = (Placement){.timers = NULL};
    placement_begin(&scene.placement, &scene.timers, together);
}

static void end(void) {
    Other *other = &scene.other;

    close(other->end[1]);
    pthread_join(other->thread, NULL);
    close(other->end[0]);
    close(other->ready[0]);
    close(other->ready[1]);
    timer_disarm(&scene.timers, &scene.placement.timer);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(scene.before), &scene.before), 0);
}

static cpu_set_t set_of(pid_t thread) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CU_ASSERT_EQUAL(sched_getaffinity(thread, sizeof(set), &set), 0);
    return set;
}

static bool are_together(void) {
    cpu_set_t loop = set_of(0), other = set_of(scene.other.id);

    return CPU_COUNT(&loop) == 1 && CPU_EQUAL(&loop, &other);
}

static bool are_free(void) {
    cpu_set_t loop = set_of(0), other = set_of(scene.other.id);

    return CPU_EQUAL(&loop, &scene.before) && CPU_EQUAL(&other, &scene.before);
}

/* To the next timer. */
static void run_next(void) {
    timers_run(&scene.timers, scene.placement.timer.at_ms, NULL);
}

static void all_threads_share_one_processor(void) {
    begin(TOGETHER_YES);
    CU_ASSERT_TRUE(are_together());
    end();
}

static void the_loop_may_move_now_and_then_and_the_others_follow(void) {
    cpu_set_t loop;

    begin(TOGETHER_YES);
    for (int i = 0; i < 5; i++) {
        run_next();
        loop = set_of(0);
        CU_ASSERT_TRUE(CPU_EQUAL(&loop, &scene.before));
        run_next();
        CU_ASSERT_TRUE(are_together());
    }
    end();
}

static void who_is_moved_from_outside_stays_there(void) {
    begin(TOGETHER_YES);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(scene.before), &scene.before), 0);
    run_next();
    CU_ASSERT_FALSE(timer_armed(&scene.placement.timer));
    CU_ASSERT_FALSE(are_together());
    end();
}

static void no_means_no(void) {
    begin(TOGETHER_NO);
    CU_ASSERT_TRUE(are_free());
    CU_ASSERT_FALSE(timer_armed(&scene.placement.timer));
    end();
}

static void of_itself_it_does_so_where_there_are_two(void) {
    begin(TOGETHER_AUTO);
    if (CPU_COUNT(&scene.before) == 2)
        CU_ASSERT_TRUE(are_together());
    if (CPU_COUNT(&scene.before) > 2)
        CU_ASSERT_TRUE(are_free());
    end();
}

static void with_a_single_one_there_is_nothing_to_choose(void) {
    cpu_set_t before, one;

    CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof(before), &before), 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(one), &one), 0);
    begin(TOGETHER_YES);
    CU_ASSERT_FALSE(timer_armed(&scene.placement.timer));
    end();
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof(before), &before), 0);
}

int main(void) {
    CU_TestInfo several[] = {
        TEST(all_threads_share_one_processor),
        TEST(the_loop_may_move_now_and_then_and_the_others_follow),
        TEST(who_is_moved_from_outside_stays_there),
        TEST(no_means_no),
        TEST(of_itself_it_does_so_where_there_are_two),
        TEST(with_a_single_one_there_is_nothing_to_choose),
        TESTS_END,
    };
    CU_TestInfo single[] = {TEST(no_means_no), TEST(with_a_single_one_there_is_nothing_to_choose),
                            TESTS_END};
    cpu_set_t all;

    CPU_ZERO(&all);
    sched_getaffinity(0, sizeof(all), &all);
    return run_suite("placement", CPU_COUNT(&all) > 1 ? several : single);
}
