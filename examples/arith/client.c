/* SPDX-License-Identifier: Apache-2.0 */

/* Calls every method of arith.Arith, with arguments that it refuses too. */

#include <inttypes.h>

#include "arith.h"

static int add(ferry_client *client, int64_t a, int64_t b, ferry_error *error) {
    const arith_overflow *overflow;
    int64_t sum;
    int r = arith_add(client, a, b, &sum, error);

    if (r == 0)
        printf("%" PRId64 " + %" PRId64 " = %" PRId64 "\n", a, b, sum);
    else if ((overflow = arith_overflow_in(error)))
        printf("%" PRId64 " + %" PRId64 ": %s\n", overflow->a, overflow->b, error->message);
    return r == 0 || overflow ? 0 : r;
}

static int quadratic(ferry_client *client, double a, double b, double c, ferry_error *error) {
    FERRY_AUTO(ferry_free) arith_roots *roots = NULL;
    const arith_no_real_roots *none = NULL;
    int r = arith_quadratic(client, a, b, c, &roots, error);

    if (r == 0)
        printf("%gx² %+gx %+g = 0 at %.15g and %.15g\n", a, b, c, roots->low, roots->high);
    else if ((none = arith_no_real_roots_in(error)))
        printf("%gx² %+gx %+g is never 0: the discriminant is %g\n", a, b, c, none->discriminant);
    else if (arith_not_quadratic_in(error))
        printf("%gx² %+gx %+g: %s\n", a, b, c, error->message);
    return r == -EREMOTEIO ? 0 : r;
}

static int echo(ferry_client *client, ferry_error *error) {
    arith_everything sent = ARITH_EVERYTHING_INIT;
    FERRY_AUTO(ferry_free) arith_everything *got = NULL;
    int r;

    sent.truth = true;
    sent.large = INT64_MIN;
    sent.text = "grüße";
    sent.bytes = ferry_bytes_of("\0\xff", 2);
    sent.suit = ARITH_SUIT_HEARTS;
    sent.number = (arith_number){.which = ARITH_NUMBER_WORDS, .words = "three"};
    sent.numbers = (ferry_list_i32){3, (const int32_t[]){1, 2, 3}};
    sent.note = "optional, and here";
    r = arith_echo(client, &sent, &got, error);
    if (r == 0)
        printf("Every type came back: %s %" PRId64 " '%s' %zu bytes %s '%s' %zu numbers '%s'\n",
               got->truth ? "true" : "false", got->large, got->text, got->bytes.len,
               arith_suit_name(got->suit), got->number.words, got->numbers.n, got->note);
    return r;
}

static int remember(ferry_client *client, ferry_error *error) {
    const ferry_header token = {"token", "open sesame"};
    FERRY_AUTO(ferry_close) ferry_client *trusted = NULL;
    int64_t before;
    int r = arith_remember(client, 7, &before, error);

    if (r == -EACCES)
        printf("Without a token: %s\n", error->message);
    r = ferry_with(client, &(ferry_options){.n_headers = 1, .headers = &token}, &trusted, NULL);
    if (r == 0)
        r = arith_remember(trusted, 7, &before, error);
    if (r == 0)
        printf("With it: 7 instead of %" PRId64 "\n", before);
    return r == 0 ? arith_remember(trusted, before, &before, error) : r;
}

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (ferry_open(NULL, &(ferry_options){.name = "arith-client"}, &client, &error) < 0 ||
        add(client, 2, 3, &error) < 0 || add(client, INT64_MAX, 1, &error) < 0 ||
        quadratic(client, 1, -5, 6, &error) < 0 || quadratic(client, 1, 1e9, 1, &error) < 0 ||
        quadratic(client, 1, 0, 1, &error) < 0 || quadratic(client, 0, 1, 1, &error) < 0 ||
        echo(client, &error) < 0 || remember(client, &error) < 0) {
        ferry_error_print(&error, stderr);
        return 1;
    }
    return 0;
}
