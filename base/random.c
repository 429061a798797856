/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers. See random.h. */

#include "base/random.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *to, size_t size) {
    uint8_t *p = to;

    while (size > 0) {
        ssize_t n = getrandom(p, size, 0);

        if (n > 0) {
            p += n;
            size -= (size_t)n;
        } else if (n < 0 && errno != EINTR) {
            /* getrandom() exists since Linux 3.17. Without it ferry aborts, because guessable
             * tokens would be worse. */
            abort();
        }
    }
}

uint64_t random_u64(void) {
    uint64_t value;

    random_bytes(&value, sizeof(value));
    return value;
}

/* xorshift64* (Marsaglia 2003, Vigna 2014), one state per thread. */
uint64_t random_below(uint64_t below) {
    static _Thread_local uint64_t state;

    while (!state)
        state = random_u64();
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * UINT64_C(0x2545F4914F6CDD1D) >> 11) % below;
}

uint64_t hash_seed_value;

/* If two threads choose at the same time, both use the number that was stored first. */
uint64_t hash_seed_choose(void) {
    uint64_t none = 0, fresh = random_u64() | 1;

    return __atomic_compare_exchange_n(&hash_seed_value, &none, fresh, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED)
               ? fresh
               : none;
}
