/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A customer.
 *
 *     customer CACHE buy FROM TO    orders one number after another, and prints the confirmed ones
 *     customer CACHE price          prints the price, which is remembered in the cache
 *     customer CACHE raise CENTS    sets a new price
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shop.h"

static int buy(ferry_client *client, long from, long to, ferry_error *error) {
    for (long number = from; number <= to; number++) {
        const shop_order order = {.number = number, .item = "teapot", .amount = 1};
        int r = shop_buy(client, &order, error);

        if (r < 0) {
            fprintf(stderr, "order %ld: ", number);
            return r;
        }
        printf("%ld\n", number);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_cache_close) ferry_cache *cache = NULL;
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    int32_t cents;
    int r;

    if (argc < 3)
        return 2;
    r = ferry_cache_open(argv[1], NULL, &cache, &error);
    if (r == 0)
        r = ferry_open(NULL, &(ferry_options){.cache = cache, .wait_for_server = true}, &client,
                       &error);
    if (r == 0 && strcmp(argv[2], "buy") == 0 && argc == 5) {
        r = buy(client, atol(argv[3]), atol(argv[4]), &error);
    } else if (r == 0 && strcmp(argv[2], "raise") == 0 && argc == 4) {
        r = shop_set_price(client, "teapot", atoi(argv[3]), &error);
    } else if (r == 0 && (r = shop_price(client, "teapot", &cents, &error)) == 0) {
        printf("%d\n", (int)cents);
    }
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
