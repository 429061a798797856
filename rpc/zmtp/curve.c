/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CURVE: the handshake of HELLO, WELCOME, INITIATE and READY, and encrypted boxes for messages. See
 * curve.h.
 *
 * Names as in RFC 26: C and c are the client's long-term public and secret key, S and s the
 * server's; C', c', S' and s' are the short-term keys of this connection.
 */

#include "rpc/zmtp/curve.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
    NONCE = crypto_box_NONCEBYTES,
    MAC = crypto_box_MACBYTES,
    LONG_NONCE = 16, /* random bytes; the rest of the nonce is a fixed text */
    SHORT_NONCE = 8, /* a counter; the rest of the nonce is a fixed text */
    /* Sizes of commands without their names. */
    HELLO_SIZE = 2 + 72 + KEY_SIZE + SHORT_NONCE + MAC + 64,
    WELCOME_SIZE = LONG_NONCE + MAC + KEY_SIZE + CURVE_COOKIE,
    VOUCH = LONG_NONCE + MAC + 2 * KEY_SIZE,
    INITIATE_HEAD = CURVE_COOKIE + SHORT_NONCE + MAC,
    INITIATE_MIN = INITIATE_HEAD + KEY_SIZE + VOUCH,
    READY_HEAD = SHORT_NONCE + MAC,
    MESSAGE_HEAD = 8 + SHORT_NONCE + MAC,
    METADATA_MAX = 64, /* bytes of this end's metadata: see zmtp_metadata_put() */
};

/* The flags in a message's box. */
enum { BOX_MORE = 1, BOX_COMMAND = 2 };

_Static_assert(CURVE_BOX_KEY == crypto_box_BEFORENMBYTES, "the size of a box's key");
_Static_assert(KEY_SIZE == crypto_box_PUBLICKEYBYTES && KEY_SIZE == crypto_box_SECRETKEYBYTES &&
                   KEY_SIZE == crypto_secretbox_KEYBYTES,
               "the size of a key");
_Static_assert((int)MESSAGE_HEAD + 1 == (int)ZMTP_SEAL_SIZE,
               "the bytes that a seal adds to a message");
_Static_assert((int)ZMTP_SEAL_SIZE + 9 <= (int)ZMTP_ROOM, "a frame's head and its seal have room");

/* The first steps of both ends in the table of steps. */
enum { OF_CLIENT = 0, OF_SERVER = 5 };

void curve_init(Curve *curve, const CurveKeys *keys, Zmtp *zmtp) {
    *curve = (Curve){.keys = keys, .step = keys->is_server ? OF_SERVER : OF_CLIENT};
    zmtp->state = curve;
    zmtp->is_server = keys->is_server;
    if (sodium_init() < 0)
        zmtp_fail(zmtp, "libsodium does not work");
}

void curve_deinit(Curve *curve) {
    sodium_memzero(curve, sizeof(*curve));
}

/* ---- nonces ---- */

/* Writes a nonce: a fixed text, then the bytes of a counter or of a random number. */
static void put_nonce(uint8_t to[NONCE], const char *text, const uint8_t *rest) {
    size_t len = strlen(text);

    memcpy(to, text, len);
    memcpy(to + len, rest, NONCE - len);
}

/* The next short nonce of this end. */
static void next_nonce(Curve *curve, uint8_t to[SHORT_NONCE]) {
    zmtp_put_uint64(to, ++curve->nonce);
}

/* Each nonce of the peer must be larger than all earlier ones. A repeated frame has an old
 * nonce. */
static bool take_nonce(Curve *curve, const uint8_t *at) {
    uint64_t nonce = zmtp_uint64_at(at);

    if (nonce <= curve->peer_nonce)
        return false;
    curve->peer_nonce = nonce;
    return true;
}

/* ---- boxes of the handshake ---- */

/* Writes a box that is sealed with this step's key. The variable part of its nonce stands in front
 * of it: a counter, or random bytes if `text` is short. */
static void put_box(Curve *curve, uint8_t *at, const char *text, const uint8_t *plain, size_t len) {
    size_t varies = NONCE - strlen(text);
    uint8_t nonce[NONCE];

    if (varies == SHORT_NONCE)
        next_nonce(curve, at);
    else
        randombytes_buf(at, varies);
    put_nonce(nonce, text, at);
    crypto_box_easy_afternm(at + varies, plain, len, nonce, curve->box_key);
}

/* Opens a box with the variable part of its nonce in front of it, together len bytes. False: the
 * box is not authentic. */
static bool open_box(const Curve *curve, const uint8_t *at, size_t len, const char *text,
                     uint8_t *plain) {
    size_t varies = NONCE - strlen(text);
    uint8_t nonce[NONCE];

    put_nonce(nonce, text, at);
    return crypto_box_open_easy_afternm(plain, at + varies, len - varies, nonce, curve->box_key) ==
           0;
}

