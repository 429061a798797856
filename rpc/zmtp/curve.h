/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * CURVE, the mechanism of ZeroMQ that encrypts and authenticates both ends (RFC 25, RFC 26). The
 * client knows the server's public key; the server learns the client's, and admits it or not,
 * before it reads a message. After the handshake each frame is one box with a nonce that only
 * grows: a frame that was changed, repeated, left out in front of a repeated one, or never sealed
 * ends the connection.
 *
 * Each connection has its own session keys, which are wiped with it. They lie in ordinary memory,
 * as the messages do; the long-term secret keys do not (see rpc/keys/key.h).
 */

#include "rpc/keys/key.h"
#include "rpc/zmtp/zmtp.h"

enum {
    CURVE_SERVER_KEYS_MAX = 4, /* of one server: each HELLO is tried with each of them */
    CURVE_COOKIE = 96,
    CURVE_BOX_KEY = 32, /* of a box between two keys, made once */
};

/* Reasons in an ERROR. They are status codes of ZAP (RFC 27), because libzmq shows these alone to a
 * client: as the value of ZMQ_EVENT_HANDSHAKE_FAILED_AUTH. Other texts it drops, and connects again
 * for ever. */
#define CURVE_UNKNOWN_CLIENT "400"
#define CURVE_WRONG_SERVER   "500"

/* One end's keys; they must outlive its connections, but may change between two of its frames. */
typedef struct CurveKeys {
    bool is_server;
    unsigned n_pairs; /* of a client: 1 */
    const KeyPair
        *pairs[CURVE_SERVER_KEYS_MAX]; /* old and new key of a server, while they rotate */
    uint8_t server_key[KEY_SIZE];      /* of a client: the server's public key */
    /* Of a server: may this client come in? It has proved that it has the secret key. */
    bool (*admits)(const uint8_t client_key[KEY_SIZE], void *ctx);
    void *ctx;
} CurveKeys;

/* The state of one connection. */
typedef struct Curve {
    const CurveKeys *keys;
    uint8_t step;
    uint64_t nonce, peer_nonce;     /* the last ones */
    uint8_t box_key[CURVE_BOX_KEY]; /* of the boxes of this step; in the end of all messages */
    uint8_t client_key[KEY_SIZE];   /* of a server: valid once the handshake is over */
    uint8_t server_key[KEY_SIZE];   /* the server's long-term key that the client chose */
    uint8_t own_short_public[KEY_SIZE], own_short_secret[KEY_SIZE];
    uint8_t peer_short[KEY_SIZE];
    uint8_t cookie[CURVE_COOKIE]; /* of a client: the server's */
    uint8_t cookie_key[KEY_SIZE]; /* of a server */
} Curve;

extern const ZmtpMechanism zmtp_curve;

/* Sets up curve as the state of zmtp, which zmtp_init() was given &zmtp_curve for. */
void curve_init(Curve *curve, const CurveKeys *keys, Zmtp *zmtp);

/* Wipes all secrets. */
void curve_deinit(Curve *curve);
