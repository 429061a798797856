/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ZMTP 3.1, ZeroMQ's wire protocol (RFC 23 and RFC 37), without I/O: bytes in, events out. The
 * caller reads a connection into a buffer of its own; zmtp_read() takes whole frames from it, where
 * they lie. The codec copies no message, allocates nothing and holds at most ZMTP_CONTEXT_MAX bytes
 * that a peer sent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Zmtp Zmtp;

enum {
    ZMTP_GREETING_SIZE = 64,
    ZMTP_COMMAND_MAX = 1024,    /* bytes of a command: name, metadata and all */
    ZMTP_METADATA_PAIRS = 16,   /* properties in a peer's metadata */
    ZMTP_CONTEXT_MAX = 16,      /* bytes of a PING that its PONG repeats */
    ZMTP_SEAL_SIZE = 33,        /* bytes that sealing adds to a message, at most */
    ZMTP_PING_MAX = 64,         /* bytes of our PING, with its frame */
    ZMTP_ROOM = 48,             /* bytes in front of a message that zmtp_seal() may fill */
    ZMTP_OUTPUT_MAX = 64 + 1600 /* bytes that zmtp_output() writes at most */
};

/*
 * How a connection is secured. zmtp_null does not secure it. Another mechanism has a handshake of
 * more steps, and seals messages, PINGs and PONGs: after its handshake no frame is accepted that is
 * not sealed.
 */
typedef struct ZmtpMechanism {
    const char *name; /* as in the greeting: at most 20 bytes */
    /* Writes the handshake command that is due, and returns its length, at most ZMTP_COMMAND_MAX;
     * 0: the peer is to speak first. */
    size_t (*say)(Zmtp *zmtp, uint8_t *to);
    /* Handles a handshake command. 1: this was the peer's last one. 0: more follow. A negative
     * errno: zmtp->problem says why. */
    int (*hear)(Zmtp *zmtp, const uint8_t *command, size_t len);
    /* Both NULL: messages travel as they are. seal() uses ZMTP_SEAL_SIZE bytes in front of the
     * message, open() works in place; both move *data and *len. open() returns 0: a message; 1: a
     * command; or a negative errno, and then zmtp->problem says why. One thread may seal while
     * another one opens. */
    void (*seal)(Zmtp *zmtp, bool is_command, uint8_t **data, size_t *len);
    int (*open)(Zmtp *zmtp, uint8_t **data, size_t *len);
} ZmtpMechanism;

extern const ZmtpMechanism zmtp_null;

typedef enum ZmtpStage { ZMTP_GREETING, ZMTP_HANDSHAKE, ZMTP_OPEN, ZMTP_FAILED } ZmtpStage;

/* One end of one connection. Read the fields freely; only the codec and the mechanism write. */
struct Zmtp {
    const ZmtpMechanism *mechanism;
    void *state;             /* of the mechanism; the caller of zmtp_init() owns it */
    const char *socket_type; /* ours, and… */
    const char *peer_type;   /* …the one that the peer must have */
    size_t max_message;      /* bytes of a message */
    const char *problem;     /* why the stage is ZMTP_FAILED */
    const char *reason;      /* what the peer is told; NULL: the problem */
    ZmtpStage stage;
    bool is_server; /* as the greeting says; only mechanisms with keys have a server */
    bool is_denied; /* ZMTP_FAILED: the two ends have no keys that fit */
    uint8_t minor;  /* of the peer's version 3: PING and PONG came with 3.1 */
    uint8_t owes;   /* the output that zmtp_output() will write */
    uint8_t context_len, context[ZMTP_CONTEXT_MAX];
};

typedef enum ZmtpEvent {
    ZMTP_EVENT_MORE,    /* a frame is incomplete: see wanted */
    ZMTP_EVENT_READY,   /* the handshake is over */
    ZMTP_EVENT_MESSAGE, /* see data and len */
    ZMTP_EVENT_PING,    /* zmtp_output() writes the PONG */
    ZMTP_EVENT_PONG,
    ZMTP_EVENT_FAILED, /* see zmtp->problem; data and len: the reason that the peer gave, if any */
} ZmtpEvent;

/* A part of the stream. The codec moves `at`; bytes that it leaves are to be there again, with more
 * behind them, in the next call. */
typedef struct ZmtpInput {
    uint8_t *at, *end;
    /* With an event: lies in the input. With ZMTP_EVENT_MORE: the message that has begun to arrive,
     * with all bytes that it will have, if it is not sealed. */
    uint8_t *data;
    size_t len;
    size_t wanted; /* with ZMTP_EVENT_MORE: bytes from `at` that make the next step */
} ZmtpInput;

/* socket_type, peer_type: "ROUTER" and "DEALER", or the reverse; they must outlive zmtp. */
void zmtp_init(Zmtp *zmtp, const ZmtpMechanism *mechanism, const char *socket_type,
               const char *peer_type, size_t max_message);

/* The next event. After ZMTP_EVENT_FAILED every further call says the same. A frame that is too
 * large, or one of several of a message, fails at its head. */
ZmtpEvent zmtp_read(Zmtp *zmtp, ZmtpInput *input);

/* After ZMTP_EVENT_MORE: makes the message that has begun to arrive len bytes long. The caller
 * takes the other ones out of the stream. It had more than 255 bytes. */
void zmtp_shorten(ZmtpInput *input, size_t len);

/* Is there something for zmtp_output() to write? */
static inline bool zmtp_has_output(const Zmtp *zmtp) {
    return zmtp->owes != 0;
}

/* Writes the codec's own output: greeting, handshake, PING, PONG, ERROR. The caller sends these
 * bytes between two frames, before any message that it seals afterwards. */
size_t zmtp_output(Zmtp *zmtp, uint8_t to[ZMTP_OUTPUT_MAX]);

/* Makes a frame of a message that has ZMTP_ROOM free bytes in front of it: *data and *len are then
 * the frame. Only while the stage is ZMTP_OPEN; frames go out in the order of the calls. */
void zmtp_seal(Zmtp *zmtp, uint8_t **data, size_t *len);

/* Makes zmtp_output() write a PING. False: the peer speaks ZMTP 3.0, which has no PING, or the
 * handshake is not over. */
bool zmtp_ping(Zmtp *zmtp);

/* Writes the frame of a PING, and returns its length; 0: the peer has no PING. Another thread may
 * call it while the owner reads, but not while the owner writes. */
size_t zmtp_ping_put(Zmtp *zmtp, uint8_t to[ZMTP_PING_MAX]);

/* ---- for mechanisms ---- */

/* Fails, and has the peer told why by an ERROR. problem must be static. Returns -EPROTO. */
int zmtp_fail(Zmtp *zmtp, const char *problem);

/* The same, because of a key. reason: what the ERROR says; NULL: the problem. Returns -EACCES. */
int zmtp_deny(Zmtp *zmtp, const char *problem, const char *reason);

/* Writes our metadata; returns how many bytes, at most 64. */
size_t zmtp_metadata_put(const Zmtp *zmtp, uint8_t *to);

/* Checks the peer's metadata. 0, or -EPROTO and zmtp->problem. */
int zmtp_metadata_check(Zmtp *zmtp, const uint8_t *data, size_t len);

/* The part of a command behind its name, or NULL: it has another name. */
const uint8_t *zmtp_command_body(const char *name, const uint8_t *command, size_t len);

/* Writes a command's name; returns its length with the size byte. */
size_t zmtp_command_put(const char *name, uint8_t *to);
