/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * ZMTP 3.1, ZeroMQ's wire protocol (RFC 23 and RFC 37), without I/O: it turns bytes into events.
 * The caller reads a connection into its own buffer, and zmtp_read() returns whole frames inside
 * that buffer. The codec copies no message, allocates no memory, and stores at most
 * ZMTP_CONTEXT_MAX bytes of a peer.
 */

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Zmtp Zmtp;

enum {
    ZMTP_GREETING_SIZE = 64,
    ZMTP_COMMAND_MAX = 1024,    /* bytes of a whole command, with name and metadata */
    ZMTP_METADATA_PAIRS = 16,   /* properties in a peer's metadata */
    ZMTP_CONTEXT_MAX = 16,      /* bytes of a PING that its PONG repeats */
    ZMTP_SEAL_SIZE = 33,        /* most bytes that sealing adds to a message */
    ZMTP_PING_MAX = 64,         /* most bytes of the frame of a PING that this end sends */
    ZMTP_ROOM = 48,             /* bytes in front of a message that zmtp_seal() may fill */
    ZMTP_OUTPUT_MAX = 64 + 1600 /* most bytes that zmtp_output() writes */
};

/*
 * The security of a connection. zmtp_null does not secure it. Other mechanisms have a handshake of
 * more steps, and seal messages, PINGs and PONGs: after the handshake, unsealed frames are refused.
 */
typedef struct ZmtpMechanism {
    const char *name; /* as in the greeting: at most 20 bytes */
    /* Writes the handshake command that is due, and returns its length, at most ZMTP_COMMAND_MAX;
     * 0: the next command comes from the peer. */
    size_t (*say)(Zmtp *zmtp, uint8_t *to);
    /* Handles a handshake command. 1: this was the peer's last handshake command. 0: more commands
     * follow. A negative errno: zmtp->problem has the reason. */
    int (*hear)(Zmtp *zmtp, const uint8_t *command, size_t len);
    /* If both are NULL, messages are sent unsealed. seal() uses ZMTP_SEAL_SIZE bytes in front of
     * the message, open() works in place; both change *data and *len. open() returns 0 for a
     * message, 1 for a command, or a negative errno, and then zmtp->problem has the reason. One
     * thread may call seal() while another one calls open(). */
    void (*seal)(Zmtp *zmtp, bool is_command, uint8_t **data, size_t *len);
    int (*open)(Zmtp *zmtp, uint8_t **data, size_t *len);
} ZmtpMechanism;

extern const ZmtpMechanism zmtp_null;

typedef enum ZmtpStage { ZMTP_GREETING, ZMTP_HANDSHAKE, ZMTP_OPEN, ZMTP_FAILED } ZmtpStage;

/* One end of one connection. Read the fields freely; only the codec and the mechanism write. */
struct Zmtp {
    const ZmtpMechanism *mechanism;
    void *state;             /* state of the mechanism; owned by the caller of zmtp_init() */
    const char *socket_type; /* of this end */
    const char *peer_type;   /* the socket type that the peer must have */
    size_t max_message;      /* bytes of a message */
    const char *problem;     /* why the stage is ZMTP_FAILED */
    const char *reason;      /* the reason in the ERROR to the peer; NULL: the problem */
    ZmtpStage stage;
    bool is_server;  /* in the greeting; only mechanisms with keys distinguish a server */
    bool is_denied;  /* ZMTP_FAILED, because the keys of the two ends do not match */
    uint8_t minor;   /* minor part of the peer's version: PING and PONG need 3.1 */
    uint8_t pending; /* the output that zmtp_output() will write */
    uint8_t context_len, context[ZMTP_CONTEXT_MAX];
};

typedef enum ZmtpEvent {
    ZMTP_EVENT_MORE,    /* a frame is incomplete: see wanted */
    ZMTP_EVENT_READY,   /* the handshake is over */
    ZMTP_EVENT_MESSAGE, /* see data and len */
    ZMTP_EVENT_PING,    /* zmtp_output() writes the PONG */
    ZMTP_EVENT_PONG,
    ZMTP_EVENT_FAILED, /* see zmtp->problem; if the peer gave a reason, it is in data and len */
} ZmtpEvent;

