/* SPDX-License-Identifier: Apache-2.0 */
/* Greeting, frames and commands. See zmtp.h. */

#include "rpc/zmtp/zmtp.h"

#include <assert.h>
#include <errno.h>

enum { FLAG_MORE = 1, FLAG_LONG = 2, FLAG_COMMAND = 4, HEAD_SHORT = 2, HEAD_LONG = 9 };

enum {
    PENDING_GREETING = 1,
    PENDING_COMMAND = 2,
    PENDING_PONG = 4,
    PENDING_PING = 8,
    PENDING_ERROR = 16
};

enum {
    SIGNATURE_SIZE = 10, /* FF, 8 bytes of padding, 7F */
    MECHANISM_AT = 12,
    MECHANISM_SIZE = 20,
    AS_SERVER_AT = 32,
};

/* The last byte is a time to live in tenths of a second: after this silence a libzmq peer closes
 * the connection. */
static const uint8_t ping_command[] = {4, 'P', 'I', 'N', 'G', 0, 60};

void zmtp_init(Zmtp *zmtp, const ZmtpMechanism *mechanism, const char *socket_type,
               const char *peer_type, size_t max_message) {
    *zmtp = (Zmtp){.mechanism = mechanism,
                   .socket_type = socket_type,
                   .peer_type = peer_type,
                   .max_message = max_message,
                   .pending = PENDING_GREETING};
}

int zmtp_fail(Zmtp *zmtp, const char *problem) {
    /* A peer expects an ERROR only during the handshake, after this end's greeting. */
    if (zmtp->stage == ZMTP_HANDSHAKE)
        zmtp->pending = (uint8_t)((zmtp->pending & PENDING_GREETING) | PENDING_ERROR);
    else
        zmtp->pending &= PENDING_GREETING;
    zmtp->stage = ZMTP_FAILED;
    zmtp->problem = problem;
    return -EPROTO;
}

int zmtp_deny(Zmtp *zmtp, const char *problem, const char *reason) {
    zmtp_fail(zmtp, problem);
    zmtp->is_denied = true;
    zmtp->reason = reason;
    return -EACCES;
}

/* ---- greeting ---- */

/* Checks the part of a greeting that has arrived; NULL: no error so far. */
static const char *greeting_problem(const uint8_t *greeting, size_t len) {
    /* A peer of ZMTP 1.0 sends a frame with its identity first. An empty one is the bytes 1, 0. */
    if (len > 1 && greeting[0] == 1 && greeting[1] == 0)
        return "it speaks ZMTP 1.0, not 3.0 or later";
    if (len > 0 && greeting[0] != 0xFF)
        return len == 1 && greeting[0] == 1 ? NULL : "it does not speak ZMTP";
    if (len >= SIGNATURE_SIZE && !(greeting[9] & 1))
        return "it speaks ZMTP 1.0, not 3.0 or later";
    if (len > SIGNATURE_SIZE && greeting[10] < 3)
        return greeting[10] == 0 ? "it speaks ZMTP 1.0, not 3.0 or later"
                                 : "it speaks ZMTP 2.0, not 3.0 or later";
    return NULL;
}

/* Handles a greeting whose mechanism differs from this end's mechanism. */
static void refuse_mechanism(Zmtp *zmtp, const uint8_t *theirs) {
    bool has_keys = zmtp->mechanism->seal != NULL;

    if (has_keys && memcmp(theirs, "NULL", sizeof("NULL")) == 0)
        zmtp_deny(zmtp, "it has no key", NULL);
    else if (!has_keys && memcmp(theirs, "CURVE", sizeof("CURVE")) == 0)
        zmtp_deny(zmtp,
                  zmtp->is_server ? "it has a key, and this endpoint has no keys"
                                  : "it takes only clients with a key",
                  NULL);
    else
        zmtp_fail(zmtp, "it wants another security mechanism");
}

static ZmtpEvent read_greeting(Zmtp *zmtp, ZmtpInput *input) {
    size_t len = (size_t)(input->end - input->at);
    const char *problem = greeting_problem(input->at, len);
    char name[MECHANISM_SIZE] = {0};

    if (problem) {
        zmtp_fail(zmtp, problem);
        return ZMTP_EVENT_FAILED;
    }
    if (len < ZMTP_GREETING_SIZE) {
        input->wanted = ZMTP_GREETING_SIZE;
        return ZMTP_EVENT_MORE;
    }
    zmtp->minor = input->at[10] > 3 ? 1 : input->at[11];
    memcpy(name, zmtp->mechanism->name, strlen(zmtp->mechanism->name));
    if (memcmp(input->at + MECHANISM_AT, name, sizeof(name)) != 0) {
        refuse_mechanism(zmtp, input->at + MECHANISM_AT);
        return ZMTP_EVENT_FAILED;
    }
    input->at += ZMTP_GREETING_SIZE;
    zmtp->stage = ZMTP_HANDSHAKE;
    zmtp->pending |= PENDING_COMMAND;
    return zmtp_read(zmtp, input);
}

