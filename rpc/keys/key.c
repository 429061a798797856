/* SPDX-License-Identifier: Apache-2.0 */
/* Key pairs, as text and in files. See key.h. */

#include "rpc/keys/key.h"

#include <ctype.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

enum { Z85_TEXT = 40, FILE_MAX = 4096 };

_Static_assert(KEY_SIZE == crypto_scalarmult_BYTES, "the size of a key differs from libsodium's");

static KeyPair *pair_alloc(void) {
    KeyPair *pair = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*pair));

    if (pair)
        sodium_memzero(pair, sizeof(*pair));
    return pair;
}

int key_pair_new(KeyPair **ret) {
    KeyPair *pair = pair_alloc();

    if (!pair)
        return sodium_init() < 0 ? -EIO : -ENOMEM;
    crypto_box_keypair(pair->public_key, pair->secret_key);
    *ret = pair;
    return 0;
}

KeyPair *key_pair_free(KeyPair *pair) {
    sodium_free(pair); /* wipes it */
    return NULL;
}

/* ---- text ---- */

/* ZeroMQ's base 85: each 5 characters are 4 bytes. */
static int parse_z85(const char *text, uint8_t ret[KEY_SIZE]) {
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   ".-:+=^!/*?&<>()[]{}@%$#";

    for (unsigned i = 0; i < KEY_SIZE / 4; i++) {
        uint64_t value = 0;

        for (unsigned j = 0; j < 5; j++) {
            const char *at = strchr(alphabet, text[5 * i + j]);

            value = at && *at ? value * 85 + (uint64_t)(at - alphabet) : UINT32_MAX + UINT64_C(1);
            if (value > UINT32_MAX)
                return -EINVAL;
        }
        for (unsigned j = 0; j < 4; j++)
            ret[4 * i + j] = (uint8_t)(value >> (24 - 8 * j));
    }
    return 0;
}

static int parse(const char *text, size_t len, uint8_t ret[KEY_SIZE]) {
    uint8_t key[KEY_SIZE];
    size_t n = 0;
    int r = -EINVAL;

    if (len == (size_t)2 * KEY_SIZE)
        r = sodium_hex2bin(key, sizeof(key), text, len, NULL, &n, NULL);
    else if (len == Z85_TEXT)
        r = parse_z85(text, key), n = KEY_SIZE;
    if (r == 0 && n == KEY_SIZE)
        memcpy(ret, key, KEY_SIZE);
    sodium_memzero(key, sizeof(key));
    return r == 0 && n == KEY_SIZE ? 0 : -EINVAL;
}

int key_parse(const char *text, uint8_t ret[KEY_SIZE]) {
    return parse(text, strlen(text), ret);
}

const char *key_text(const uint8_t key[KEY_SIZE], char to[KEY_TEXT_MAX]) {
    return sodium_bin2hex(to, KEY_TEXT_MAX, key, KEY_SIZE);
}

/* ---- reading a file ---- */

/* Reads the line at *at, and moves *at to the next line. True: the line is "name = value". False:
 * the line is another one. Then the length of the name is 0 for an empty line or a comment, and 1
 * for all other texts. */
static bool next_setting(const char **at, ferry_bytes *ret_name, ferry_bytes *ret_value) {
    const char *line = *at, *end = strchrnul(line, '\n'), *equals;
    size_t len;

    *at = *end ? end + 1 : end;
    while (line < end && isspace((unsigned char)*line))
        line++;
    while (end > line && isspace((unsigned char)end[-1]))
        end--;
    equals = memchr(line, '=', (size_t)(end - line));
    *ret_name = (ferry_bytes){line, line < end && *line != '#' ? 1 : 0, NULL};
    if (!equals || *line == '#')
        return false;
    for (len = (size_t)(equals - line); len > 0 && isspace((unsigned char)line[len - 1]);)
        len--;
    *ret_name = (ferry_bytes){line, len, NULL};
    for (equals++; equals < end && isspace((unsigned char)*equals);)
        equals++;
    *ret_value = (ferry_bytes){equals, (size_t)(end - equals), NULL};
    return true;
}

static bool is_name(ferry_bytes bytes, const char *name) {
    return bytes.len == strlen(name) && memcmp(bytes.data, name, bytes.len) == 0;
}

