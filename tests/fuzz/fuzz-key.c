/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a key file, and as the text of a public key: read, or refused by an error that does
 * not quote them. The two parts of a pair that was read belong together.
 */

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/keys/key.h"

enum { QUOTE = 12 }; /* a run of this many bytes of the file in a message cannot be chance */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

/* The message has a run of digits of the file: a part of a key. */
static bool quotes(const char *message, const uint8_t *data, size_t size) {
    for (size_t at = 0; at + QUOTE <= size; at++) {
        char digits[QUOTE + 1];

        snprintf(digits, sizeof(digits), "%.*s", QUOTE, (const char *)data + at);
        if (strspn(digits, "0123456789abcdefABCDEF") == QUOTE && strstr(message, digits))
            return true;
    }
    return false;
}

static void check_file(const uint8_t *data, size_t size) {
    int fd = memfd_create("key", MFD_CLOEXEC), r;
    ferry_error error = FERRY_ERROR_INIT;
    uint8_t derived[KEY_SIZE];
    KeyPair *pair = NULL;
    char path[64];

    must(fd >= 0 && fchmod(fd, 0600) == 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = key_file_read(path, &pair, &error);
    close(fd);
    must(r == 0 || (r == -EINVAL && error.message && !quotes(error.message, data, size)));
    if (r == 0) {
        crypto_scalarmult_base(derived, pair->secret_key);
        must(memcmp(derived, pair->public_key, KEY_SIZE) == 0);
        must(memchr(pair->name, '\0', sizeof(pair->name)) != NULL);
    }
    key_pair_free(pair);
    ferry_error_clear(&error);
}

static void check_text(const uint8_t *data, size_t size) {
    uint8_t key[KEY_SIZE], again[KEY_SIZE];
    char text[KEY_TEXT_MAX], *copy = malloc(size + 1);

    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    if (key_parse(copy, key) == 0)
        must(key_parse(key_text(key, text), again) == 0 && memcmp(key, again, KEY_SIZE) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_file(data, size);
    check_text(data, size);
    return 0;
}
