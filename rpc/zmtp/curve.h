/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * CURVE, the mechanism of ZeroMQ that encrypts and authenticates both ends (RFC 25, RFC 26). The
 * client knows the server's public key. The server learns the client's public key and admits or
 * refuses it before it reads a message. After the handshake each frame is one encrypted box with a
 * nonce that only grows. A frame that was changed, repeated or not encrypted ends the connection.
 *
 * Each connection has its own session keys, which are wiped when it ends. Session keys are in
 * ordinary memory, like the messages; long-term secret keys are in locked memory (see
 * rpc/keys/key.h).
 */

#include "rpc/keys/key.h"
#include "rpc/zmtp/zmtp.h"

enum {
    CURVE_SERVER_KEYS_MAX = 4, /* keys of one server: each HELLO is tried with each key */
    CURVE_COOKIE = 96,
    CURVE_BOX_KEY = 32, /* shared key of a box, computed once from two keys */
};

/* Reasons in an ERROR. They are status codes of ZAP (RFC 27), because libzmq reports only these to
 * a client, as the value of ZMQ_EVENT_HANDSHAKE_FAILED_AUTH. If libzmq gets another text, it drops
 * the text and reconnects without end. */
#define CURVE_UNKNOWN_CLIENT "400"
#define CURVE_WRONG_SERVER   "500"

/* The keys of one end. They must stay valid as long as its connections, but may change between two
 * frames. */
typedef struct CurveKeys {
    bool is_server;
    unsigned n_pairs; /* 1 for a client */
    /* A server that changes its key has the old key and the new key. */
    const KeyPair *pairs[CURVE_SERVER_KEYS_MAX];
    uint8_t server_key[KEY_SIZE]; /* for a client: the server's public key */
    /* For a server: true admits the client, which has proved that it has the secret key. */
    bool (*admits)(const uint8_t client_key[KEY_SIZE], void *ctx);
    void *ctx;
} CurveKeys;

/* The state of one connection. */
typedef struct Curve {
    const CurveKeys *keys;
    uint8_t step;
    uint64_t nonce, peer_nonce; /* the last nonces of both ends */
    /* Key for the boxes of this step; after the handshake, for all messages. */
    uint8_t box_key[CURVE_BOX_KEY];
    uint8_t client_key[KEY_SIZE]; /* for a server: valid once the handshake is over */
    uint8_t server_key[KEY_SIZE]; /* the server's long-term key that the client chose */
    uint8_t own_short_public[KEY_SIZE], own_short_secret[KEY_SIZE];
    uint8_t peer_short[KEY_SIZE];
    uint8_t cookie[CURVE_COOKIE]; /* for a client: the server's cookie */
    uint8_t cookie_key[KEY_SIZE]; /* for a server */
} Curve;

extern const ZmtpMechanism zmtp_curve;

/* Sets up curve as the state of zmtp. zmtp_init() must have got &zmtp_curve. */
void curve_init(Curve *curve, const CurveKeys *keys, Zmtp *zmtp);

/* Wipes all secrets. */
void curve_deinit(Curve *curve);
