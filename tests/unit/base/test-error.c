/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "support/oom.h"
#include "support/suite.h"

static void every_type_is_found_by_its_name(void) {
    size_t n;
    const ErrorType *types = error_types(&n);

    CU_ASSERT(n > 20);
    for (size_t i = 0; i < n; i++) {
        const ErrorType *found = error_type_by_name(types[i].name);

        CU_ASSERT_PTR_NOT_NULL_FATAL(found);
        CU_ASSERT_STRING_EQUAL(found->name, types[i].name);
        CU_ASSERT(types[i].code > 0 && types[i].exit_status > 0 && types[i].exit_status < 128);
        CU_ASSERT(strncmp(types[i].name, "ferry.", 6) == 0);
        CU_ASSERT(*types[i].text != '\0');
        CU_ASSERT_EQUAL(error_type_by_code(-types[i].code)->code, types[i].code);
    }
    CU_ASSERT_PTR_NULL(error_type_by_name("shop.OutOfStock"));
}

static void a_code_without_a_type_is_internal(void) {
    CU_ASSERT_STRING_EQUAL(error_type_by_code(ENOTTY)->name, "ferry.Internal");
    CU_ASSERT_STRING_EQUAL(error_type_by_code(0)->name, "ferry.Internal");
    CU_ASSERT_STRING_EQUAL(error_type_by_code(-EINVAL)->name, "ferry.InvalidArgument");
}

static void setting_an_error_returns_its_code(void) {
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(error_set(&error, "ferry.NoSuchService", "no '%s'", "x"), -EHOSTUNREACH);
    CU_ASSERT_EQUAL(error.code, -EHOSTUNREACH);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.NoSuchService");
    CU_ASSERT_STRING_EQUAL(error.message, "no 'x'");
    CU_ASSERT_EQUAL(ferry_error_retry_ms(&error), -1);
    CU_ASSERT_PTR_NULL(ferry_error_cause(&error));
    CU_ASSERT_PTR_NULL(ferry_error_origin(&error));
    CU_ASSERT_EQUAL(error_set(&error, "shop.OutOfStock", "sold"), -EREMOTEIO);
    CU_ASSERT_STRING_EQUAL(error.type, "shop.OutOfStock");
    CU_ASSERT_EQUAL(error_set(NULL, "ferry.Full", "full"), -ENOBUFS);
    ferry_error_clear(&error);
    CU_ASSERT_PTR_NULL(error.type);
    ferry_error_clear(&error);
    ferry_error_clear(NULL);
}

static void a_type_without_a_message_has_the_standard_one(void) {
    ferry_error error = FERRY_ERROR_INIT;

    error_set(&error, "ferry.Full", NULL);
    CU_ASSERT_STRING_EQUAL(error.message, error_type_by_name("ferry.Full")->text);
    error_build(&error, &(ErrorParts){.type = "shop.X", .retry_ms = -1});
    CU_ASSERT_STRING_EQUAL(error.message, "");
    ferry_error_clear(&error);
}

static void an_errno_keeps_its_number_even_without_a_type(void) {
    ferry_error error = FERRY_ERROR_INIT;

    CU_ASSERT_EQUAL(error_set_code(&error, -ENOTTY, NULL), -ENOTTY);
    CU_ASSERT_EQUAL(error.code, -ENOTTY);
    CU_ASSERT_STRING_EQUAL(error.type, "ferry.Internal");
    CU_ASSERT_STRING_EQUAL(error.message, strerror(ENOTTY));
    CU_ASSERT_EQUAL(error_set_code(&error, ENOENT, "no %d", 3), -ENOENT);
    CU_ASSERT_STRING_EQUAL(error.message, "no 3");
    ferry_error_clear(&error);
}

static int build_full(ferry_error *error, const ferry_error *cause) {
    const char *trace[] = {"div at calc.c:12", "main at calc.c:40"};

    return error_build(error, &(ErrorParts){.type = "calc.DivisionByZero",
                                            .message = "1 / 0",
                                            .origin = "calc.Calc.div on host/4711",
                                            .n_trace = 2,
                                            .trace = trace,
                                            .cause = cause,
                                            .data = ferry_bytes_of("\x81\xa1n\x01", 4),
                                            .retry_ms = 250,
                                            .outcome_unknown = true});
}

