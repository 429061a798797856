/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spin.h"
#include "support/suite.h"

enum { LIMIT_US = 50, LOOK_NS = 500 };

static uint64_t now_ns;

/* Runs one wait in virtual time, which ends after wait_us. Returns the microseconds spent on
 * polling. */
static unsigned wait_for(Spin *spin, uint64_t wait_us) {
    uint64_t ends_ns = now_ns + wait_us * 1000, looked_ns = 0;

    if (spin_begin(spin, now_ns))
        while (now_ns < ends_ns && spin_continues(spin, now_ns)) {
            now_ns += LOOK_NS;
            looked_ns += LOOK_NS;
        }
    now_ns = now_ns > ends_ns ? now_ns : ends_ns;
    spin_end(spin, now_ns);
    return (unsigned)(looked_ns / 1000);
}

static Spin spin_after(unsigned n, uint64_t wait_us) {
    Spin spin = {.limit_us = LIMIT_US};

    now_ns = 1;
    while (n-- > 0)
        wait_for(&spin, wait_us);
    return spin;
}

static void short_waits_are_polled_to_their_end(void) {
    Spin spin = spin_after(100, 20);

    CU_ASSERT_EQUAL(wait_for(&spin, 20), 20);
    CU_ASSERT(spin.mean_us <= 20);
}

static void a_wait_is_polled_up_to_the_limit(void) {
    Spin spin = spin_after(100, 20);

    CU_ASSERT_EQUAL(wait_for(&spin, 10 * 1000 * 1000), LIMIT_US);
}

static void long_waits_stop_the_polling(void) {
    Spin spin = spin_after(100, 20);

    for (int i = 0; i < 4; i++)
        wait_for(&spin, 300);
    for (int i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(wait_for(&spin, 300), 0);
}

/* After one idle time of any length, a few waits must be enough to poll again. */
static void a_program_that_is_busy_again_polls_again(void) {
    Spin spin = spin_after(100, 20);
    unsigned n = 0;

    wait_for(&spin, UINT64_C(3600) * 1000 * 1000);
    while (wait_for(&spin, 20) == 0)
        n++;
    CU_ASSERT(n > 0 && n <= 16);
}

static void an_idle_program_does_not_poll(void) {
    Spin spin = spin_after(1, 5000);
    unsigned looked_us = 0;

    for (int i = 0; i < 1000; i++)
        looked_us += wait_for(&spin, 5000);
    CU_ASSERT_EQUAL(looked_us, 0);
}

/* The cost of wrong guesses: for any series of waits, polling takes at most half of the time. */
static void polling_costs_at_most_half_of_the_time(void) {
    unsigned seed = 1;

    for (unsigned longest_us = 60; longest_us < 2000; longest_us += 97) {
        Spin spin = {.limit_us = LIMIT_US};
        uint64_t began_ns = now_ns, missed_us = 0;

        for (int i = 0; i < 2000; i++) {
            uint64_t wait_us = (seed = seed * 1103515245 + 12345) / 65536 % longest_us;
            unsigned looked_us = wait_for(&spin, wait_us);

            missed_us += wait_us > LIMIT_US ? looked_us : 0; /* polled, and slept nevertheless */
        }
        CU_ASSERT(missed_us <= (now_ns - began_ns) / 1000 / 2);
    }
}

static void a_limit_of_zero_disables_polling(void) {
    Spin spin = {.limit_us = 0};

    now_ns = 1;
    for (int i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(wait_for(&spin, 1), 0);
}

static bool is_ready_at_third_look(void *ctx) {
    return ++*(int *)ctx == 3;
}

static bool is_never_ready(void *ctx) {
    ++*(int *)ctx;
    return false;
}

static void the_loop_ends_when_it_is_ready(void) {
    Spin spin = {.limit_us = 60 * 1000 * 1000};
    int looks = 0;

    CU_ASSERT_TRUE(spin_until(&spin, is_ready_at_third_look, &looks));
    CU_ASSERT_EQUAL(looks, 3);
    CU_ASSERT_EQUAL(spin.began_ns, 0);
}

static void the_loop_sleeps_at_once_if_polling_does_not_pay(void) {
    Spin spin = {.limit_us = LIMIT_US, .mean_us = LIMIT_US + 1};
    int looks = 0;

    CU_ASSERT_FALSE(spin_until(&spin, is_never_ready, &looks));
    CU_ASSERT_EQUAL(looks, 1);
    CU_ASSERT(spin.began_ns > 0);
    spin_woke(&spin);
    CU_ASSERT_EQUAL(spin.began_ns, 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(short_waits_are_polled_to_their_end),
        TEST(a_wait_is_polled_up_to_the_limit),
        TEST(long_waits_stop_the_polling),
        TEST(a_program_that_is_busy_again_polls_again),
        TEST(an_idle_program_does_not_poll),
        TEST(polling_costs_at_most_half_of_the_time),
        TEST(a_limit_of_zero_disables_polling),
        TEST(the_loop_ends_when_it_is_ready),
        TEST(the_loop_sleeps_at_once_if_polling_does_not_pay),
        TESTS_END,
    };

    return run_suite("base spin", tests);
}
