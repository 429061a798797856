/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a stream to its end, or to a limit, and then answers. */

#include <openssl/evp.h>
#include <sys/socket.h>

#include "halfopen.h"
#include "server.h"
#include "shut.h"

/* ---- shutdown(2) itself ---- */

static int on_shutdown(ferry_request *request, halfopen_how how, void *ctx) {
    static const int hows[] = {[HALFOPEN_HOW_READ] = SHUT_RD,
                               [HALFOPEN_HOW_WRITE] = SHUT_WR,
                               [HALFOPEN_HOW_BOTH] = SHUT_RDWR};
    Shut shut = {.halves = HALFOPEN_HALVES_INIT};
    int r;

    (void)ctx;
    if (!halfopen_how_name(how))
        return halfopen_throw_bad_half(request, &(halfopen_bad_half){how, "READ, WRITE or BOTH"});
    r = shut_observe(&shut, hows[how]);
    return r < 0 ? r : halfopen_shutdown_return(request, &shut.halves);
}

/* ---- digests ---- */

typedef struct Sum {
    EVP_MD_CTX *sha;
    halfopen_received received;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
} Sum;

static int sum_init(Sum *sum) {
    *sum = (Sum){.sha = EVP_MD_CTX_new()};
    return sum->sha && EVP_DigestInit_ex(sum->sha, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}

static void sum_add(Sum *sum, const void *data, size_t len) {
    EVP_DigestUpdate(sum->sha, data, len);
    sum->received.bytes += (int64_t)len;
    sum->received.pieces++;
}

static const halfopen_received *sum_end(Sum *sum) {
    unsigned char octets[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    EVP_DigestFinal_ex(sum->sha, octets, &n);
    for (unsigned i = 0; i < n; i++)
        snprintf(sum->hex + 2 * i, 3, "%02x", octets[i]);
    sum->received.sha256 = sum->hex;
    return &sum->received;
}

/* Digests all bytes until the caller ends the stream. */
static int digest(ferry_request *request, void *ctx) {
    ferry_bytes *piece;
    Sum sum;
    int r = sum_init(&sum);

    (void)ctx;
    while (r == 0 && (r = halfopen_digest_receive(request, &piece)) > 0) {
        sum_add(&sum, piece->data, piece->len);
        ferry_free(piece);
        r = 0;
    }
    r = r < 0 ? ferry_request_fail(request, r, NULL)
              : halfopen_digest_return(request, sum_end(&sum));
    EVP_MD_CTX_free(sum.sha);
    return r;
}

/* Digests the first bytes. The answer ends both directions: the caller's next send fails. */
static int first(ferry_request *request, int64_t limit, void *ctx) {
    ferry_bytes *piece;
    Sum sum;
    int r;

    (void)ctx;
    if (limit < 0)
        return halfopen_throw_bad_limit(request, &(halfopen_bad_limit){limit, "below zero"});
    r = sum_init(&sum);
    while (r == 0 && sum.received.bytes < limit &&
           (r = halfopen_first_receive(request, &piece)) > 0) {
        int64_t left = limit - sum.received.bytes;

        sum_add(&sum, piece->data, (int64_t)piece->len < left ? piece->len : (size_t)left);
        ferry_free(piece);
        r = 0;
    }
    r = r < 0 ? ferry_request_fail(request, r, NULL)
              : halfopen_first_return(request, sum_end(&sum));
    EVP_MD_CTX_free(sum.sha);
    return r;
}

static int report(ferry_request *request, void *ctx) {
    char line[160];
    ferry_bytes *piece;
    Sum sum;
    int r = sum_init(&sum);

    (void)ctx;
    while (r == 0 && (r = halfopen_report_receive(request, &piece)) > 0) {
        sum_add(&sum, piece->data, piece->len);
        ferry_free(piece);
        r = 0;
    }
    sum_end(&sum);
    snprintf(line, sizeof(line), "%lld bytes in %lld pieces", (long long)sum.received.bytes,
             (long long)sum.received.pieces);
    if (r == 0)
        r = halfopen_report_yield(request, line);
    snprintf(line, sizeof(line), "SHA-256 %s", sum.hex);
    if (r == 0)
        r = halfopen_report_yield(request, line);
    EVP_MD_CTX_free(sum.sha);
    return r < 0 ? ferry_request_fail(request, r, NULL) : halfopen_report_return(request);
}

int halfopen_start(ferry_client *client, ferry_error *reterr) {
    static const halfopen_handlers handlers = {
        .shutdown = on_shutdown, .digest = digest, .first = first, .report = report};

    return halfopen_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
