/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZeroMQ's wire protocol: any bytes from a peer. The first byte chooses which end reads them and
 * how they are cut into pieces; in one piece they must mean the same. The codec's own output must
 * stay within its limits.
 */

#include <stdlib.h>
#include <string.h>

#include "rpc/zmtp/zmtp.h"

enum { MESSAGE_MAX = 2048 };

typedef struct Seen {
    uint64_t hash;
    unsigned n;
    const char *problem;
} Seen;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void mix(Seen *seen, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        seen->hash = (seen->hash ^ data[i]) * UINT64_C(1099511628211);
    seen->hash += len + 1;
}

static void take(Seen *seen, Zmtp *zmtp, ZmtpEvent event, const ZmtpInput *input,
                 const uint8_t *piece) {
    uint8_t out[ZMTP_OUTPUT_MAX];

    seen->n++;
    seen->hash += event;
    must(event == ZMTP_EVENT_FAILED ? zmtp->problem != NULL : zmtp->problem == NULL);
    must(!input->data || (input->data >= piece && input->data + input->len <= input->end));
    must(input->len <= MESSAGE_MAX);
    mix(seen, input->data, input->len);
    if (event == ZMTP_EVENT_PING)
        must(zmtp->context_len <= ZMTP_CONTEXT_MAX);
    if (zmtp_has_output(zmtp))
        must(zmtp_output(zmtp, out) <= sizeof(out));
}

static Seen feed(uint8_t choice, size_t step, const uint8_t *data, size_t size) {
    bool is_router = choice & 1;
    Seen seen = {0};
    size_t taken = 0, have = 0;
    Zmtp zmtp;

    zmtp_init(&zmtp, &zmtp_null, is_router ? "ROUTER" : "DEALER", is_router ? "DEALER" : "ROUTER",
              MESSAGE_MAX);
    while (have < size) {
        have = have + step < size ? have + step : size;
        /* The allocation has exactly the size of the received bytes, so that a sanitizer finds a
         * read past them. */
        uint8_t *piece = malloc(have - taken);
        ZmtpInput input = {.at = piece, .end = piece + (have - taken)};
        ZmtpEvent event;

        must(piece != NULL);
        memcpy(piece, data + taken, have - taken);
        while ((event = zmtp_read(&zmtp, &input)) != ZMTP_EVENT_MORE) {
            take(&seen, &zmtp, event, &input, piece);
            if (event == ZMTP_EVENT_FAILED)
                break;
        }
        if (event == ZMTP_EVENT_MORE) {
            must(input.wanted > (size_t)(input.end - input.at));
            must(input.wanted <= MESSAGE_MAX + ZMTP_GREETING_SIZE);
        }
        taken += (size_t)(input.at - piece);
        free(piece);
        if (event == ZMTP_EVENT_FAILED)
            break;
    }
    seen.problem = zmtp.problem;
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Seen whole, pieces;

    if (size < 2)
        return 0;
    whole = feed(data[0], size, data + 1, size - 1);
    /* At most about 64 pieces of a long stream: each piece is copied again until its frame is
     * complete. */
    pieces = feed(data[0], 1 + (data[0] >> 1) + size / 64, data + 1, size - 1);
    must(whole.n == pieces.n && whole.hash == pieces.hash && whole.problem == pieces.problem);
    return 0;
}
