/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A chain of calls over three servers, each of which is a process: the shop calls the bank, the
 * bank calls a calculator for a division, and the calculator throws or takes its time.
 *
 *     test-chain --role shop|bank|calc URL [trace|bare]
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/faults.h"
#include "support/roles.h"
#include "support/suite.h"
#include "y_chain.h"

enum { SHOP_MS = 100, BANK_MS = 150, SLACK_MS = 60 };

/* Values of `item` with a special behaviour of the calculator; it divides by all other values. */
enum { ITEM_THROWS = 0, ITEM_WAITS = -1, ITEM_COMPUTES = -2 };

/* ---- the servers ---- */

static const char *header(const ferry_request *request, const char *name) {
    const char *value = ferry_request_header(request, name);

    return value ? value : "-";
}

static void tell_trace(const ferry_request *request) {
    tell("trace %s %s", header(request, "traceparent"), header(request, "tenant"));
}

static int price(ferry_request *request, int32_t item, const char *currency, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t rate;
    int r;

    (void)ctx;
    tell_trace(request);
    sleep_ms(SHOP_MS);
    r = chain_bank_rate(ferry_request_client(request), item, currency, &rate, &error);
    if (chain_no_rate_in(&error))
        return chain_throw_no_price(ferry_request_because(request, &error),
                                    &(chain_no_price){.item = item, .currency = currency});
    return r < 0 ? ferry_request_fail(request, r, &error)
                 : chain_shop_price_return(request, 2 * rate);
}

static int rate(ferry_request *request, int32_t item, const char *currency, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t quotient;
    int r;

    (void)ctx;
    tell_trace(request);
    sleep_ms(BANK_MS);
    r = chain_calc_div(ferry_request_client(request), 100, item, &quotient, &error);
    if (chain_division_by_zero_in(&error))
        return chain_throw_no_rate(ferry_request_because(request, &error),
                                   &(chain_no_rate){.currency = currency});
    return r < 0 ? ferry_request_fail(request, r, &error)
                 : chain_bank_rate_return(request, quotient);
}

static void on_cancelled(ferry_request *request, void *ctx) {
    (void)ctx;
    tell("cancelled %d", ferry_request_cancelled(request));
    ferry_request_fail(request, -ECANCELED, NULL);
}

static int divide(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    tell_trace(request);
    tell("end %llu", (unsigned long long)clock_ms() + ferry_request_left_ms(request));
    if (b == ITEM_THROWS)
        return chain_throw_division_by_zero(request, &(chain_division_by_zero){.dividend = a});
    if (b == ITEM_WAITS) {
        request = ferry_request_defer(request);
        ferry_request_watch(request, on_cancelled, NULL);
        tell("begun 1");
        return 0;
    }
    if (b == ITEM_COMPUTES) {
        tell("begun 1");
        while (!ferry_request_cancelled(request))
            sleep_ms(1);
        tell("cancelled 1");
        return ferry_request_fail(request, -ECANCELED, NULL);
    }
    return chain_calc_div_return(request, (int64_t)a / b);
}

static bool is_bare;

static int serve_shop(ferry_client *client, ferry_error *reterr) {
    static const chain_shop_handlers handlers = {.price = price};

    return chain_shop_serve(client, &handlers, &(ferry_serve_options){.redact_errors = is_bare},
                            NULL, NULL, reterr);
}

static int serve_bank(ferry_client *client, ferry_error *reterr) {
    static const chain_bank_handlers handlers = {.rate = rate};

    return chain_bank_serve(client, &handlers, NULL, NULL, NULL, reterr);
}

static int serve_calc(ferry_client *client, ferry_error *reterr) {
    static const chain_calc_handlers handlers = {.div = divide};

    return chain_calc_serve(client, &handlers, NULL, NULL, NULL, reterr);
}

static int play(int argc, char **argv, int (*serve)(ferry_client *, ferry_error *)) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    bool traces = argc > 1 && strcmp(argv[1], "trace") == 0;

    is_bare = argc > 1 && strcmp(argv[1], "bare") == 0;
    if (ferry_open(argv[0], &(ferry_options){.trace = traces}, &client, &error) == 0 &&
        serve(client, &error) == 0) {
        tell("ready 0");
        ferry_run(client, &error);
    }
    if (error.type)
        ferry_error_print(&error, stderr);
    return error.type ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int play_shop(int argc, char **argv) {
    return play(argc, argv, serve_shop);
}

static int play_bank(int argc, char **argv) {
    return play(argc, argv, serve_bank);
}

static int play_calc(int argc, char **argv) {
    return play(argc, argv, serve_calc);
}

