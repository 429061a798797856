/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timers.h"

#include <limits.h>

#include "support/random.h"
#include "support/suite.h"

typedef struct Alarm {
    Timer timer;
    uint64_t fired_ms; /* the wheel's time at its call; 0: not called yet */
    unsigned n_fired;
    bool armed;
    uint64_t at_ms; /* the deadline in the naive reference */
} Alarm;

static Timers wheel;

static void on_alarm(Timer *timer, void *ctx) {
    Alarm *alarm = (Alarm *)timer;

    (void)ctx;
    alarm->fired_ms = wheel.now_ms;
    alarm->n_fired++;
    alarm->armed = false;
}

static void a_timer_fires_once_at_its_time(void) {
    Alarm alarm = {0};

    timers_init(&wheel, 1000);
    CU_ASSERT_EQUAL(timers_next(&wheel), UINT64_MAX);
    timer_arm(&wheel, &alarm.timer, 1005, on_alarm);
    CU_ASSERT_TRUE(timer_armed(&alarm.timer));
    CU_ASSERT_EQUAL(timers_next(&wheel), 1005);
    timers_run(&wheel, 1004, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 0);
    timers_run(&wheel, 1005, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 1);
    CU_ASSERT_FALSE(timer_armed(&alarm.timer));
    timers_run(&wheel, 2000, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 1);
    CU_ASSERT_EQUAL(timers_next(&wheel), UINT64_MAX);
}

static void a_time_that_has_passed_comes_due_one_tick_later(void) {
    Alarm alarm = {0}, zero = {0};

    timers_init(&wheel, 1000);
    timer_arm(&wheel, &alarm.timer, 1000, on_alarm);
    timer_arm(&wheel, &zero.timer, 0, on_alarm);
    timers_run(&wheel, 1001, NULL);
    CU_ASSERT_EQUAL(alarm.fired_ms, 1001);
    CU_ASSERT_EQUAL(zero.fired_ms, 1001);
}

static void a_disarmed_timer_never_fires(void) {
    Alarm alarm = {0};

    timers_init(&wheel, 0);
    timer_disarm(&wheel, &alarm.timer);
    timer_arm(&wheel, &alarm.timer, 70, on_alarm);
    timer_disarm(&wheel, &alarm.timer);
    timer_disarm(&wheel, &alarm.timer);
    CU_ASSERT_EQUAL(timers_next(&wheel), UINT64_MAX);
    timers_run(&wheel, 100, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 0);
}

static void arming_again_moves_the_time(void) {
    Alarm alarm = {0};

    timers_init(&wheel, 0);
    timer_arm(&wheel, &alarm.timer, 10, on_alarm);
    timer_arm(&wheel, &alarm.timer, 100000, on_alarm);
    timers_run(&wheel, 99999, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 0);
    timers_run(&wheel, 100000, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 1);
}

static void a_clock_that_goes_back_is_harmless(void) {
    Alarm alarm = {0};

    timers_init(&wheel, 1000);
    timer_arm(&wheel, &alarm.timer, 1010, on_alarm);
    timers_run(&wheel, 500, NULL);
    CU_ASSERT_EQUAL(wheel.now_ms, 1000);
    CU_ASSERT_EQUAL(alarm.n_fired, 0);
    timers_run(&wheel, 1010, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 1);
}

static void timers_can_wait_for_years(void) {
    static const uint64_t years = UINT64_C(1000) * 86400 * 365 * 3;
    Alarm alarm = {0}, never = {0};

    timers_init(&wheel, 5);
    timer_arm(&wheel, &alarm.timer, years, on_alarm);
    timer_arm(&wheel, &never.timer, UINT64_MAX, on_alarm);
    timers_run(&wheel, years - 1, NULL);
    CU_ASSERT_EQUAL(alarm.n_fired, 0);
    timers_run(&wheel, years, NULL);
    CU_ASSERT_EQUAL(alarm.fired_ms, years);
    CU_ASSERT_EQUAL(never.n_fired, 0);
    timer_disarm(&wheel, &never.timer);
}

static Alarm ring[3];

static void on_ring(Timer *timer, void *ctx) {
    /* The first callback disarms the second timer and arms its own for the same slot, one round
     * later. */
    for (int i = 0; i < 3; i++)
        if (&ring[i].timer != timer)
            timer_disarm(&wheel, &ring[i].timer);
    ((Alarm *)timer)->n_fired++;
    if (((Alarm *)timer)->n_fired < 3)
        timer_arm(&wheel, timer, wheel.now_ms, on_ring);
    (void)ctx;
}

static void a_call_may_arm_and_disarm_any_timer(void) {
    unsigned fired = 0;

    timers_init(&wheel, 0);
    for (int i = 0; i < 3; i++) {
        ring[i] = (Alarm){0};
        timer_arm(&wheel, &ring[i].timer, 64, on_ring);
    }
    timers_run(&wheel, 1000, NULL);
    for (int i = 0; i < 3; i++)
        fired += ring[i].n_fired;
    CU_ASSERT_EQUAL(fired, 3);
    CU_ASSERT_EQUAL(wheel.n, 0);
    CU_ASSERT_EQUAL(timers_next(&wheel), UINT64_MAX);
}

static unsigned n_called;

static void on_one_of_many(Timer *timer, void *ctx) {
    Timer **next = ctx;

    n_called++;
    *next += timer == *next ? 1 : 1000000; /* counts calls in the right order */
}