static size_t put_greeting(const Zmtp *zmtp, uint8_t *to) {
    memset(to, 0, ZMTP_GREETING_SIZE);
    to[0] = 0xFF;
    to[9] = 0x7F;
    to[10] = 3;
    to[11] = 1;
    memcpy(to + MECHANISM_AT, zmtp->mechanism->name, strlen(zmtp->mechanism->name));
    to[AS_SERVER_AT] = zmtp->is_server;
    return ZMTP_GREETING_SIZE;
}

/* ---- commands ---- */

const uint8_t *zmtp_command_body(const char *name, const uint8_t *command, size_t len) {
    size_t size = strlen(name);

    return len > size && command[0] == size && memcmp(command + 1, name, size) == 0
               ? command + 1 + size
               : NULL;
}

size_t zmtp_command_put(const char *name, uint8_t *to) {
    size_t size = strlen(name);

    to[0] = (uint8_t)size;
    memcpy(to + 1, name, size);
    return 1 + size;
}

/* An ERROR ends the connection; if its length is valid, its reason is reported to the user. */
static ZmtpEvent hear_error(Zmtp *zmtp, ZmtpInput *input, const uint8_t *body, size_t len) {
    bool has_keys = zmtp->stage == ZMTP_HANDSHAKE && zmtp->mechanism->seal;

    if (has_keys)
        zmtp_deny(zmtp, "it refused the handshake", NULL);
    else
        zmtp_fail(zmtp, "it sent an ERROR");
    zmtp->pending &= PENDING_GREETING;
    if (len > 0 && body[0] <= len - 1) {
        input->data = (uint8_t *)(uintptr_t)body + 1;
        input->len = body[0];
    }
    return ZMTP_EVENT_FAILED;
}

static ZmtpEvent hear_ping(Zmtp *zmtp, const uint8_t *body, size_t len) {
    if (len < 2 || len > 2 + ZMTP_CONTEXT_MAX) {
        zmtp_fail(zmtp, "it sent a PING of the wrong size");
        return ZMTP_EVENT_FAILED;
    }
    /* If a peer sends PINGs faster than it reads PONGs, only the last context is answered. */
    zmtp->context_len = (uint8_t)(len - 2);
    memcpy(zmtp->context, body + 2, len - 2);
    zmtp->pending |= PENDING_PONG;
    return ZMTP_EVENT_PING;
}

/* Handles the command in data and len. */
static ZmtpEvent hear_command(Zmtp *zmtp, ZmtpInput *input) {
    const uint8_t *command = input->data, *body;
    size_t len = input->len;
    int r;

    input->data = NULL;
    input->len = 0;
    body = zmtp_command_body("ERROR", command, len);
    if (body)
        return hear_error(zmtp, input, body, len - (size_t)(body - command));
    if (zmtp->stage == ZMTP_HANDSHAKE) {
        r = zmtp->mechanism->hear(zmtp, command, len);
        if (r < 0)
            return ZMTP_EVENT_FAILED;
        zmtp->pending |= PENDING_COMMAND;
        if (r == 0)
            return zmtp_read(zmtp, input);
        zmtp->stage = ZMTP_OPEN;
        return ZMTP_EVENT_READY;
    }
    body = zmtp_command_body("PING", command, len);
    if (body)
        return hear_ping(zmtp, body, len - (size_t)(body - command));
    if (zmtp_command_body("PONG", command, len))
        return ZMTP_EVENT_PONG;
    zmtp_fail(zmtp, "it sent an unexpected command");
    return ZMTP_EVENT_FAILED;
}

/* Writes the head of a frame in front of its body, and returns the start of the head. */
static uint8_t *put_head(uint8_t *body, uint8_t flags, size_t len) {
    if (len <= UINT8_MAX) {
        *--body = (uint8_t)len;
    } else {
        flags |= FLAG_LONG;
        body -= HEAD_LONG - 1;
        zmtp_put_uint64(body, len);
    }
    *--body = flags;
    return body;
}