/* ---- their caller ---- */

typedef struct Chain {
    Daemon broker;
    Process shop, bank, calc;
    ferry_client *client;
} Chain;

static void chain_start(Chain *chain) {
    Process *const servers[] = {&chain->shop, &chain->bank, &chain->calc};
    static const char *const roles[] = {"shop", "bank", "calc"};

    daemon_start(&chain->broker, NULL);
    for (size_t i = 0; i < 3; i++)
        role_start(servers[i], roles[i], chain->broker.url, NULL);
    for (size_t i = 0; i < 3; i++)
        CU_ASSERT_TRUE(told_count(servers[i], "ready", 0, PATIENCE_MS, NULL));
    chain->client = open_with(chain->broker.url, NULL);
}

static void chain_end(Chain *chain) {
    ferry_close(chain->client);
    process_end(&chain->shop, SIGKILL, PATIENCE_MS);
    process_end(&chain->bank, SIGKILL, PATIENCE_MS);
    process_end(&chain->calc, SIGKILL, PATIENCE_MS);
    daemon_end(&chain->broker);
}

/* Checks one level of the text that ferry_error_print() prints for the error. */
static void check_level(const ferry_error *error, const char *type, const char *method,
                        const char *function) {
    char *text = NULL, wanted[100];
    size_t size;
    FILE *file = open_memstream(&text, &size);

    CU_ASSERT_PTR_NOT_NULL_FATAL(error);
    CU_ASSERT_STRING_EQUAL(error->type, type);
    snprintf(wanted, sizeof(wanted), "%s on ", method);
    CU_ASSERT_PTR_NOT_NULL(strstr(ferry_error_origin(error), wanted));
    ferry_error_print(error, file);
    fclose(file);
    snprintf(wanted, sizeof(wanted), "\n    by %s at test-chain.c:", function);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, wanted));
    free(text);
}

static void an_exception_names_its_causes_down_to_the_root(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const chain_no_price *shop;
    const chain_no_rate *bank;
    const chain_division_by_zero *calc;
    const ferry_error *cause;
    int64_t got = 17;
    Chain chain;

    chain_start(&chain);
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, 4, "EUR", &got, &error), 0);
    CU_ASSERT_EQUAL(got, 50);
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, ITEM_THROWS, "EUR", &got, &error), -EREMOTEIO);
    CU_ASSERT_EQUAL(got, 50);

    shop = chain_no_price_in(&error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(shop);
    CU_ASSERT_EQUAL(shop->item, 0);
    CU_ASSERT_STRING_EQUAL(shop->currency, "EUR");
    check_level(&error, "chain.NoPrice", "chain.Shop.price", "price");

    cause = ferry_error_cause(&error);
    check_level(cause, "chain.NoRate", "chain.Bank.rate", "rate");
    bank = chain_no_rate_in(cause);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bank);
    CU_ASSERT_STRING_EQUAL(bank->currency, "EUR");

    cause = ferry_error_cause(cause);
    check_level(cause, "chain.DivisionByZero", "chain.Calc.div", "divide");
    calc = chain_division_by_zero_in(cause);
    CU_ASSERT_PTR_NOT_NULL_FATAL(calc);
    CU_ASSERT_EQUAL(calc->dividend, 100);
    CU_ASSERT_PTR_NULL(ferry_error_cause(cause));
    chain_end(&chain);
}

static void outsiders_see_only_the_exception(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char *text = NULL;
    size_t size;
    FILE *file;
    Chain chain;

    chain_start(&chain);
    process_end(&chain.shop, SIGKILL, PATIENCE_MS);
    role_start(&chain.shop, "shop", chain.broker.url, "bare", NULL);
    CU_ASSERT_TRUE(told_count(&chain.shop, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, ITEM_THROWS, "EUR", NULL, &error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(chain_no_price_in(&error));
    file = open_memstream(&text, &size);
    ferry_error_print(&error, file);
    fclose(file);
    CU_ASSERT_STRING_EQUAL(text, "chain.NoPrice: The price cannot be told.\n");
    free(text);

    /* The text of a failure has no more details either. */
    process_end(&chain.bank, SIGKILL, PATIENCE_MS);
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, 4, "EUR", NULL, &error), -EHOSTUNREACH);
    CU_ASSERT_STRING_EQUAL(error.message, strerror(EHOSTUNREACH));
    CU_ASSERT_PTR_NULL(ferry_error_cause(&error));
    CU_ASSERT_PTR_NULL(ferry_error_origin(&error));
    chain_end(&chain);
}