/* ---- the client's part ---- */

static size_t say_hello(Zmtp *zmtp, uint8_t *to) {
    static const uint8_t zeros[64];
    Curve *curve = zmtp->state;

    crypto_box_keypair(curve->own_short_public, curve->own_short_secret);
    if (crypto_box_beforenm(curve->box_key, curve->keys->server_key, curve->own_short_secret) < 0)
        /* The shared key is invalid: no WELCOME can be opened. */
        sodium_memzero(curve->box_key, sizeof(curve->box_key));
    memset(to, 0, 2 + 72);
    to[0] = 1; /* the version: 1.0 */
    to += 2 + 72;
    memcpy(to, curve->own_short_public, KEY_SIZE);
    put_box(curve, to + KEY_SIZE, "CurveZMQHELLO---", zeros, sizeof(zeros));
    return HELLO_SIZE;
}

static int hear_welcome(Zmtp *zmtp, const uint8_t *body, size_t len) {
    Curve *curve = zmtp->state;
    uint8_t plain[KEY_SIZE + CURVE_COOKIE];

    if (!open_box(curve, body, len, "WELCOME-", plain))
        return zmtp_deny(zmtp, "its key is not the server key that was given", NULL);
    memcpy(curve->peer_short, plain, KEY_SIZE);
    memcpy(curve->cookie, plain + KEY_SIZE, CURVE_COOKIE);
    if (crypto_box_beforenm(curve->box_key, curve->peer_short, curve->own_short_secret) < 0)
        return zmtp_fail(zmtp, "its WELCOME has no valid key");
    return 0;
}

/* The client's long-term key vouches for its short-term key, for this server only. */
static void put_vouch(const Curve *curve, uint8_t to[VOUCH]) {
    uint8_t nonce[NONCE], plain[2 * KEY_SIZE];

    memcpy(plain, curve->own_short_public, KEY_SIZE);
    memcpy(plain + KEY_SIZE, curve->keys->server_key, KEY_SIZE);
    randombytes_buf(to, LONG_NONCE);
    put_nonce(nonce, "VOUCH---", to);
    if (crypto_box_easy(to + LONG_NONCE, plain, sizeof(plain), nonce, curve->peer_short,
                        curve->keys->pairs[0]->secret_key) < 0)
        assert(false && "hear_welcome() has refused this key");
}

static size_t say_initiate(Zmtp *zmtp, uint8_t *to) {
    Curve *curve = zmtp->state;
    uint8_t plain[KEY_SIZE + VOUCH + METADATA_MAX];
    size_t len = KEY_SIZE + VOUCH;

    memcpy(to, curve->cookie, CURVE_COOKIE);
    memcpy(plain, curve->keys->pairs[0]->public_key, KEY_SIZE);
    put_vouch(curve, plain + KEY_SIZE);
    len += zmtp_metadata_put(zmtp, plain + len);
    put_box(curve, to + CURVE_COOKIE, "CurveZMQINITIATE", plain, len);
    sodium_memzero(curve->own_short_secret, KEY_SIZE);
    return INITIATE_HEAD + len;
}

static int hear_ready(Zmtp *zmtp, const uint8_t *body, size_t len) {
    Curve *curve = zmtp->state;
    uint8_t plain[ZMTP_COMMAND_MAX];
    int r;

    if (!take_nonce(curve, body) || !open_box(curve, body, len, "CurveZMQREADY---", plain))
        return zmtp_fail(zmtp, "its READY is not authentic");
    r = zmtp_metadata_check(zmtp, plain, len - READY_HEAD);
    return r < 0 ? r : 1;
}

/* ---- the server's part ---- */

/* Finds the server key that the client used, by trying each of them. */
static bool find_server_key(Curve *curve, const uint8_t *box) {
    const CurveKeys *keys = curve->keys;
    uint8_t plain[64];

    for (unsigned i = 0; i < keys->n_pairs; i++) {
        const KeyPair *pair = keys->pairs[i];

        memcpy(curve->server_key, pair->public_key, KEY_SIZE);
        if (crypto_box_beforenm(curve->box_key, curve->peer_short, pair->secret_key) == 0 &&
            open_box(curve, box, SHORT_NONCE + MAC + sizeof(plain), "CurveZMQHELLO---", plain))
            return true;
    }
    return false;
}

