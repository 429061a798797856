/* SPDX-License-Identifier: Apache-2.0 */

/* Takes sixteen octets, whole or in pieces, and answers with sixteen. */

#include "server.h"
#include "sixteen.h"

static const char reply[] = "Request received";

/* Answers a stream that has ended after `received` octets. */
static int answer_short(ferry_request *request, size_t received) {
    char message[64];

    snprintf(message, sizeof(message), "expected %d bytes but only received %zu", SIXTEEN_LENGTH,
             received);
    return sixteen_throw_short_input(
        request, &(sixteen_short_input){SIXTEEN_LENGTH, (int32_t)received, message});
}

static int answer_long(ferry_request *request, size_t received) {
    int32_t shown = received < INT32_MAX ? (int32_t)received : INT32_MAX;
    char message[64];

    snprintf(message, sizeof(message), "expected %d bytes but received %zu", SIXTEEN_LENGTH,
             received);
    return sixteen_throw_long_input(request, &(sixteen_long_input){SIXTEEN_LENGTH, shown, message});
}

static int exchange(ferry_request *request, ferry_bytes octets, void *ctx) {
    (void)ctx;
    if (octets.len < SIXTEEN_LENGTH)
        return answer_short(request, octets.len);
    if (octets.len > SIXTEEN_LENGTH)
        return answer_long(request, octets.len);
    return sixteen_exchange_return(request, ferry_str(reply));
}

static int collect(ferry_request *request, void *ctx) {
    size_t received = 0;
    ferry_bytes *piece;
    int r;

    (void)ctx;
    while ((r = sixteen_collect_receive(request, &piece)) > 0) {
        received += piece->len;
        ferry_free(piece);
        if (received > SIXTEEN_LENGTH)
            return answer_long(request, received);
    }
    if (r < 0)
        return ferry_request_fail(request, r, NULL);
    if (received < SIXTEEN_LENGTH)
        return answer_short(request, received);
    return sixteen_collect_return(request, ferry_str(reply));
}

int sixteen_start(ferry_client *client, ferry_error *reterr) {
    static const sixteen_handlers handlers = {.exchange = exchange, .collect = collect};

    return sixteen_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