/* Reads the text of a key file. Returns NULL, or the problem, which never quotes the text. */
static const char *parse_file(const char *text, KeyPair *pair) {
    ferry_bytes name, value;
    bool has_public = false, has_secret = false;
    uint8_t derived[KEY_SIZE];

    while (*text) {
        if (!next_setting(&text, &name, &value)) {
            if (name.len > 0)
                return "it is not the text of a key file";
        } else if (is_name(name, "public")) {
            if (parse(value.data, value.len, pair->public_key) < 0)
                return "its public key is not 64 hexadecimal digits";
            has_public = true;
        } else if (is_name(name, "secret")) {
            if (parse(value.data, value.len, pair->secret_key) < 0)
                return "its secret key is not 64 hexadecimal digits";
            has_secret = true;
        } else if (is_name(name, "name")) {
            if (value.len >= KEY_NAME_MAX || !text_is_safe(value.data, value.len))
                return "its name is too long, or has characters that cannot be printed";
            memcpy(pair->name, value.data, value.len);
            pair->name[value.len] = '\0';
        } else {
            return "it is not the text of a key file";
        }
    }
    if (!has_secret)
        return has_public ? "it has no secret key" : "it is not the text of a key file";
    crypto_scalarmult_base(derived, pair->secret_key);
    if (has_public && memcmp(derived, pair->public_key, KEY_SIZE) != 0)
        return "its public key and its secret key do not match";
    memcpy(pair->public_key, derived, KEY_SIZE);
    return NULL;
}

/* Service managers pass secrets in a folder that only the service can enter. There, access lists
 * appear as permissions of the group. */
static bool is_credential(const char *path) {
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    size_t len = folder ? strlen(folder) : 0;

    return len > 0 && strncmp(path, folder, len) == 0 && path[len] == '/' && !strstr(path, "/..");
}

/* NULL: only its owner can read the file. */
static const char *mode_problem(const struct stat *status, const char *path) {
    unsigned open_to = status->st_mode & 077;

    if (!S_ISREG(status->st_mode))
        return "it is not a file";
    if (is_credential(path))
        open_to &= 037;
    if (open_to & 044)
        return "other users can read it (chmod 600 prevents this, but the key may already be "
               "known)";
    if (open_to & 022)
        return "other users can change it (chmod 600)";
    return NULL;
}

static int open_key_file(const char *path, ferry_error *reterr) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    const char *problem;
    struct stat status;
    int r;

    if (fd < 0 || fstat(fd, &status) < 0) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return error_set_code(reterr, r, "cannot read the key file %s: %s", path, strerror(-r));
    }
    problem = mode_problem(&status, path);
    if (!problem)
        return fd;
    close(fd);
    return error_set_code(reterr, S_ISREG(status.st_mode) ? -EACCES : -EINVAL,
                          "the key file %s is not used: %s", path, problem);
}

int key_file_read(const char *path, KeyPair **ret, ferry_error *reterr) {
    CLEANUP(key_pair_free) KeyPair *pair = pair_alloc();
    char *text = pair ? sodium_malloc(FILE_MAX) : NULL;
    const char *problem = "it is longer than 4095 bytes";
    int fd = text ? open_key_file(path, reterr) : -ENOMEM;
    ssize_t n;

    if (fd < 0) {
        sodium_free(text);
        return text ? fd : error_set_code(reterr, fd, NULL);
    }
    n = read(fd, text, FILE_MAX);
    if (n < 0)
        problem = strerror(errno);
    close(fd);
    if (n >= 0 && n < FILE_MAX) {
        text[n] = '\0';
        problem = memchr(text, '\0', (size_t)n) ? "it is not the text of a key file"
                                                : parse_file(text, pair);
    }
    sodium_free(text);
    if (problem)
        return error_set_code(reterr, -EINVAL, "the key file %s is not used: %s", path, problem);
    *ret = steal(&pair);
    return 0;
}

/* ---- writing a file ---- */

static int write_all(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

int key_file_write(const char *path, const KeyPair *pair, ferry_error *reterr) {
    char *text = sodium_malloc(FILE_MAX), public_text[KEY_TEXT_MAX];
    int fd, n, r;

    if (!text)
        return error_set_code(reterr, -ENOMEM, NULL);
    n = snprintf(text, FILE_MAX - KEY_TEXT_MAX - 1,
                 "# A key of ferry. Keep this file secret.\n%s%s%spublic = %s\nsecret = ",
                 pair->name[0] ? "name = " : "", pair->name, pair->name[0] ? "\n" : "",
                 key_text(pair->public_key, public_text));
    key_text(pair->secret_key, text + n);
    n += (int)strlen(text + n);
    text[n++] = '\n';
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = fd < 0 ? -errno : fchmod(fd, 0600) < 0 ? -errno : write_all(fd, text, (size_t)n);
    sodium_free(text);
    if (fd >= 0) {
        close(fd);
        if (r < 0)
            unlink(path);
    }
    if (r == -EEXIST)
        return error_set_code(
            reterr, r, "%s exists and is not overwritten: move it away, or choose another file",
            path);
    return r < 0 ? error_set_code(reterr, r, "cannot write the key file %s: %s", path, strerror(-r))
                 : 0;
}
