/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Key pairs of Curve25519: the identity of a user or of a broker. As text a key has 64 hexadecimal
 * digits. The 40 characters that libzmq's tools print (Z85) are accepted too.
 *
 * A key file is a text file that only its owner can read:
 *
 *     # A key of ferry. Keep this file secret.
 *     name = worker-3
 *     public = 5f1c…
 *     secret = 0b7a…
 *
 * Secret keys are in memory that is locked, is left out of core dumps, and is wiped when it is
 * freed.
 */

#include <ferry/base.h>

#include "base/cleanup.h"

enum { KEY_SIZE = 32, KEY_TEXT_MAX = 2 * KEY_SIZE + 1, KEY_NAME_MAX = 64 };

typedef struct KeyPair {
    uint8_t public_key[KEY_SIZE];
    uint8_t secret_key[KEY_SIZE];
    char name[KEY_NAME_MAX]; /* "": the pair has no name */
} KeyPair;

/* Makes a new pair from the kernel's random numbers. -ENOMEM; -EIO: libsodium does not work. */
int key_pair_new(KeyPair **ret);

/* Wipes the pair; pair may be NULL. */
KeyPair *key_pair_free(KeyPair *pair);

DEFINE_CLEANUP(KeyPair *, key_pair_free);

/* Reads a public key. -EINVAL: text is not a key. */
int key_parse(const char *text, uint8_t ret[KEY_SIZE]);

/* Writes a public key as 64 digits. Returns to. */
const char *key_text(const uint8_t key[KEY_SIZE], char to[KEY_TEXT_MAX]);

/* Reads a key file. Messages of errors name the file and never contain its text. -ENOENT and other
 * errors of open(); -EACCES: another user may read or change the file; -EINVAL: the text is not a
 * key; -ENOMEM. */
int key_file_read(const char *path, KeyPair **ret, ferry_error *reterr);

/* Writes a new file of mode 0600. -EEXIST: the file exists and is not overwritten; errors of open()
 * and write(). */
int key_file_write(const char *path, const KeyPair *pair, ferry_error *reterr);
