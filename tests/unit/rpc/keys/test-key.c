/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "base/error.h"
#include "rpc/keys/key.h"
#include "support/suite.h"

static char folder[] = "/tmp/ferry-key-XXXXXX";
static char path[64];

static void write_file(const char *text, mode_t mode) {
    FILE *file;

    unlink(path);
    file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

static void expect_refused(int code, const char *problem) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    KeyPair *pair = NULL;

    CU_ASSERT_EQUAL(key_file_read(path, &pair, &error), code);
    CU_ASSERT_PTR_NULL(pair);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error.message);
    if (!strstr(error.message, problem))
        printf("\n    '%s', not '%s'\n", error.message, problem);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, problem));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, path));
    key_pair_free(pair);
}

static void a_pair_is_written_and_read(void) {
    CLEANUP(key_pair_free) KeyPair *pair = NULL, *read = NULL;
    struct stat status;

    unlink(path);
    CU_ASSERT_EQUAL_FATAL(key_pair_new(&pair), 0);
    strcpy(pair->name, "worker-3");
    CU_ASSERT_EQUAL(key_file_write(path, pair, NULL), 0);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
    CU_ASSERT_EQUAL_FATAL(key_file_read(path, &read, NULL), 0);
    CU_ASSERT_EQUAL(memcmp(pair, read, sizeof(*pair)), 0);
}

static void a_file_that_exists_is_not_overwritten(void) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(key_pair_free) KeyPair *pair = NULL;

    write_file("mine", 0644);
    CU_ASSERT_EQUAL_FATAL(key_pair_new(&pair), 0);
    CU_ASSERT_EQUAL(key_file_write(path, pair, &error), -EEXIST);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "is not overwritten"));
}

static void two_pairs_differ(void) {
    CLEANUP(key_pair_free) KeyPair *a = NULL, *b = NULL;

    CU_ASSERT_EQUAL_FATAL(key_pair_new(&a), 0);
    CU_ASSERT_EQUAL_FATAL(key_pair_new(&b), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(a->secret_key, b->secret_key, KEY_SIZE), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(a->public_key, b->public_key, KEY_SIZE), 0);
}

static void keys_are_read_as_digits_and_as_libzmq_writes_them(void) {
    char z85_public[41], z85_secret[41], text[KEY_TEXT_MAX];
    uint8_t expected[KEY_SIZE], key[KEY_SIZE];

    for (int i = 0; i < 50; i++) {
        CU_ASSERT_EQUAL(zmq_curve_keypair(z85_public, z85_secret), 0);
        CU_ASSERT_PTR_NOT_NULL(zmq_z85_decode(expected, z85_public));
        CU_ASSERT_EQUAL(key_parse(z85_public, key), 0);
        CU_ASSERT_EQUAL(memcmp(key, expected, KEY_SIZE), 0);
        CU_ASSERT_EQUAL(strlen(key_text(key, text)), 64);
        CU_ASSERT_EQUAL(key_parse(text, key), 0);
        CU_ASSERT_EQUAL(memcmp(key, expected, KEY_SIZE), 0);
    }
}

