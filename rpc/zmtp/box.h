/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The encrypted boxes of CURVE's messages: XSalsa20 and Poly1305, byte for byte those of
 * crypto_box_detached_afternm() in libsodium. libsodium encrypts with vectors of 256 bits. On a
 * processor with AVX-512, this file encrypts large boxes with vectors of 512 bits: a box of 64 KiB
 * takes two thirds of the time. All other work is libsodium's.
 */

#include <stddef.h>
#include <stdint.h>

enum { BOX_MAC = 16, BOX_NONCE = 24, BOX_KEY = 32 };

/* Encrypts data in its place. */
void box_seal(uint8_t *data, size_t len, uint8_t ret_mac[BOX_MAC], const uint8_t nonce[BOX_NONCE],
              const uint8_t key[BOX_KEY]);

/* Decrypts data in its place. -1: the box is not authentic, and data is unchanged. */
int box_open(uint8_t *data, size_t len, const uint8_t mac[BOX_MAC], const uint8_t nonce[BOX_NONCE],
             const uint8_t key[BOX_KEY]);