static void timers_of_one_millisecond_are_called_in_the_order_of_arming(void) {
    enum { N = 100 };
    static Timer timers[N];
    Timer *next = timers;

    n_called = 0;
    timers_init(&wheel, 7);
    for (unsigned i = 0; i < N; i++) {
        /* Timers that are armed later are nearer to their deadline, so they move down through
         * different levels. */
        timers_run(&wheel, 7 + i * 50, &next);
        timer_arm(&wheel, &timers[i], 5000, on_one_of_many);
    }
    timers_run(&wheel, 5000, &next);
    CU_ASSERT_EQUAL(n_called, N);
    CU_ASSERT_PTR_EQUAL(next, timers + N);
}

static void many_due_timers_are_called_in_slices(void) {
    enum { N = 1000, SLICE = 30 };
    static Timer timers[N];
    Alarm soon = {0}, later = {0};
    Timer *next = timers;
    unsigned n_slices = 0;

    n_called = 0;
    timers_init(&wheel, 5);
    for (unsigned i = 0; i < N; i++)
        timer_arm(&wheel, &timers[i], 300000, on_one_of_many);
    timer_arm(&wheel, &later.timer, 300001, on_alarm);
    timers_run_some(&wheel, 299999, UINT_MAX, NULL);
    CU_ASSERT_EQUAL(n_called, 0);
    while (n_called < N && n_slices < 1000) {
        unsigned before = n_called;

        CU_ASSERT(timers_next(&wheel) <= 300002);
        timers_run_some(&wheel, 300002, SLICE, &next);
        CU_ASSERT(n_called - before <= SLICE);
        /* A timer that is armed between slices waits for its time. A timer that is disarmed between
         * slices is not called. */
        if (++n_slices == 3) {
            timer_arm(&wheel, &soon.timer, 300003, on_alarm);
            timer_disarm(&wheel, &timers[N - 1]);
            n_called++;
        }
    }
    CU_ASSERT_PTR_EQUAL(next, timers + N - 1);
    CU_ASSERT(n_slices >= N / SLICE);
    timers_run_some(&wheel, 300002, SLICE, NULL);
    CU_ASSERT_EQUAL(later.fired_ms, 300001);
    CU_ASSERT_EQUAL(soon.n_fired, 0);
    timers_run_some(&wheel, 300003, SLICE, NULL);
    CU_ASSERT_EQUAL(soon.fired_ms, 300003);
    CU_ASSERT_EQUAL(timers_next(&wheel), UINT64_MAX);
}

/* A time in the future, or the length of a step: from one tick to more than the whole wheel. */
static uint64_t some_ms(Dice *dice) {
    static const uint64_t scales[] = {3, 64, 65, 4096, 300000, 20000000, UINT64_C(2000000000)};

    return dice_below(dice, scales[dice_below(dice, sizeof(scales) / sizeof(*scales))]);
}

static void check_against_reference(Alarm *alarms, size_t n, uint64_t from, uint64_t now,
                                    bool *wrong) {
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < n; i++) {
        Alarm *alarm = &alarms[i];

        if (alarm->fired_ms) {
            uint64_t due = alarm->at_ms > from ? alarm->at_ms : from + 1;

            *wrong |= alarm->fired_ms != due || due > now;
            alarm->fired_ms = 0;
        }
        *wrong |= alarm->armed != timer_armed(&alarm->timer);
        if (alarm->armed) {
            uint64_t at = alarm->at_ms;

            *wrong |= at <= now;
            first = at < first ? at : first;
        }
    }
    *wrong |= timers_next(&wheel) > first || timers_next(&wheel) <= now;
}

static void the_wheel_agrees_with_a_naive_list(void) {
    enum { N = 50, ROUNDS = 20000 };
    Dice dice = dice_new(4711);
    Alarm alarms[N] = {{.armed = false}};
    bool wrong = false;
    uint64_t now = dice_below(&dice, 1 << 20);

    timers_init(&wheel, now);
    for (int round = 0; round < ROUNDS && !wrong; round++) {
        uint64_t from = now;

        for (uint64_t k = dice_below(&dice, 6); k > 0; k--) {
            Alarm *alarm = &alarms[dice_below(&dice, N)];

            if (dice_below(&dice, 4) == 0) {
                timer_disarm(&wheel, &alarm->timer);
                alarm->armed = false;
            } else {
                alarm->at_ms = now + 1 + some_ms(&dice);
                alarm->armed = true;
                timer_arm(&wheel, &alarm->timer, alarm->at_ms, on_alarm);
            }
        }
        /* In a third of the cases, exactly the time that timers_next() returns. */
        now = dice_below(&dice, 3) == 0 && timers_next(&wheel) != UINT64_MAX ? timers_next(&wheel)
                                                                             : now + some_ms(&dice);
        do
            timers_run_some(&wheel, now, 1 + (unsigned)dice_below(&dice, 8), NULL);
        while (wheel.now_ms < now || wheel.halfway);
        check_against_reference(alarms, N, from, now, &wrong);
        if (wrong)
            printf("round %d, TEST_SEED=%llu ", round, (unsigned long long)dice.seed);
    }
    CU_ASSERT_FALSE(wrong);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_timer_fires_once_at_its_time),
        TEST(a_time_that_has_passed_comes_due_one_tick_later),
        TEST(a_disarmed_timer_never_fires),
        TEST(arming_again_moves_the_time),
        TEST(a_clock_that_goes_back_is_harmless),
        TEST(timers_can_wait_for_years),
        TEST(a_call_may_arm_and_disarm_any_timer),
        TEST(timers_of_one_millisecond_are_called_in_the_order_of_arming),
        TEST(many_due_timers_are_called_in_slices),
        TEST(the_wheel_agrees_with_a_naive_list),
        TESTS_END,
    };

    return run_suite("base timers", tests);
}