static int hear_hello(Zmtp *zmtp, const uint8_t *body, size_t len) {
    Curve *curve = zmtp->state;

    (void)len;
    if (body[0] != 1)
        return zmtp_fail(zmtp, "it wants another version of CURVE");
    body += 2 + 72;
    memcpy(curve->peer_short, body, KEY_SIZE);
    body += KEY_SIZE;
    if (!take_nonce(curve, body))
        return zmtp_fail(zmtp, "its HELLO has no nonce");
    if (!find_server_key(curve, body))
        return zmtp_deny(zmtp, "it wants a broker with another key", CURVE_WRONG_SERVER);
    return 0;
}

/* The cookie contains the server's short-term secret key, and only the server can open it. So
 * between WELCOME and INITIATE the server does not store that key. */
static void put_cookie(Curve *curve, uint8_t to[CURVE_COOKIE]) {
    uint8_t nonce[NONCE], plain[2 * KEY_SIZE];

    randombytes_buf(curve->cookie_key, sizeof(curve->cookie_key));
    randombytes_buf(to, LONG_NONCE);
    put_nonce(nonce, "COOKIE--", to);
    memcpy(plain, curve->peer_short, KEY_SIZE);
    memcpy(plain + KEY_SIZE, curve->own_short_secret, KEY_SIZE);
    crypto_secretbox_easy(to + LONG_NONCE, plain, sizeof(plain), nonce, curve->cookie_key);
    sodium_memzero(plain, sizeof(plain));
    sodium_memzero(curve->own_short_secret, KEY_SIZE);
}

static size_t say_welcome(Zmtp *zmtp, uint8_t *to) {
    Curve *curve = zmtp->state;
    uint8_t plain[KEY_SIZE + CURVE_COOKIE];

    crypto_box_keypair(curve->own_short_public, curve->own_short_secret);
    memcpy(plain, curve->own_short_public, KEY_SIZE);
    put_cookie(curve, plain + KEY_SIZE);
    put_box(curve, to, "WELCOME-", plain, sizeof(plain));
    return WELCOME_SIZE;
}

/* Opens the cookie into the server's short-term secret key. */
static bool open_cookie(Curve *curve, const uint8_t *cookie) {
    uint8_t nonce[NONCE], plain[2 * KEY_SIZE];
    bool is_ours;

    put_nonce(nonce, "COOKIE--", cookie);
    is_ours = crypto_secretbox_open_easy(plain, cookie + LONG_NONCE, CURVE_COOKIE - LONG_NONCE,
                                         nonce, curve->cookie_key) == 0 &&
              sodium_memcmp(plain, curve->peer_short, KEY_SIZE) == 0;
    if (is_ours)
        memcpy(curve->own_short_secret, plain + KEY_SIZE, KEY_SIZE);
    sodium_memzero(plain, sizeof(plain));
    return is_ours;
}

/* True: the client's long-term key vouches for this short-term key, for this server's key. */
static bool is_vouched_for(const Curve *curve, const uint8_t *client_key, const uint8_t *vouch) {
    uint8_t nonce[NONCE], plain[2 * KEY_SIZE];

    put_nonce(nonce, "VOUCH---", vouch);
    return crypto_box_open_easy(plain, vouch + LONG_NONCE, VOUCH - LONG_NONCE, nonce, client_key,
                                curve->own_short_secret) == 0 &&
           sodium_memcmp(plain, curve->peer_short, KEY_SIZE) == 0 &&
           sodium_memcmp(plain + KEY_SIZE, curve->server_key, KEY_SIZE) == 0;
}

static int hear_initiate(Zmtp *zmtp, const uint8_t *body, size_t len) {
    const uint8_t *box = body + CURVE_COOKIE;
    Curve *curve = zmtp->state;
    uint8_t plain[ZMTP_COMMAND_MAX];
    int r;

    if (!open_cookie(curve, body) || !take_nonce(curve, box))
        return zmtp_fail(zmtp, "its INITIATE has another cookie");
    if (crypto_box_beforenm(curve->box_key, curve->peer_short, curve->own_short_secret) < 0 ||
        !open_box(curve, box, len - CURVE_COOKIE, "CurveZMQINITIATE", plain))
        return zmtp_fail(zmtp, "its INITIATE is not authentic");
    if (!is_vouched_for(curve, plain, plain + KEY_SIZE))
        return zmtp_deny(zmtp, "it does not have the secret part of its key", CURVE_UNKNOWN_CLIENT);
    sodium_memzero(curve->own_short_secret, KEY_SIZE);
    sodium_memzero(curve->cookie_key, sizeof(curve->cookie_key));
    r = zmtp_metadata_check(zmtp, plain + KEY_SIZE + VOUCH, len - INITIATE_MIN);
    if (r < 0)
        return r;
    if (!curve->keys->admits(plain, curve->keys->ctx))
        return zmtp_deny(zmtp, "its key belongs to no user", CURVE_UNKNOWN_CLIENT);
    memcpy(curve->client_key, plain, KEY_SIZE);
    return 1;
}