static void text_that_is_not_a_key_is_refused(void) {
    static const char digits[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char text[80];
    uint8_t key[KEY_SIZE];

    CU_ASSERT_EQUAL(key_parse("", key), -EINVAL);
    CU_ASSERT_EQUAL(key_parse("worker", key), -EINVAL);
    CU_ASSERT_EQUAL(key_parse(digits, key), 0);
    CU_ASSERT_EQUAL(key_parse(digits + 1, key), -EINVAL);
    snprintf(text, sizeof(text), "%s0", digits);
    CU_ASSERT_EQUAL(key_parse(text, key), -EINVAL);
    for (size_t at = 0; at < 64; at++) {
        snprintf(text, sizeof(text), "%s", digits);
        text[at] = 'g';
        CU_ASSERT_EQUAL(key_parse(text, key), -EINVAL);
    }
    memset(text, '#', 40); /* the largest digit: the number needs more than four bytes */
    text[40] = '\0';
    CU_ASSERT_EQUAL(key_parse(text, key), -EINVAL);
    text[7] = '"';
    CU_ASSERT_EQUAL(key_parse(text, key), -EINVAL);
}

static void a_file_that_others_can_read_is_refused(void) {
    static const mode_t modes[] = {0644, 0640, 0604, 0660, 0666};
    char text[512];
    FILE *file;
    size_t len;
    KeyPair *pair = NULL;

    a_pair_is_written_and_read();
    file = fopen(path, "r");
    len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    fclose(file);
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        write_file(text, modes[i]);
        expect_refused(-EACCES, "other users can read it");
    }
    write_file(text, 0620);
    expect_refused(-EACCES, "other users can change it");
    write_file(text, 0400);
    CU_ASSERT_EQUAL(key_file_read(path, &pair, NULL), 0);
    pair = key_pair_free(pair);
    /* The folder of a service manager protects its credentials, so their mode may be wider. */
    write_file(text, 0440);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    CU_ASSERT_EQUAL(key_file_read(path, &pair, NULL), 0);
    pair = key_pair_free(pair);
    chmod(path, 0444);
    expect_refused(-EACCES, "other users can read it");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void files_with_other_text_are_refused_and_not_quoted(void) {
    static const char secret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    static char long_text[5000];
    char text[512];
    KeyPair *pair = NULL;

    unlink(path);
    expect_refused(-ENOENT, "No such file");
    write_file("", 0600);
    expect_refused(-EINVAL, "not the text of a key file");
    write_file("-----BEGIN OPENSSH PRIVATE KEY-----\n", 0600);
    expect_refused(-EINVAL, "not the text of a key file");
    write_file("secret = abc\n", 0600);
    expect_refused(-EINVAL, "secret key is not 64 hexadecimal digits");
    snprintf(text, sizeof(text), "public = %s\n", secret);
    write_file(text, 0600);
    expect_refused(-EINVAL, "no secret key");
    snprintf(text, sizeof(text), "public = %s\nsecret = %s\n", secret, secret);
    write_file(text, 0600);
    expect_refused(-EINVAL, "do not match");
    CU_ASSERT_EQUAL(key_file_read(path, &pair, &error), -EINVAL);
    CU_ASSERT_PTR_NULL(strstr(error.message, "0123456789abcdef"));
    memset(long_text, 'x', sizeof(long_text) - 1);
    write_file(long_text, 0600);
    expect_refused(-EINVAL, "longer than");
    unlink(path);
    mkdir(path, 0700);
    expect_refused(-EINVAL, "not a file");
    rmdir(path);
    snprintf(text, sizeof(text), "secret = %s\n", secret); /* the public key is computed from it */
    write_file(text, 0600);
    CU_ASSERT_EQUAL(key_file_read(path, &pair, NULL), 0);
    key_pair_free(pair);
}

/* The kernel's list of memory mappings marks the memory of the pair as left out of core dumps. */
static void a_secret_key_is_not_part_of_a_core(void) {
    CLEANUP(key_pair_free) KeyPair *pair = NULL;
    FILE *file = fopen("/proc/self/smaps", "r");
    bool is_inside = false, is_left_out = false;
    unsigned long from, to;
    char line[512];

    CU_ASSERT_EQUAL_FATAL(key_pair_new(&pair), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            is_inside = (uintptr_t)pair >= from && (uintptr_t)pair < to;
        if (is_inside && strncmp(line, "VmFlags:", 8) == 0)
            is_left_out = strstr(line, " dd") != NULL;
    }
    fclose(file);
    CU_ASSERT_TRUE(is_left_out);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_pair_is_written_and_read),
        TEST(a_file_that_exists_is_not_overwritten),
        TEST(two_pairs_differ),
        TEST(keys_are_read_as_digits_and_as_libzmq_writes_them),
        TEST(text_that_is_not_a_key_is_refused),
        TEST(a_file_that_others_can_read_is_refused),
        TEST(files_with_other_text_are_refused_and_not_quoted),
        TEST(a_secret_key_is_not_part_of_a_core),
        TESTS_END,
    };
    int status;

    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    snprintf(path, sizeof(path), "%s/key", folder);
    status = run_suite("rpc/keys key", tests);
    unlink(path);
    rmdir(folder);
    return status;
}
