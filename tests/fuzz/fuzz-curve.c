/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CURVE: any bytes from a peer, at each stage of a connection. The first byte chooses the end that
 * reads, how far its handshake with a well-behaved peer has come, and how the bytes are cut into
 * pieces. After the handshake the bytes come as they are, or as the content of authentic boxes.
 * Bytes that no key has sealed must never become a message.
 */

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/zmtp/curve.h"

enum { MESSAGE_MAX = 2048, N_STAGES = 4 };

typedef struct End {
    Zmtp zmtp;
    Curve curve;
    unsigned n_messages;
} End;

static KeyPair *server_pair, *client_pair;
static CurveKeys server_keys, client_keys;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static bool admits(const uint8_t key[KEY_SIZE], void *ctx) {
    (void)ctx;
    return memcmp(key, client_pair->public_key, KEY_SIZE) == 0;
}

static void make_keys(void) {
    if (server_pair)
        return;
    must(key_pair_new(&server_pair) == 0 && key_pair_new(&client_pair) == 0);
    server_keys =
        (CurveKeys){.is_server = true, .n_pairs = 1, .pairs = {server_pair}, .admits = admits};
    client_keys = (CurveKeys){.n_pairs = 1, .pairs = {client_pair}};
    memcpy(client_keys.server_key, server_pair->public_key, KEY_SIZE);
}

static void begin(End *end, bool is_server) {
    *end = (End){.n_messages = 0};
    zmtp_init(&end->zmtp, &zmtp_curve, is_server ? "ROUTER" : "DEALER",
              is_server ? "DEALER" : "ROUTER", MESSAGE_MAX);
    curve_init(&end->curve, is_server ? &server_keys : &client_keys, &end->zmtp);
}

/* Reads a copy of exactly these bytes, so that a sanitizer finds a read past them. Returns how many
 * were taken. */
static size_t take(End *end, const uint8_t *data, size_t len) {
    uint8_t *piece = malloc(len ? len : 1);
    ZmtpInput input = {.at = piece, .end = piece + len};
    ZmtpEvent event;
    size_t taken;

    must(piece != NULL);
    memcpy(piece, data, len);
    while ((event = zmtp_read(&end->zmtp, &input)) != ZMTP_EVENT_MORE) {
        must(event == ZMTP_EVENT_FAILED ? end->zmtp.problem != NULL : end->zmtp.problem == NULL);
        must(!input.data || (input.data >= piece && input.data + input.len <= input.end));
        must(input.len <= MESSAGE_MAX);
        end->n_messages += event == ZMTP_EVENT_MESSAGE;
        if (event == ZMTP_EVENT_FAILED)
            break;
    }
    taken = (size_t)(input.at - piece);
    free(piece);
    return taken;
}

/* One frame each way, as far as there is output. */
static void pass_on(End *from, End *to) {
    uint8_t out[ZMTP_OUTPUT_MAX];

    if (zmtp_has_output(&from->zmtp))
        take(to, out, zmtp_output(&from->zmtp, out));
}

static void feed(End *end, const uint8_t *data, size_t size, size_t step) {
    uint8_t out[ZMTP_OUTPUT_MAX];
    size_t taken = 0, have = 0;

    while (have < size && end->zmtp.stage != ZMTP_FAILED) {
        have = have + step < size ? have + step : size;
        taken += take(end, data + taken, have - taken);
        if (zmtp_has_output(&end->zmtp))
            must(zmtp_output(&end->zmtp, out) <= sizeof(out));
    }
}

/* The bytes as the content of a box, which begins with its flags. */
static void feed_sealed(End *end, End *peer, const uint8_t *data, size_t size) {
    static const char *const texts[] = {"CurveZMQMESSAGEC", "CurveZMQMESSAGES"};
    uint8_t frame[9 + 8 + 8 + 16 + MESSAGE_MAX + 64] = {2}, *body = frame + 9, nonce[24];
    size_t n = size < MESSAGE_MAX + 64 ? size : MESSAGE_MAX + 64, len = 8 + 8 + 16 + n;

    for (int i = 0; i < 8; i++)
        frame[8 - i] = (uint8_t)(len >> (8 * i));
    memcpy(body, "\7MESSAGE", 8);
    memset(body + 8, 0, 8);
    body[8] = 1;
    memcpy(nonce, texts[peer->curve.keys->is_server], 16);
    memcpy(nonce + 16, body + 8, 8);
    crypto_box_easy_afternm(body + 16, data, n, nonce, peer->curve.box_key);
    take(end, frame, 9 + len);
    must(n > 0 && n <= MESSAGE_MAX + 1 && data[0] == 0 ? end->n_messages == 1
                                                       : end->n_messages == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool is_server;
    unsigned stage;
    End end, peer;

    make_keys();
    if (size < 1)
        return 0;
    is_server = data[0] & 1;
    stage = data[0] >> 1 & (N_STAGES - 1);
    begin(&end, is_server);
    begin(&peer, !is_server);
    /* Greetings; HELLO and WELCOME; INITIATE and READY. */
    for (unsigned i = 0; i < (stage == 0 ? 0 : stage == 1 ? 2 : 6); i++)
        pass_on(i & 1 ? &end : &peer, i & 1 ? &peer : &end);
    must(stage < 2 || end.zmtp.stage == ZMTP_OPEN);
    if (stage == 3) {
        feed_sealed(&end, &peer, data + 1, size - 1);
    } else {
        feed(&end, data + 1, size - 1, 1 + (data[0] >> 3) + size / 64);
        must(end.n_messages == 0);
        must(stage == 2 || end.zmtp.stage != ZMTP_OPEN);
    }
    curve_deinit(&end.curve);
    curve_deinit(&peer.curve);
    return 0;
}