/* The server in the middle dies: the causes name both remaining hops. */
static void a_lost_server_is_a_cause_as_well(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t got;
    Chain chain;

    chain_start(&chain);
    process_end(&chain.calc, SIGKILL, PATIENCE_MS);
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, 4, "EUR", &got, &error), -EHOSTUNREACH);
    check_level(&error, "ferry.NoSuchService", "chain.Shop.price", "price");
    check_level(ferry_error_cause(&error), "ferry.NoSuchService", "chain.Bank.rate", "rate");
    CU_ASSERT_PTR_NULL(ferry_error_cause(ferry_error_cause(ferry_error_cause(&error))));
    chain_end(&chain);
}

static void the_callers_deadline_applies_to_all_servers(void) {
    enum { TIMEOUT_MS = 10000, DEFAULT_MS = 30000 };
    FERRY_AUTO(ferry_close) ferry_client *handle = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    uint64_t start_ms;
    long end_ms = 0, late_ms;
    int64_t got;
    Chain chain;

    chain_start(&chain);
    ferry_with(chain.client, &(ferry_options){.timeout_ms = TIMEOUT_MS}, &handle, NULL);
    start_ms = clock_ms();
    CU_ASSERT_EQUAL(chain_shop_price(handle, 4, "EUR", &got, &error), 0);
    CU_ASSERT(clock_ms() - start_ms >= SHOP_MS + BANK_MS);
    /* All processes read the same clock, so the calculator's deadline can be compared with ours. */
    CU_ASSERT_TRUE(told_count(&chain.calc, "end", 0, PATIENCE_MS, &end_ms));
    late_ms = end_ms - (long)(start_ms + TIMEOUT_MS);
    printf("\n    a deadline of %d ms, seen %d ms later two hops away: off by %ld ms", TIMEOUT_MS,
           SHOP_MS + BANK_MS, late_ms);
    /* A call with the default timeout would end later. */
    CU_ASSERT(late_ms >= -SLACK_MS && late_ms < DEFAULT_MS - TIMEOUT_MS);

    /* A deadline that passes within the chain. */
    handle = ferry_close(handle);
    ferry_with(chain.client, &(ferry_options){.timeout_ms = SHOP_MS + BANK_MS + 3000}, &handle,
               NULL);
    CU_ASSERT_EQUAL(chain_shop_price(handle, ITEM_COMPUTES, "EUR", &got, &error), -ETIMEDOUT);
    CU_ASSERT_TRUE(told_count(&chain.calc, "cancelled", 1, PATIENCE_MS, NULL));
    handle = ferry_close(handle);
    chain_end(&chain);
}

static void on_price(int64_t result, const ferry_error *error, void *ctx) {
    (void)result;
    *(int *)ctx = error ? error->code : 1;
}

static double cancel_one(Chain *chain, int32_t item) {
    ferry_client *handle = NULL;
    uint64_t start_us;
    int code = 0;

    ferry_with(chain->client, NULL, &handle, NULL);
    CU_ASSERT_EQUAL(chain_shop_price_async(handle, item, "EUR", on_price, &code, NULL), 0);
    ferry_process(chain->client, NULL);
    CU_ASSERT_TRUE(told_count(&chain->calc, "begun", 1, PATIENCE_MS, NULL));
    start_us = clock_us();
    ferry_close(handle);
    CU_ASSERT_TRUE(told_count(&chain->calc, "cancelled", 1, PATIENCE_MS, NULL));
    CU_ASSERT_EQUAL(code, -ECANCELED);
    return (double)(clock_us() - start_us) / 1000;
}

static void a_cancel_goes_all_the_way_down(void) {
    double worst_ms[2] = {0};
    int64_t got = 0;
    Chain chain;

    chain_start(&chain);
    for (int i = 0; i < 10; i++) {
        double took_ms = cancel_one(&chain, i % 2 ? ITEM_COMPUTES : ITEM_WAITS);

        worst_ms[i % 2] = took_ms > worst_ms[i % 2] ? took_ms : worst_ms[i % 2];
    }
    printf("\n    cancelled two hops up: a server that waits knows after at most %.1f ms, one that "
           "computes after %.1f ms",
           worst_ms[0], worst_ms[1]);
    /* All three servers are free for the next call. */
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, 4, "EUR", &got, NULL), 0);
    CU_ASSERT_EQUAL(got, 50);
    chain_end(&chain);
}

