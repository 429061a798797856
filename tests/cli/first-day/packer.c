/* SPDX-License-Identifier: Apache-2.0 */
/* A packer: writes each order into the book, one line each, and may see an order twice: packer BOOK
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "shop.h"

static ferry_client *running;

static void on_term(int signal) {
    (void)signal;
    ferry_stop(running);
}

static int pack(ferry_job *job, void *ctx) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_free) shop_order *order = NULL;
    FILE *book;
    int failed;

    if (shop_order_unpack(job->body, &order, &error) < 0)
        return ferry_job_reject(job, error.message);
    book = fopen(ctx, "a");
    if (!book)
        return -errno;
    fprintf(book, "%lld %d %s\n", (long long)order->number, (int)order->amount, order->item);
    failed = fclose(book);
    return failed ? -errno : 0;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;

    if (argc != 2)
        return 2;
    if (ferry_open(NULL, &(ferry_options){.wait_for_broker = true}, &client, &error) == 0) {
        running = client;
        signal(SIGTERM, on_term);
        if (ferry_work(client, "pack", NULL, pack, argv[1], NULL, &error) == 0)
            ferry_run(client, &error);
    }
    if (error.code)
        ferry_error_print(&error, stderr);
    return error.code != 0;
}