/* A part of the stream. The codec moves `at`. In the next call the input must begin with the bytes
 * that the codec has left, followed by newer bytes. */
typedef struct ZmtpInput {
    uint8_t *at, *end;
    /* The data of an event, inside the input. With ZMTP_EVENT_MORE: the start of the incomplete
     * message and its full length, if it is not sealed. */
    uint8_t *data;
    size_t len;
    size_t wanted; /* with ZMTP_EVENT_MORE: bytes from `at` that the next step needs */
} ZmtpInput;

/* socket_type, peer_type: "ROUTER" and "DEALER", or the reverse; they must outlive zmtp. */
void zmtp_init(Zmtp *zmtp, const ZmtpMechanism *mechanism, const char *socket_type,
               const char *peer_type, size_t max_message);

/* The next event. After ZMTP_EVENT_FAILED, all further calls return it again. A frame that is too
 * large, or that is one of several frames of a message, fails as soon as its head has arrived. */
ZmtpEvent zmtp_read(Zmtp *zmtp, ZmtpInput *input);

/* For use after ZMTP_EVENT_MORE: sets the length of the incomplete message, which was longer than
 * 255 bytes, to len. The caller removes its remaining bytes from the stream. */
void zmtp_shorten(ZmtpInput *input, size_t len);

/* True: zmtp_output() has bytes to write. */
static inline bool zmtp_has_output(const Zmtp *zmtp) {
    return zmtp->pending != 0;
}

/* Writes the codec's own output: greeting, handshake, PING, PONG, ERROR. The caller sends these
 * bytes between two frames, before any message that it seals afterwards. */
size_t zmtp_output(Zmtp *zmtp, uint8_t to[ZMTP_OUTPUT_MAX]);

/* Turns a message with ZMTP_ROOM free bytes in front of it into a frame, and sets *data and *len to
 * the frame. Call it only while the stage is ZMTP_OPEN, and send frames in the order of the
 * calls. */
void zmtp_seal(Zmtp *zmtp, uint8_t **data, size_t *len);

/* Makes zmtp_output() write a PING. False: the peer speaks ZMTP 3.0, which has no PING, or the
 * handshake has not ended. */
bool zmtp_ping(Zmtp *zmtp);

/* Writes the frame of a PING, and returns its length; 0: the peer has no PING. Another thread may
 * call it while the owner reads, but not while the owner writes. */
size_t zmtp_ping_put(Zmtp *zmtp, uint8_t to[ZMTP_PING_MAX]);

/* ---- for mechanisms ---- */

/* Fails the connection, and sends the peer an ERROR with the problem, a static text. Returns
 * -EPROTO. */
int zmtp_fail(Zmtp *zmtp, const char *problem);

/* Fails the connection because of a key. reason is the text of the ERROR; NULL: the problem.
 * Returns -EACCES. */
int zmtp_deny(Zmtp *zmtp, const char *problem, const char *reason);

/* Writes the metadata of this end. Returns the number of bytes, at most 64. */
size_t zmtp_metadata_put(const Zmtp *zmtp, uint8_t *to);

/* Checks the peer's metadata. 0, or -EPROTO and zmtp->problem. */
int zmtp_metadata_check(Zmtp *zmtp, const uint8_t *data, size_t len);

/* The part of a command behind its name, or NULL: it has another name. */
const uint8_t *zmtp_command_body(const char *name, const uint8_t *command, size_t len);

/* Numbers as in a frame. */
static inline void zmtp_put_uint64(uint8_t *to, uint64_t value) {
    value = htobe64(value);
    memcpy(to, &value, sizeof(value));
}

static inline uint64_t zmtp_uint64_at(const uint8_t *at) {
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

/* Writes a command's name; returns its length with the size byte. */
size_t zmtp_command_put(const char *name, uint8_t *to);
