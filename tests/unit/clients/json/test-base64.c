/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/json/base64.h"
#include "support/suite.h"

static void the_examples_of_the_rfc_come_out(void) {
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *text = base64_encode((const uint8_t *)rows[i][0], strlen(rows[i][0]));
        uint8_t *data = NULL;
        size_t len = 0;

        CU_ASSERT_STRING_EQUAL(text, rows[i][1]);
        CU_ASSERT_EQUAL(base64_decode(text, strlen(text), &data, &len), 0);
        CU_ASSERT_EQUAL(len, strlen(rows[i][0]));
        CU_ASSERT_EQUAL(memcmp(data, rows[i][0], len), 0);
        free(data);
        free(text);
    }
}

static void padding_may_be_left_out(void) {
    uint8_t *data = NULL;
    size_t len = 0;

    CU_ASSERT_EQUAL(base64_decode("Zm8", 3, &data, &len), 0);
    CU_ASSERT_EQUAL(len, 2);
    free(data);
}

static void malformed_base64_is_refused(void) {
    static const char *const bad[] = {"Z", "Zm9vY", "Z*==", "Zm9v\n", "Zg===", "====", "Zm=v"};
    uint8_t *data = NULL;
    size_t len = 0;

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CU_ASSERT_EQUAL(base64_decode(bad[i], strlen(bad[i]), &data, &len), -EINVAL);
    CU_ASSERT_EQUAL(base64_decode("Zm9\0", 4, &data, &len), -EINVAL);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_examples_of_the_rfc_come_out),
        TEST(padding_may_be_left_out),
        TEST(malformed_base64_is_refused),
        TESTS_END,
    };

    return run_suite("cli base64", tests);
}
