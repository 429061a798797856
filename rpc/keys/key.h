/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Key pairs of Curve25519: the identity of a user or of a broker. As text a key is 64 hexadecimal
 * digits; the 40 characters that libzmq's tools print (Z85) are read too.
 *
 * A key file is text, readable for its owner alone:
 *
 *     # A key of ferry. Keep this file secret.
 *     name = worker-3
 *     public = 5f1c…
 *     secret = 0b7a…
 *
 * Secret keys lie in memory that is locked, is not part of a core, and is wiped when it is freed.
 */

#include <ferry/base.h>

#include "base/cleanup.h"

enum { KEY_SIZE = 32, KEY_TEXT_MAX = 2 * KEY_SIZE + 1, KEY_NAME_MAX = 64 };

typedef struct KeyPair {
    uint8_t public_key[KEY_SIZE];
    uint8_t secret_key[KEY_SIZE];
    char name[KEY_NAME_MAX]; /* "": it has none */
} KeyPair;

/* Makes a new pair from the kernel's random numbers. -ENOMEM; -EIO: libsodium cannot be used. */
int key_pair_new(KeyPair **ret);

/* Wipes the pair; pair may be NULL. */
KeyPair *key_pair_free(KeyPair *pair);

DEFINE_CLEANUP(KeyPair *, key_pair_free);

/* Reads a public key. -EINVAL: text is not a key. */
int key_parse(const char *text, uint8_t ret[KEY_SIZE]);

/* Writes a public key as 64 digits. Returns to. */
const char *key_text(const uint8_t key[KEY_SIZE], char to[KEY_TEXT_MAX]);

/* Reads a key file. Errors name the file and never contain its text: -ENOENT and others of open();
 * -EACCES: another user may read or change the file; -EINVAL: the text is not a key; -ENOMEM. */
int key_file_read(const char *path, KeyPair **ret, ferry_error *reterr);

/* Writes a new file of mode 0600. -EEXIST: the file exists, and is left as it is; errors of open()
 * and write(). */
int key_file_write(const char *path, const KeyPair *pair, ferry_error *reterr);