/* Reads the next line "trace …" of each server, in the order of the calls. */
static void read_traces(Chain *chain, char traces[3][200]) {
    Process *const servers[] = {&chain->shop, &chain->bank, &chain->calc};

    for (size_t i = 0; i < 3; i++) {
        const char *line;

        do
            line = told(servers[i], PATIENCE_MS);
        while (line && strncmp(line, "trace ", 6) != 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(line);
        snprintf(traces[i], sizeof(traces[i]), "%s", line + 6);
    }
}

/* Positions of the parts of a traceparent. */
enum { PARENT_AT = 36, FLAGS_AT = 53 };

static bool same_trace(const char *one, const char *other) {
    return memcmp(one, other, PARENT_AT) == 0 && memcmp(one + FLAGS_AT, other + FLAGS_AT, 2) == 0;
}

static bool same_parent(const char *one, const char *other) {
    return memcmp(one + PARENT_AT, other + PARENT_AT, 16) == 0;
}

static void headers_reach_the_last_one(void) {
    static const char sent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    const ferry_header headers[] = {{"traceparent", sent}, {"tenant", "blue"}};
    FERRY_AUTO(ferry_close) ferry_client *handle = NULL;
    char traces[3][200];
    Chain chain;

    chain_start(&chain);
    ferry_with(chain.client, &(ferry_options){.n_headers = 2, .headers = headers}, &handle, NULL);
    CU_ASSERT_EQUAL(chain_shop_price(handle, 4, "EUR", NULL, NULL), 0);
    read_traces(&chain, traces);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_STRING_EQUAL(traces[i] + sizeof(sent), "blue");
        CU_ASSERT_TRUE(same_trace(traces[i], sent));
    }
    CU_ASSERT_TRUE(same_parent(traces[0], sent));
    CU_ASSERT_FALSE(same_parent(traces[1], sent));
    CU_ASSERT_FALSE(same_parent(traces[2], sent));
    CU_ASSERT_FALSE(same_parent(traces[2], traces[1]));
    handle = ferry_close(handle);
    chain_end(&chain);
}

static void traces_begin_where_they_are_asked_for(void) {
    FERRY_AUTO(ferry_close) ferry_client *tracing = NULL, *inner = NULL;
    char first[3][200], second[3][200];
    Chain chain;

    chain_start(&chain);
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, 4, "EUR", NULL, NULL), 0);
    read_traces(&chain, first);
    CU_ASSERT_STRING_EQUAL(first[2], "- -");

    /* Each call begins its own trace, also through handles made from this one. */
    ferry_with(chain.client, &(ferry_options){.trace = true}, &tracing, NULL);
    ferry_with(tracing, &(ferry_options){.timeout_ms = 5000}, &inner, NULL);
    CU_ASSERT_EQUAL(chain_shop_price(tracing, 4, "EUR", NULL, NULL), 0);
    read_traces(&chain, first);
    CU_ASSERT_EQUAL(chain_shop_price(inner, 4, "EUR", NULL, NULL), 0);
    read_traces(&chain, second);
    CU_ASSERT_EQUAL(strspn(first[0], "0123456789abcdef-"), 55);
    CU_ASSERT_TRUE(same_trace(first[0], first[1]) && same_trace(first[0], first[2]));
    CU_ASSERT_TRUE(same_trace(second[0], second[2]));
    CU_ASSERT_FALSE(same_trace(first[0], second[0]));
    inner = ferry_close(inner);
    tracing = ferry_close(tracing);

    /* A server in the middle begins the trace. */
    process_end(&chain.bank, SIGKILL, PATIENCE_MS);
    role_start(&chain.bank, "bank", chain.broker.url, "trace", NULL);
    CU_ASSERT_TRUE(told_count(&chain.bank, "ready", 0, PATIENCE_MS, NULL));
    CU_ASSERT_EQUAL(chain_shop_price(chain.client, 4, "EUR", NULL, NULL), 0);
    read_traces(&chain, first);
    CU_ASSERT_STRING_EQUAL(first[1], "- -");
    CU_ASSERT_EQUAL(memcmp(first[2], "00-", 3), 0);
    chain_end(&chain);
}

int main(int argc, char **argv) {
    static const Role roles[] = {
        {"shop", play_shop}, {"bank", play_bank}, {"calc", play_calc}, {NULL, NULL}};
    CU_TestInfo tests[] = {
        TEST(an_exception_names_its_causes_down_to_the_root),
        TEST(outsiders_see_only_the_exception),
        TEST(a_lost_server_is_a_cause_as_well),
        TEST(the_callers_deadline_applies_to_all_servers),
        TEST(a_cancel_goes_all_the_way_down),
        TEST(headers_reach_the_last_one),
        TEST(traces_begin_where_they_are_asked_for),
        TESTS_END,
    };

    roles_play(argc, argv, roles);
    return run_suite("a chain of three servers", tests);
}
