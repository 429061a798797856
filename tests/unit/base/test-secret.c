/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/suite.h"

/* The flags of the memory mapping that contains an address, as the kernel reports them; "": no
 * mapping contains it. */
static void flags_of(const void *address, char to[256]) {
    FILE *file = fopen("/proc/self/smaps", "re");
    unsigned long long first, end;
    char line[512];
    bool is_it = false;

    to[0] = '\0';
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%llx-%llx ", &first, &end) == 2)
            is_it = (uintptr_t)address >= first && (uintptr_t)address < end;
        else if (is_it && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(to, 256, "%.255s", line + 8);
    }
    fclose(file);
}

static void secrets_are_left_out_of_core_dumps(void) {
    char *secret = secret_alloc(100), *large = secret_alloc(100000), flags[256];
    static const char zeros[100];

    CU_ASSERT_PTR_NOT_NULL_FATAL(secret);
    CU_ASSERT_PTR_NOT_NULL_FATAL(large);
    CU_ASSERT_EQUAL(memcmp(secret, zeros, sizeof(zeros)), 0);
    strcpy(secret, "horse");
    memset(large, 'x', 100000);
    flags_of(secret, flags);
    CU_ASSERT_PTR_NOT_NULL(strstr(flags, " dd")); /* "do not dump" */
    flags_of(large + 99999, flags);
    CU_ASSERT_PTR_NOT_NULL(strstr(flags, " dd"));
    flags_of(flags, flags);
    CU_ASSERT_PTR_NULL(strstr(flags, " dd"));
    CU_ASSERT_STRING_EQUAL(secret, "horse");
    CU_ASSERT_PTR_NULL(secret_free(large));
    CU_ASSERT_PTR_NULL(secret_free(secret));
    CU_ASSERT_PTR_NULL(secret_free(NULL));
}

static void no_secret_and_too_large_ones_are_handled(void) {
    CU_ASSERT_PTR_NULL(secret_free(NULL));
    CU_ASSERT_PTR_NULL(secret_alloc(SIZE_MAX));
    CU_ASSERT_PTR_NULL(secret_alloc(SIZE_MAX / 8 * 7));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(secrets_are_left_out_of_core_dumps),
        TEST(no_secret_and_too_large_ones_are_handled),
        TESTS_END,
    };

    return run_suite("base/secret", tests);
}
