/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that ferry-idl writes for a struct give the same result as its table for each
 * value, also for damaged bytes, and stay inside the room that they get. */

#include <ferry/codec.h>
#include <stdlib.h>

#include "order.h"
#include "support/random.h"
#include "support/suite.h"

enum { ROUNDS = 20000, TEXT_MAX = 400, ITEMS_MAX = 300, BYTES_MAX = 600 };

static ferry_type table; /* the table without the functions */

static Dice dice;

static size_t below(size_t limit) {
    return dice_below(&dice, limit);
}

/* A random text: mostly short; sometimes long, not ASCII, or not UTF-8. */
static char *some_text(void) {
    size_t len = below(4) ? below(20) : below(TEXT_MAX);
    char *text = malloc(len + 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t i = 0; i < len; i++)
        text[i] = below(200) ? (char)(' ' + below(95)) : '\xc3';
    text[len] = '\0';
    return text;
}

/* Random numbers of all lengths. */
static int64_t some_number(void) {
    uint64_t number = dice_any(&dice);

    return (int64_t)(below(2) ? number : 0 - number);
}

static bench_order some_order(void) {
    size_t n_items = below(8) ? below(6) : below(ITEMS_MAX);
    size_t n_bytes = below(8) ? below(20) : below(BYTES_MAX);
    int32_t *items = malloc((n_items + 1) * sizeof(*items));
    uint8_t *bytes = calloc(1, n_bytes + 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(items);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    for (size_t i = 0; i < n_items; i++)
        items[i] = (int32_t)some_number();
    return (bench_order){.id = some_number(),
                         .customer = some_text(),
                         .paid = below(2) == 1,
                         .total = (double)some_number() / 7,
                         .quantity = (int32_t)some_number(),
                         .currency = some_text(),
                         .items = {n_items, items},
                         .created_ms = some_number(),
                         .note = below(50) ? some_text() : NULL,
                         .token = {bytes, n_bytes, NULL}};
}

static void free_order(bench_order *order) {
    free((void *)(uintptr_t)order->customer);
    free((void *)(uintptr_t)order->currency);
    free((void *)(uintptr_t)order->items.v);
    free((void *)(uintptr_t)order->note);
    free((void *)(uintptr_t)order->token.data);
}

/* Returns the packed value; after an error, no data. */
static ferry_bytes packed(const ferry_type *type, const bench_order *order, ferry_error *error) {
    ferry_bytes bytes = {NULL, 0, NULL};

    ferry_value_pack(type, order, &bytes, error);
    return bytes;
}

static bool same_bytes(ferry_bytes a, ferry_bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_error(const ferry_error *a, const ferry_error *b) {
    return a->code == b->code && (a->code == 0 || strcmp(a->message, b->message) == 0);
}

/* The room is an allocation of its own, so that a memory checker finds a write behind it. */
static bool fits_into(size_t room, const bench_order *order, ferry_bytes expected) {
    unsigned char *to = malloc(room + 1), *end;
    bool is_right;

    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    end = ferry_type_bench_order.put(to, to + room, order);
    is_right = !end || same_bytes(ferry_bytes_of(to, (size_t)(end - to)), expected);
    free(to);
    return is_right;
}

/* Returns a copy in an allocation of exactly its size, sometimes truncated or changed. */
static ferry_bytes damaged(ferry_bytes bytes) {
    size_t len = below(6) ? bytes.len : below(bytes.len);
    uint8_t *copy = malloc(len + 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, bytes.data, len);
    for (size_t n = below(2) ? below(4) : 0; n > 0 && len > 0; n--)
        copy[below(len)] = (uint8_t)dice_u64(&dice);
    copy = realloc(copy, len > 0 ? len : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    return ferry_bytes_of(copy, len);
}

/* True: the functions and the table read the same value from these bytes. */
static bool read_the_same(ferry_bytes bytes, unsigned *n_refused) {
    ferry_error error = FERRY_ERROR_INIT, table_error = FERRY_ERROR_INIT;
    ferry_bytes again = {NULL, 0, NULL}, table_again = {NULL, 0, NULL};
    bench_order *order = NULL, *by_table = NULL;
    bool same;

    ferry_value_unpack(&ferry_type_bench_order, bytes, &order, &error);
    ferry_value_unpack(&table, bytes, &by_table, &table_error);
    if (order && by_table) {
        again = packed(&table, order, NULL);
        table_again = packed(&table, by_table, NULL);
    }
    same =
        !order == !by_table && same_error(&error, &table_error) && same_bytes(again, table_again);
    *n_refused += !order;
    ferry_free(again.block);
    ferry_free(table_again.block);
    ferry_free(order);
    ferry_free(by_table);
    ferry_error_clear(&error);
    ferry_error_clear(&table_error);
    return same;
}

static void functions_and_table_agree(void) {
    unsigned n_different = 0, n_packed = 0, n_refused = 0;

    for (int i = 0; i < ROUNDS; i++) {
        ferry_error error = FERRY_ERROR_INIT, table_error = FERRY_ERROR_INIT;
        bench_order order = some_order();
        ferry_bytes bytes = packed(&ferry_type_bench_order, &order, &error);
        ferry_bytes by_table = packed(&table, &order, &table_error);

        n_different += !same_bytes(bytes, by_table) || !same_error(&error, &table_error);
        if (bytes.data) {
            ferry_bytes input = damaged(bytes);

            n_packed++;
            n_different += !fits_into(below(1500), &order, bytes);
            n_different += !read_the_same(input, &n_refused);
            free((void *)(uintptr_t)input.data);
        }
        ferry_free(bytes.block);
        ferry_free(by_table.block);
        ferry_error_clear(&error);
        ferry_error_clear(&table_error);
        free_order(&order);
    }
    CU_ASSERT_EQUAL(n_different, 0);
    /* The test is only valid if both ways were used, and bytes were both refused and accepted. */
    CU_ASSERT(n_packed > ROUNDS / 4 && n_packed < ROUNDS);
    CU_ASSERT(n_refused > ROUNDS / 20 && n_refused < n_packed);
}

/* A usual value must not need the table: this makes typed calls fast. */
static void a_usual_value_does_not_need_the_table(void) {
    static const int32_t items[] = {1, 200, -70000};
    const bench_order order = {.customer = "Ada",
                               .currency = "EUR",
                               .note = "",
                               .items = {3, items},
                               .token = {"x", 1, NULL}};
    unsigned char bytes[512], memory[512];
    unsigned char *end = ferry_type_bench_order.put(bytes, bytes + sizeof(bytes), &order);
    ferry_source source = {end, memory, memory + sizeof(memory)};
    bench_order back;

    CU_ASSERT_PTR_NOT_NULL_FATAL(end);
    CU_ASSERT_PTR_EQUAL(ferry_type_bench_order.get(&source, bytes, &back), end);
    CU_ASSERT_STRING_EQUAL(back.customer, "Ada");
    CU_ASSERT_EQUAL(back.items.v[2], -70000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(functions_and_table_agree),
        TEST(a_usual_value_does_not_need_the_table),
        TESTS_END,
    };

    dice = dice_new(1);
    table = ferry_type_bench_order;
    table.put = NULL;
    table.get = NULL;
    return run_suite("idl functions and tables", tests);
}
