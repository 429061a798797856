/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "rpc/zmtp/box.h"
#include "support/suite.h"

enum { ROOM = 80 * 1024 };

static uint8_t text[ROOM], own[ROOM], theirs[ROOM];
static uint8_t nonce[BOX_NONCE], key[BOX_KEY], mac[BOX_MAC], their_mac[BOX_MAC];

static int start(void) {
    int r = sodium_init();

    randombytes_buf(text, sizeof(text));
    return r < 0 ? r : 0;
}

/* Seals len bytes with both. */
static void seal(size_t len) {
    randombytes_buf(nonce, sizeof(nonce));
    randombytes_buf(key, sizeof(key));
    memcpy(own, text, sizeof(text));
    box_seal(own, len, mac, nonce, key);
    crypto_box_detached_afternm(theirs, their_mac, text, len, nonce, key);
}

static bool is_as_libsodium(size_t len) {
    seal(len);
    return memcmp(own, theirs, len) == 0 && memcmp(mac, their_mac, BOX_MAC) == 0 &&
           memcmp(own + len, text + len, sizeof(text) - len) == 0;
}

static void boxes_are_those_of_libsodium(void) {
    for (size_t len = 0; len < 5000; len++)
        CU_ASSERT_TRUE(is_as_libsodium(len));
    for (size_t len = 5000; len < ROOM; len += 997)
        CU_ASSERT_TRUE(is_as_libsodium(len));
}

static void a_box_opens(void) {
    for (size_t len = 0; len < ROOM; len += 331) {
        seal(len);
        CU_ASSERT_EQUAL(box_open(theirs, len, their_mac, nonce, key), 0);
        CU_ASSERT_EQUAL(memcmp(theirs, text, len), 0);
    }
}

/* Each changed bit, of the text or of the MAC, is found, and nothing is decrypted. */
static void a_changed_box_does_not_open(void) {
    static const size_t sizes[] = {100, 2047, 2048, 4000, 66000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        seal(sizes[i]);
        for (size_t at = 0; at < sizes[i]; at += 1 + sizes[i] / 50) {
            own[at] ^= 4;
            memcpy(theirs, own, sizes[i]);
            CU_ASSERT_EQUAL(box_open(own, sizes[i], mac, nonce, key), -1);
            CU_ASSERT_EQUAL(memcmp(own, theirs, sizes[i]), 0);
            own[at] ^= 4;
        }
        mac[15] ^= 128;
        CU_ASSERT_EQUAL(box_open(own, sizes[i], mac, nonce, key), -1);
        mac[15] ^= 128;
        CU_ASSERT_EQUAL(box_open(own, sizes[i], mac, nonce, key), 0);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(boxes_are_those_of_libsodium),
        TEST(a_box_opens),
        TEST(a_changed_box_does_not_open),
        TESTS_END,
    };

    return start() < 0 ? EXIT_FAILURE : run_suite("rpc/zmtp box", tests);
}