static void check_full(const ferry_error *error) {
    ErrorParts parts = error_parts(error);

    CU_ASSERT_STRING_EQUAL(parts.type, "calc.DivisionByZero");
    CU_ASSERT_STRING_EQUAL(parts.message, "1 / 0");
    CU_ASSERT_STRING_EQUAL(parts.origin, "calc.Calc.div on host/4711");
    CU_ASSERT_EQUAL_FATAL(parts.n_trace, 2);
    CU_ASSERT_STRING_EQUAL(parts.trace[1], "main at calc.c:40");
    CU_ASSERT_EQUAL(parts.data.len, 4);
    CU_ASSERT_EQUAL(memcmp(parts.data.data, "\x81\xa1n\x01", 4), 0);
    CU_ASSERT_EQUAL(parts.retry_ms, 250);
    CU_ASSERT_TRUE(parts.outcome_unknown);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ferry_error_cause(error));
    CU_ASSERT_STRING_EQUAL(ferry_error_cause(error)->type, "ferry.Full");
}

static void all_parts_are_copied_and_move(void) {
    ferry_error cause = FERRY_ERROR_INIT, error = FERRY_ERROR_INIT, copy = FERRY_ERROR_INIT,
                moved = FERRY_ERROR_INIT;

    error_set(&cause, "ferry.Full", "full");
    CU_ASSERT_EQUAL(build_full(&error, &cause), -EREMOTEIO);
    ferry_error_clear(&cause);
    check_full(&error);
    CU_ASSERT_EQUAL(error_copy(&copy, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(error_copy(NULL, &error), -EREMOTEIO);
    error_set(&moved, "ferry.Full", "overwritten");
    error_move(&moved, &error);
    CU_ASSERT_PTR_NULL(error.type);
    ferry_error_clear(&error);
    check_full(&moved);
    check_full(&copy);
    error_move(NULL, &moved);
    CU_ASSERT_PTR_NULL(moved.type);
    error_copy(&copy, &moved);
    CU_ASSERT_PTR_NULL(copy.type);
}

static void an_error_may_become_its_own_cause(void) {
    ferry_error error = FERRY_ERROR_INIT;

    error_set(&error, "ferry.NotFound", "0");
    for (int i = 0; i < 100; i++)
        error_build(&error, &(ErrorParts){.type = "a.B", .cause = &error, .retry_ms = -1});

    const ferry_error *root = &error;

    while (ferry_error_cause(root))
        root = ferry_error_cause(root);
    CU_ASSERT_STRING_EQUAL(root->type, "ferry.NotFound");
    ferry_error_clear(&error);
}

static void printing_shows_all_parts(void) {
    ferry_error cause = FERRY_ERROR_INIT, error = FERRY_ERROR_INIT;
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    error_set(&cause, "ferry.Full", "full");
    build_full(&error, &cause);
    ferry_error_print(&error, file);
    ferry_error_print(NULL, file);
    fclose(file);
    CU_ASSERT_STRING_EQUAL(text, "calc.DivisionByZero: 1 / 0\n"
                                 "    in calc.Calc.div on host/4711\n"
                                 "    by div at calc.c:12\n"
                                 "    by main at calc.c:40\n"
                                 "    retry after 250 ms\n"
                                 "    sent, but not answered: it may have happened\n"
                                 "caused by ferry.Full: full\n");
    free(text);
    ferry_error_clear(&error);
    ferry_error_clear(&cause);
}

static void out_of_memory_keeps_the_code(void) {
    OOM_EACH(n) {
        ferry_error cause = FERRY_ERROR_INIT, error = FERRY_ERROR_INIT, copy = FERRY_ERROR_INIT;
        int r;

        error_set(&cause, "ferry.Full", "full");
        CU_ASSERT_EQUAL(cause.code, -ENOBUFS);
        CU_ASSERT_STRING_EQUAL(cause.type, "ferry.Full");
        r = build_full(&error, &cause);
        error_copy(&copy, &error);
        OOM_STOP;
        CU_ASSERT_EQUAL(r, -EREMOTEIO);
        CU_ASSERT_EQUAL(error.code, -EREMOTEIO);
        CU_ASSERT_EQUAL(copy.code, -EREMOTEIO);
        CU_ASSERT_PTR_NOT_NULL(error.type);
        CU_ASSERT_PTR_NOT_NULL(copy.message);
        ferry_error_clear(&cause);
        ferry_error_clear(&error);
        ferry_error_clear(&copy);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(every_type_is_found_by_its_name),
        TEST(a_code_without_a_type_is_internal),
        TEST(setting_an_error_returns_its_code),
        TEST(a_type_without_a_message_has_the_standard_one),
        TEST(an_errno_keeps_its_number_even_without_a_type),
        TEST(all_parts_are_copied_and_move),
        TEST(an_error_may_become_its_own_cause),
        TEST(printing_shows_all_parts),
        TEST(out_of_memory_keeps_the_code),
        TESTS_END,
    };

    return run_suite("base errors", tests);
}