/* Writes the frame of a command; returns its length. */
static size_t put_command(uint8_t *to, const uint8_t *command, size_t len) {
    size_t head = len > UINT8_MAX ? HEAD_LONG : HEAD_SHORT;

    memcpy(to + head, command, len);
    put_head(to + head, FLAG_COMMAND, len);
    return head + len;
}

static size_t put_error(const Zmtp *zmtp, uint8_t *to) {
    const char *reason = zmtp->reason ? zmtp->reason : zmtp->problem;
    uint8_t command[8 + UINT8_MAX];
    size_t len = zmtp_command_put("ERROR", command), reason_len = strlen(reason);

    reason_len = reason_len > UINT8_MAX ? UINT8_MAX : reason_len;
    command[len++] = (uint8_t)reason_len;
    memcpy(command + len, reason, reason_len);
    return put_command(to, command, len + reason_len);
}

/* Writes the frame of a command after the handshake. It is sealed if messages are sealed. */
static size_t put_sealed(Zmtp *zmtp, uint8_t *to, const uint8_t *command, size_t len) {
    uint8_t room[ZMTP_SEAL_SIZE + ZMTP_CONTEXT_MAX + 8], *at = room + ZMTP_SEAL_SIZE;

    if (!zmtp->mechanism->seal)
        return put_command(to, command, len);
    memcpy(at, command, len);
    zmtp->mechanism->seal(zmtp, true, &at, &len);
    memcpy(to + HEAD_SHORT, at, len);
    put_head(to + HEAD_SHORT, 0, len); /* like libzmq, do not mark a sealed frame as a command */
    return HEAD_SHORT + len;
}

static size_t put_pong(Zmtp *zmtp, uint8_t *to) {
    uint8_t command[8 + ZMTP_CONTEXT_MAX];
    size_t len = zmtp_command_put("PONG", command);

    memcpy(command + len, zmtp->context, zmtp->context_len);
    return put_sealed(zmtp, to, command, len + zmtp->context_len);
}

size_t zmtp_output(Zmtp *zmtp, uint8_t to[ZMTP_OUTPUT_MAX]) {
    uint8_t command[ZMTP_COMMAND_MAX];
    size_t n = 0, len;

    if (zmtp->pending & PENDING_GREETING)
        n += put_greeting(zmtp, to);
    if (zmtp->pending & PENDING_COMMAND) {
        len = zmtp->mechanism->say(zmtp, command);
        if (len > 0)
            n += put_command(to + n, command, len);
    }
    if (zmtp->pending & PENDING_PONG)
        n += put_pong(zmtp, to + n);
    if (zmtp->pending & PENDING_PING)
        n += put_sealed(zmtp, to + n, ping_command, sizeof(ping_command));
    if (zmtp->pending & PENDING_ERROR)
        n += put_error(zmtp, to + n);
    assert(n <= ZMTP_OUTPUT_MAX);
    zmtp->pending = 0;
    return n;
}

size_t zmtp_ping_put(Zmtp *zmtp, uint8_t to[ZMTP_PING_MAX]) {
    return zmtp->minor == 0 ? 0 : put_sealed(zmtp, to, ping_command, sizeof(ping_command));
}

bool zmtp_ping(Zmtp *zmtp) {
    if (zmtp->stage != ZMTP_OPEN || zmtp->minor == 0)
        return false;
    zmtp->pending |= PENDING_PING;
    return true;
}

/* ---- metadata ---- */

size_t zmtp_metadata_put(const Zmtp *zmtp, uint8_t *to) {
    size_t n = zmtp_command_put("Socket-Type", to), len = strlen(zmtp->socket_type);

    memset(to + n, 0, 3);
    n += 3;
    to[n++] = (uint8_t)len;
    memcpy(to + n, zmtp->socket_type, len);
    return n + len;
}

static bool is_property(const char *name, const uint8_t *at, size_t len) {
    if (strlen(name) != len)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((at[i] | 0x20) != (name[i] | 0x20))
            return false;
    return true;
}

int zmtp_metadata_check(Zmtp *zmtp, const uint8_t *at, size_t len) {
    const uint8_t *end = at + len;
    bool has_type = false;

    for (unsigned n = 0; at < end; n++) {
        const uint8_t *name = at + 1;
        size_t name_len = at[0], value_len;

        if (n == ZMTP_METADATA_PAIRS)
            return zmtp_fail(zmtp, "its metadata has too many properties");
        if (name_len == 0 || (size_t)(end - name) < name_len + 4)
            return zmtp_fail(zmtp, "its metadata is malformed");
        at = name + name_len;
        value_len = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        at += 4;
        if ((size_t)(end - at) < value_len)
            return zmtp_fail(zmtp, "its metadata is malformed");
        if (is_property("Socket-Type", name, name_len)) {
            has_type = true;
            if (value_len != strlen(zmtp->peer_type) || memcmp(at, zmtp->peer_type, value_len) != 0)
                return zmtp_fail(zmtp, "its socket has the wrong type");
        }
        at += value_len;
    }
    return has_type ? 0 : zmtp_fail(zmtp, "its metadata has no Socket-Type");
}

