/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes of CURVE's messages. See box.h. */

#include "rpc/zmtp/box.h"

#include <sodium.h>

#if defined(__x86_64__)

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#define WIDE        __attribute__((target("avx512f")))
#define WIDE_INLINE static inline __attribute__((always_inline, target("avx512f")))

enum {
    BLOCK = 64,          /* bytes of one block of Salsa20 */
    LANES = 16,          /* blocks that are made at once */
    MAC_KEY = 32,        /* the first bytes of the stream are the key of the MAC */
    WIDE_MIN = 2 * 1024, /* smaller boxes take the same time in libsodium */
    N_ROUNDS = 20,
};

/* The words of a block, before its rounds: constants, key, nonce, number of the block. */
typedef uint32_t Words[16];

/* The secret parts of one box. */
typedef struct Secrets {
    uint8_t subkey[crypto_core_hsalsa20_OUTPUTBYTES];
    uint8_t first[BLOCK]; /* the first block of the stream */
    Words words;
} Secrets;

/* Row i of x has word i of each block. Afterwards it has all words of block i. */
WIDE_INLINE void transpose(__m512i x[LANES]) {
    __m512i y[LANES];

    for (int i = 0; i < LANES; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + j + 2]);
            x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + j + 2]);
        }
    /* Quarter l of row 4 * g + b now has words 4 * g to 4 * g + 3 of block 4 * l + b. */
    for (int b = 0; b < 4; b++) {
        __m512i even = _mm512_shuffle_i32x4(x[b], x[4 + b], 0x88);
        __m512i even2 = _mm512_shuffle_i32x4(x[8 + b], x[12 + b], 0x88);
        __m512i odd = _mm512_shuffle_i32x4(x[b], x[4 + b], 0xDD);
        __m512i odd2 = _mm512_shuffle_i32x4(x[8 + b], x[12 + b], 0xDD);

        y[b] = _mm512_shuffle_i32x4(even, even2, 0x88);
        y[4 + b] = _mm512_shuffle_i32x4(odd, odd2, 0x88);
        y[8 + b] = _mm512_shuffle_i32x4(even, even2, 0xDD);
        y[12 + b] = _mm512_shuffle_i32x4(odd, odd2, 0xDD);
    }
    memcpy(x, y, sizeof(y));
}

#define STEP(to, a, b, n)                                                                          \
    x[to] = _mm512_xor_si512(x[to], _mm512_rol_epi32(_mm512_add_epi32(x[a], x[b]), n))
#define QUARTER(a, b, c, d)                                                                        \
    STEP(b, a, d, 7);                                                                              \
    STEP(c, b, a, 9);                                                                              \
    STEP(d, c, b, 13);                                                                             \
    STEP(a, d, c, 18)

/* Encrypts or decrypts LANES blocks, of which the first has this number. */
WIDE static void xor_blocks(const Words words, uint64_t number, uint8_t *data) {
    __m512i start[LANES], x[LANES];
    uint32_t low[LANES], high[LANES];

    for (unsigned i = 0; i < LANES; i++) {
        start[i] = _mm512_set1_epi32((int)words[i]);
        low[i] = (uint32_t)(number + i);
        high[i] = (uint32_t)((number + i) >> 32);
    }
    start[8] = _mm512_loadu_si512(low);
    start[9] = _mm512_loadu_si512(high);
    memcpy(x, start, sizeof(x));
    for (int round = 0; round < N_ROUNDS; round += 2) {
        QUARTER(0, 4, 8, 12);
        QUARTER(5, 9, 13, 1);
        QUARTER(10, 14, 2, 6);
        QUARTER(15, 3, 7, 11);
        QUARTER(0, 1, 2, 3);
        QUARTER(5, 6, 7, 4);
        QUARTER(10, 11, 8, 9);
        QUARTER(15, 12, 13, 14);
    }
    for (int i = 0; i < LANES; i++)
        x[i] = _mm512_add_epi32(x[i], start[i]);
    transpose(x);
    for (size_t i = 0; i < LANES; i++, data += BLOCK)
        _mm512_storeu_si512(data, _mm512_xor_si512(x[i], _mm512_loadu_si512(data)));
}

static bool is_wide(size_t len) {
    return len >= WIDE_MIN && __builtin_cpu_supports("avx512f");
}

static void derive(Secrets *secrets, const uint8_t nonce[BOX_NONCE], const uint8_t key[BOX_KEY]) {
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t *words = secrets->words;

    crypto_core_hsalsa20(secrets->subkey, nonce, key, NULL);
    crypto_stream_salsa20(secrets->first, BLOCK, nonce + 16, secrets->subkey);
    for (int i = 0; i < 4; i++)
        words[5 * i] = constants[i];
    memcpy(words + 1, secrets->subkey, 16);
    memcpy(words + 6, nonce + 16, 8);
    words[8] = words[9] = 0;
    memcpy(words + 11, secrets->subkey + 16, 16);
}

/* Encrypts or decrypts a box of at least WIDE_MIN bytes. */
static void xor_wide(const Secrets *secrets, uint8_t *data, size_t len, const uint8_t *nonce) {
    uint64_t number = 1;

    for (int i = 0; i < BLOCK - MAC_KEY; i++)
        data[i] ^= secrets->first[MAC_KEY + i];
    data += BLOCK - MAC_KEY;
    len -= BLOCK - MAC_KEY;
    for (; len >= LANES * BLOCK; data += LANES * BLOCK, len -= LANES * BLOCK, number += LANES)
        xor_blocks(secrets->words, number, data);
    crypto_stream_salsa20_xor_ic(data, data, len, nonce + 16, number, secrets->subkey);
}

void box_seal(uint8_t *data, size_t len, uint8_t ret_mac[BOX_MAC], const uint8_t nonce[BOX_NONCE],
              const uint8_t key[BOX_KEY]) {
    Secrets secrets;

    if (!is_wide(len)) {
        crypto_box_detached_afternm(data, ret_mac, data, len, nonce, key);
        return;
    }
    derive(&secrets, nonce, key);
    xor_wide(&secrets, data, len, nonce);
    crypto_onetimeauth(ret_mac, data, len, secrets.first);
    sodium_memzero(&secrets, sizeof(secrets));
}

int box_open(uint8_t *data, size_t len, const uint8_t mac[BOX_MAC], const uint8_t nonce[BOX_NONCE],
             const uint8_t key[BOX_KEY]) {
    Secrets secrets;
    int r;

    if (!is_wide(len))
        return crypto_box_open_detached_afternm(data, data, mac, len, nonce, key);
    derive(&secrets, nonce, key);
    r = crypto_onetimeauth_verify(mac, data, len, secrets.first);
    if (r == 0)
        xor_wide(&secrets, data, len, nonce);
    sodium_memzero(&secrets, sizeof(secrets));
    return r;
}

#else

void box_seal(uint8_t *data, size_t len, uint8_t ret_mac[BOX_MAC], const uint8_t nonce[BOX_NONCE],
              const uint8_t key[BOX_KEY]) {
    crypto_box_detached_afternm(data, ret_mac, data, len, nonce, key);
}

int box_open(uint8_t *data, size_t len, const uint8_t mac[BOX_MAC], const uint8_t nonce[BOX_NONCE],
             const uint8_t key[BOX_KEY]) {
    return crypto_box_open_detached_afternm(data, data, mac, len, nonce, key);
}

#endif
