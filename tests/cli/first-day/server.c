/* SPDX-License-Identifier: Apache-2.0 */
/* The shop: gives orders to the packers, tells the board, knows the price: server PRICE-FILE CACHE
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "shop.h"

enum { STOCK = 1000 };

typedef struct Shop {
    ferry_client *client;
    ferry_cache *cache;
    const char *price_file;
} Shop;

static int buy(ferry_request *request, const shop_order *order, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Shop *shop = ctx;
    ferry_bytes body;
    char key[32];
    int r;

    if (order->amount > STOCK)
        return shop_throw_out_of_stock(request, &(shop_out_of_stock){order->item, STOCK});
    snprintf(key, sizeof(key), "order-%lld", (long long)order->number);
    r = shop_order_pack(order, &body, &error);
    if (r == 0)
        r = ferry_push(shop->client, "pack", body, &(ferry_push_options){.key = key}, &error);
    if (r == 0)
        r = ferry_publish(shop->client, "orders.new", body, NULL, &error);
    ferry_free(body.block);
    return r < 0 ? ferry_request_fail(request, r, &error) : shop_buy_return(request);
}

static int price(ferry_request *request, const char *item, void *ctx) {
    Shop *shop = ctx;
    int cents = 0;
    FILE *file = fopen(shop->price_file, "r");

    (void)item;
    if (!file)
        return -errno;
    if (fscanf(file, "%d", &cents) != 1)
        cents = 0;
    fclose(file);
    return shop_price_return(request, cents);
}

static int set_price(ferry_request *request, const char *item, int32_t cents, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Shop *shop = ctx;
    FILE *file = fopen(shop->price_file, "w");
    int r;

    (void)item;
    if (!file)
        return -errno;
    fprintf(file, "%d\n", (int)cents);
    fclose(file);
    r = ferry_cache_invalidate(shop->cache, "prices", &error);
    return r < 0 ? ferry_request_fail(request, r, &error) : shop_set_price_return(request);
}

static ferry_client *running;

static void on_term(int signal) {
    (void)signal;
    ferry_stop(running);
}

int main(int argc, char **argv) {
    static const shop_handlers handlers = {.buy = buy, .price = price, .set_price = set_price};
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_cache_close) ferry_cache *cache = NULL;
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    Shop shop;

    if (argc != 3)
        return 2;
    if (ferry_cache_open(argv[2], NULL, &cache, &error) == 0 &&
        ferry_open(NULL, &(ferry_options){.wait_for_broker = true}, &client, &error) == 0) {
        shop = (Shop){client, cache, argv[1]};
        running = client;
        signal(SIGTERM, on_term);
        if (shop_serve(client, &handlers, NULL, &shop, NULL, &error) == 0)
            ferry_run(client, &error);
    }
    if (error.code)
        ferry_error_print(&error, stderr);
    return error.code != 0;
}