/* ---- frames ---- */

static const char *head_problem(const Zmtp *zmtp, uint8_t flags) {
    if (flags & ~(FLAG_MORE | FLAG_LONG | FLAG_COMMAND))
        return "a frame has undefined flags";
    if (flags & FLAG_MORE)
        return "a message of more than one frame";
    if (!(flags & FLAG_COMMAND) && zmtp->stage == ZMTP_HANDSHAKE)
        return "it sent a message before the end of its handshake";
    return NULL;
}

static bool is_sealed(const Zmtp *zmtp) {
    return zmtp->stage == ZMTP_OPEN && zmtp->mechanism->open;
}

static size_t frame_max(const Zmtp *zmtp, uint8_t flags) {
    if (is_sealed(zmtp))
        return zmtp->max_message + ZMTP_SEAL_SIZE;
    return flags & FLAG_COMMAND ? ZMTP_COMMAND_MAX : zmtp->max_message;
}

/* Checks a frame's head. 1: ret_head and ret_len are its sizes. 0: the head is incomplete. */
static int read_head(Zmtp *zmtp, const ZmtpInput *input, size_t *ret_head, uint64_t *ret_len) {
    size_t have = (size_t)(input->end - input->at);
    const char *problem = have > 0 ? head_problem(zmtp, input->at[0]) : NULL;
    size_t head = have > 0 && input->at[0] & FLAG_LONG ? HEAD_LONG : HEAD_SHORT;
    uint64_t len;

    *ret_head = head;
    if (problem)
        return zmtp_fail(zmtp, problem);
    if (have < head)
        return 0;
    len = head == HEAD_LONG ? zmtp_uint64_at(input->at + 1) : input->at[1];
    if (len > frame_max(zmtp, input->at[0]))
        return zmtp_fail(zmtp, input->at[0] & FLAG_COMMAND ? "a command is too large"
                                                           : "a message is too large");
    *ret_len = len;
    return 1;
}

static ZmtpEvent read_frame(Zmtp *zmtp, ZmtpInput *input) {
    bool is_command;
    uint8_t *body;
    size_t head;
    uint64_t len = 0;
    int r = read_head(zmtp, input, &head, &len);

    if (r < 0)
        return ZMTP_EVENT_FAILED;
    body = input->at + head;
    is_command = r != 0 && (input->at[0] & FLAG_COMMAND);
    if (r == 0 || (size_t)(input->end - body) < len) {
        if (r != 0 && !is_command && !is_sealed(zmtp)) {
            input->data = body;
            input->len = (size_t)len;
        }
        input->wanted = head + (size_t)len;
        return ZMTP_EVENT_MORE;
    }
    input->data = body;
    input->len = (size_t)len;
    input->at = body + len;
    /* libzmq does not mark a sealed command in the frame's head. */
    if (is_sealed(zmtp)) {
        r = zmtp->mechanism->open(zmtp, &input->data, &input->len);
        is_command = r > 0;
    }
    if (r < 0) {
        input->data = NULL;
        input->len = 0;
        return ZMTP_EVENT_FAILED;
    }
    return is_command ? hear_command(zmtp, input) : ZMTP_EVENT_MESSAGE;
}

ZmtpEvent zmtp_read(Zmtp *zmtp, ZmtpInput *input) {
    input->data = NULL;
    input->len = input->wanted = 0;
    switch (zmtp->stage) {
    case ZMTP_GREETING:
        return read_greeting(zmtp, input);
    case ZMTP_HANDSHAKE:
    case ZMTP_OPEN:
        return read_frame(zmtp, input);
    default:
        return ZMTP_EVENT_FAILED;
    }
}

void zmtp_shorten(ZmtpInput *input, size_t len) {
    zmtp_put_uint64(input->data - (HEAD_LONG - 1), len);
}

void zmtp_seal(Zmtp *zmtp, uint8_t **data, size_t *len) {
    uint8_t *at;

    assert(zmtp->stage == ZMTP_OPEN);
    if (zmtp->mechanism->seal)
        zmtp->mechanism->seal(zmtp, false, data, len);
    at = put_head(*data, 0, *len);
    *len += (size_t)(*data - at);
    *data = at;
}