static size_t say_ready(Zmtp *zmtp, uint8_t *to) {
    uint8_t plain[METADATA_MAX];
    size_t len = zmtp_metadata_put(zmtp, plain);

    put_box(zmtp->state, to, "CurveZMQREADY---", plain, len);
    return READY_HEAD + len;
}

/* ---- both ---- */

/* The handshake: each end goes down its rows. A row is a command that this end says or hears, with
 * its sizes without the name. Rows without a command end the handshake. */
static const struct Step {
    const char *name;
    size_t (*say)(Zmtp *zmtp, uint8_t *to); /* returns the size */
    int (*hear)(Zmtp *zmtp, const uint8_t *body, size_t len);
    size_t min, max;
    const char *missing;
} steps[] = {
    [OF_CLIENT] = {"HELLO", .say = say_hello},
    {"WELCOME", .hear = hear_welcome, .min = WELCOME_SIZE, .max = WELCOME_SIZE,
     .missing = "its handshake has no WELCOME"},
    {"INITIATE", .say = say_initiate},
    {"READY", .hear = hear_ready, .min = READY_HEAD, .max = ZMTP_COMMAND_MAX,
     .missing = "its handshake has no READY"},
    {.name = NULL},
    [OF_SERVER] = {"HELLO", .hear = hear_hello, .min = HELLO_SIZE, .max = HELLO_SIZE,
                   .missing = "its handshake has no HELLO"},
    {"WELCOME", .say = say_welcome},
    {"INITIATE", .hear = hear_initiate, .min = INITIATE_MIN, .max = ZMTP_COMMAND_MAX,
     .missing = "its handshake has no INITIATE"},
    {"READY", .say = say_ready},
    {.name = NULL},
};

static size_t say(Zmtp *zmtp, uint8_t *to) {
    Curve *curve = zmtp->state;
    const struct Step *step = &steps[curve->step];
    size_t len;

    if (!step->say)
        return 0;
    curve->step++;
    len = zmtp_command_put(step->name, to);
    return len + step->say(zmtp, to + len);
}

static int hear(Zmtp *zmtp, const uint8_t *command, size_t len) {
    Curve *curve = zmtp->state;
    const struct Step *step = &steps[curve->step];
    const uint8_t *body;

    if (!step->hear)
        return zmtp_fail(zmtp, "it sent an unexpected command");
    body = zmtp_command_body(step->name, command, len);
    len -= body ? (size_t)(body - command) : 0;
    if (!body || len < step->min || len > step->max)
        return zmtp_fail(zmtp, step->missing);
    curve->step++;
    return step->hear(zmtp, body, len);
}

static void seal(Zmtp *zmtp, bool is_command, uint8_t **data, size_t *len) {
    Curve *curve = zmtp->state;
    uint8_t nonce[NONCE], *box = *data - 1, *at = box - MESSAGE_HEAD;

    *box = is_command ? BOX_COMMAND : 0;
    zmtp_command_put("MESSAGE", at);
    next_nonce(curve, at + 8);
    put_nonce(nonce, curve->keys->is_server ? "CurveZMQMESSAGES" : "CurveZMQMESSAGEC", at + 8);
    crypto_box_detached_afternm(box, box - MAC, box, *len + 1, nonce, curve->box_key);
    *data = at;
    *len += ZMTP_SEAL_SIZE;
}

static int unseal(Zmtp *zmtp, uint8_t **data, size_t *len) {
    Curve *curve = zmtp->state;
    const uint8_t *body = zmtp_command_body("MESSAGE", *data, *len);
    uint8_t nonce[NONCE], *box = *data + MESSAGE_HEAD;

    if (!body || *len < ZMTP_SEAL_SIZE)
        return zmtp_fail(zmtp, "it sent an unencrypted frame");
    if (!take_nonce(curve, body))
        return zmtp_fail(zmtp, "it repeated an encrypted frame");
    put_nonce(nonce, curve->keys->is_server ? "CurveZMQMESSAGEC" : "CurveZMQMESSAGES", body);
    if (crypto_box_open_detached_afternm(box, box, box - MAC, *len - MESSAGE_HEAD, nonce,
                                         curve->box_key) < 0)
        return zmtp_fail(zmtp, "it sent an encrypted frame that is not authentic");
    if (*box & BOX_MORE)
        return zmtp_fail(zmtp, "a message of more than one frame");
    if (*box & ~BOX_COMMAND)
        return zmtp_fail(zmtp, "a frame has undefined flags");
    *data = box + 1;
    *len -= ZMTP_SEAL_SIZE;
    return *box & BOX_COMMAND ? 1 : 0;
}

const ZmtpMechanism zmtp_curve = {
    .name = "CURVE", .say = say, .hear = hear, .seal = seal, .open = unseal};
