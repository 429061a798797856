/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: reads bytes, sends frames, watches for signs of life. See connection.h. */

#include "rpc/link/connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#include "base/block.h"
#include "rpc/wire/writer.h"

enum {
    SEND_MAX = 256 * 1024, /* most bytes that are taken out of the outbox ahead of the socket */
    SEND_FRAMES = 64,
    FRAME_PARTS = 3,            /* head, body, and the rest of the batch */
    BLOCK_MIN = 1024,           /* for the frame of an untrusted peer */
    BLOCK_USUAL = 72 * 1024,    /* for many small frames, or a PART */
    BLOCK_REST_MIN = 16 * 1024, /* smallest room in a block that is worth another read */
    LAND_BEHIND = 512,          /* bytes behind a landing body that the same call reads */
    PART_HEAD_MAX = 18,         /* bytes of a batch in front of a PART's body */
    LOOK_EACH_MS = 500,         /* interval of checks for the answer to a PING */
};

int connection_open(Connection *connection, int fd, bool is_hub, const ReadBuffer *buffer,
                    const CurveKeys *keys, uint64_t now_ms) {
    *connection = (Connection){.fd = fd, .buffer = buffer, .alive_ms = now_ms};
    zmtp_init(&connection->zmtp, keys ? &zmtp_curve : &zmtp_null, is_hub ? "ROUTER" : "DEALER",
              is_hub ? "DEALER" : "ROUTER", WIRE_BATCH_MAX);
    if (!keys)
        return 0;
    connection->curve = malloc(sizeof(*connection->curve));
    if (!connection->curve) {
        connection->fd = -1;
        return -ENOMEM;
    }
    curve_init(connection->curve, keys, &connection->zmtp);
    return 0;
}

static void drop_block(Connection *connection) {
    ferry_free(connection->block);
    connection->block = NULL;
    connection->cap = 0;
    connection->at = connection->end = NULL;
    connection->landing_left = 0;
}

static void free_spent(Connection *connection) {
    Chunk *chunk, *next;

    LL_FOREACH_SAFE(connection->spent, chunk, next) {
        connection->sending_memory -= chunk_memory(chunk);
        chunk_free(chunk);
    }
    connection->spent = NULL;
}

void connection_close(Connection *connection) {
    heart_stop(&connection->heart);
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    if (connection->curve)
        curve_deinit(connection->curve);
    free(connection->curve);
    connection->curve = NULL;
    drop_block(connection);
    free_spent(connection);
    connection->spent = connection->sending;
    connection->sending = NULL;
    free_spent(connection);
    connection->n_sending = 0;
    connection->sending_at = connection->sending_bytes = connection->unsent = 0;
}

/* ---- in ---- */

static bool is_in_block(const Connection *connection, const uint8_t *at) {
    return connection->block && at >= connection->block &&
           at <= connection->block + connection->cap;
}

/* Moves the unread bytes to the front of a block of their own with room for size bytes. Bytes in a
 * block that has other owners do not move. */
static int make_room(Connection *connection, size_t size) {
    size_t left = (size_t)(connection->end - connection->at);
    uint8_t *block = connection->block;

    if (!block || connection->cap < size || !block_is_sole(block)) {
        block = ferry_alloc(size);
        if (!block)
            return -ENOMEM;
        if (left > 0)
            memcpy(block, connection->at, left);
        ferry_free(connection->block);
        connection->block = block;
        connection->cap = size;
    } else if (left > 0) {
        memmove(block, connection->at, left);
    }
    connection->at = block;
    connection->end = block + left;
    return 0;
}

/* The size of the block for an incomplete frame. For an untrusted peer it grows with the bytes that
 * arrive, so that a head that declares a large frame does not take the memory of that frame. */
static size_t block_size(const Connection *connection, size_t wanted) {
    size_t left = (size_t)(connection->end - connection->at), size = BLOCK_MIN;

    /* More bytes wait behind the frame. A larger block reads them together with the frame's
     * rest. */
    if (connection->trusted)
        return wanted < BLOCK_USUAL && !connection->is_drained ? BLOCK_USUAL : wanted;
    while (size < 2 * left)
        size *= 2;
    return size < wanted ? size : wanted > BLOCK_MIN ? wanted : BLOCK_MIN;
}

/* Sets *ret to the memory for the next read. -ENOMEM. */
static int space_for_read(Connection *connection, ReadBuffer *ret) {
    bool is_empty = connection->at == connection->end;

    if (connection->buffer && is_empty) {
        *ret = *connection->buffer;
        connection->at = connection->end = ret->data;
        return 0;
    }
    if (is_empty &&
        (!connection->block || block_is_sole(connection->block) ||
         connection->block + connection->cap - connection->end < BLOCK_REST_MIN) &&
        make_room(connection, BLOCK_USUAL) < 0)
        return -ENOMEM;
    *ret = (ReadBuffer){connection->end,
                        (size_t)(connection->block + connection->cap - connection->end)};
    return 0;
}

/* Reads the rest of a landing body into its transfer, and further bytes into the space. */
static ssize_t read_into(Connection *connection, ReadBuffer space) {
    struct iovec parts[] = {{connection->landing, connection->landing_left},
                            {space.data, space.size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;

    do {
        n = connection->landing_left > 0
                ? recvmsg(connection->fd, &message, MSG_DONTWAIT)
                : recv(connection->fd, space.data, space.size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

int connection_read(Connection *connection, uint64_t now_ms) {
    size_t landing = connection->landing_left,
           max = landing > 0 ? LAND_BEHIND : CONNECTION_READ_MAX;
    ReadBuffer space;
    ssize_t n;
    int r = space_for_read(connection, &space);

    if (r < 0)
        return r;
    if (space.size > max)
        space.size = max;
    n = read_into(connection, space);
    connection->is_drained = n < (ssize_t)(landing + space.size);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
    if (n == 0)
        return -ENODATA;
    if (landing > (size_t)n)
        landing = (size_t)n;
    if (landing > 0) {
        connection->landing += landing;
        connection->landing_left -= landing;
    }
    connection->end += (size_t)n - landing;
    connection->alive_ms = now_ms;
    connection->ping_ends_at = 0;
    return 1;
}

/* A PART in an incomplete frame. */
typedef struct PartBegun {
    uint64_t transfer;
    uint8_t *bin; /* the head of its body... */
    size_t head;  /* ...and the size of this head */
    size_t len;   /* bytes of its body */
} PartBegun;

/* Reads magic, protocol, an array of three, OP_PART, the transfer and the head of a bin. False: the
 * message is no PART, or too few bytes have arrived. */
static bool read_part(const ZmtpInput *input, PartBegun *ret) {
    Reader reader = reader_of(input->data, (size_t)(input->end - input->data));

    if (reader_left(&reader) < PART_HEAD_MAX || reader.at[0] != WIRE_MAGIC ||
        reader.at[1] != WIRE_PROTOCOL)
        return false;
    reader.at += WIRE_HEAD;
    if (reader_array(&reader) != 3 || reader_uint(&reader) != OP_PART)
        return false;
    *ret = (PartBegun){.transfer = reader_uint(&reader)};
    if (reader.problem || (*reader.at != 0xC5 && *reader.at != 0xC6))
        return false;
    ret->bin = (uint8_t *)(uintptr_t)reader.at;
    ret->head = *reader.at == 0xC5 ? 3 : 5;
    for (size_t i = 1; i < ret->head; i++)
        ret->len = ret->len << 8 | ret->bin[i];
    return true;
}

/* True: the rest of the body is read straight into its transfer ("lands"). The frame then contains
 * a PART with an empty body, and the records behind it. */
static bool land(Connection *connection, Inbox *inbox, ZmtpInput *input) {
    const uint8_t *body;
    PartBegun part;
    size_t have;

    if (!input->data || !read_part(input, &part))
        return false;
    body = part.bin + part.head;
    have = (size_t)(input->end - body);
    if (have >= part.len || part.len > WIRE_PART ||
        (size_t)(body - input->data) + part.len > input->len)
        return false;
    connection->landing = inbox_land(inbox, part.transfer, part.len);
    if (!connection->landing)
        return false;
    memcpy(connection->landing, body, have);
    connection->landing += have;
    connection->landing_left = part.len - have;
    connection->end = put_bin_head(part.bin, 0);
    zmtp_shorten(input, input->len - part.len - (size_t)(body - connection->end));
    return true;
}

int connection_next(Connection *connection, Inbox *inbox, Span *ret_message) {
    ZmtpInput input = {.at = connection->at, .end = connection->end};
    ZmtpEvent event;
    size_t size;

    *ret_message = (Span){NULL, 0};
    if (connection->landing_left > 0)
        return ZMTP_EVENT_MORE;
    if (input.at == input.end) {
        if (connection->buffer)
            drop_block(connection);
        return ZMTP_EVENT_MORE;
    }
    event = zmtp_read(&connection->zmtp, &input);
    connection->at = input.at;
    if (event == ZMTP_EVENT_MESSAGE || event == ZMTP_EVENT_FAILED)
        *ret_message = span_of(input.data, input.len);
    if (event == ZMTP_EVENT_FAILED) /* the following bytes have no meaning */
        connection->at = connection->end;
    if (event != ZMTP_EVENT_MORE)
        return event;
    size =
        inbox && land(connection, inbox, &input) ? BLOCK_MIN : block_size(connection, input.wanted);
    if (is_in_block(connection, connection->at) &&
        size <= (size_t)(connection->block + connection->cap - connection->at))
        return ZMTP_EVENT_MORE;
    return make_room(connection, size) < 0 ? -ENOMEM : ZMTP_EVENT_MORE;
}

void connection_trim(Connection *connection) {
    if (connection->at == connection->end && connection->cap > BLOCK_USUAL)
        drop_block(connection);
}

/* ---- out ---- */

static void append(Connection *connection, Chunk *chunk) {
    DL_APPEND(connection->sending, chunk);
    connection->sending_bytes += chunk->frame_len;
    connection->sending_memory += chunk_memory(chunk);
    connection->n_sending++;
}

static int append_output(Connection *connection) {
    uint8_t output[ZMTP_OUTPUT_MAX];
    size_t len = zmtp_output(&connection->zmtp, output);
    Chunk *chunk;

    if (len == 0) /* the mechanism has no output */
        return 0;
    chunk = chunk_of_frame(output, len);
    if (!chunk)
        return -ENOMEM;
    append(connection, chunk);
    return 0;
}

/* Takes the chunks that may be sent now. -ENOMEM. */
static int take(Connection *connection, Outbox *outbox) {
    if (outbox) /* seal() encrypts the bytes in place, so they must be a copy */
        outbox->lends_bodies = !connection->zmtp.mechanism->seal;
    while (connection->n_sending < SEND_FRAMES && connection->sending_bytes < SEND_MAX) {
        Chunk *chunk;

        if (zmtp_has_output(&connection->zmtp)) {
            if (append_output(connection) < 0)
                return -ENOMEM;
            continue;
        }
        chunk = outbox && connection->zmtp.stage == ZMTP_OPEN ? outbox_take(outbox) : NULL;
        if (!chunk)
            break;
        chunk->frame = chunk->data;
        chunk->frame_len = chunk_size(chunk);
        zmtp_seal(&connection->zmtp, &chunk->frame, &chunk->frame_len);
        append(connection, chunk);
    }
    return 0;
}

static void wrote(Connection *connection, size_t n) {
    connection->written += (int64_t)n;
    connection->sending_bytes -= n;
    while (n > 0) {
        Chunk *chunk = connection->sending;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): only bytes of chunks were sent */
        size_t left = chunk->frame_len - connection->sending_at;

        if (n < left) {
            connection->sending_at += n;
            return;
        }
        n -= left;
        connection->sending_at = 0;
        DL_DELETE(connection->sending, chunk);
        LL_PREPEND(connection->spent, chunk);
        connection->n_sending--;
    }
}

/* While the socket is full, small chunks must not stay in large blocks of memory. */
static void shrink(Connection *connection) {
    Chunk *chunk, *next, *fit;

    DL_FOREACH_SAFE(connection->sending, chunk, next) {
        if (chunk->frame_len >= chunk->cap / 8 || chunk->body.data)
            continue;
        fit = chunk_of_frame(chunk->frame, chunk->frame_len);
        if (!fit)
            continue;
        DL_REPLACE_ELEM(connection->sending, chunk, fit);
        connection->sending_memory -= chunk_memory(chunk) - chunk_memory(fit);
        chunk_free(chunk);
    }
}

/* Adds the parts of a frame from its byte `skip` on. */
static void add_parts(struct msghdr *message, const Chunk *chunk, size_t skip) {
    size_t head =
        chunk->body.data ? (size_t)(chunk->data + chunk->body_at - chunk->frame) : chunk->frame_len;
    struct iovec parts[FRAME_PARTS] = {
        {chunk->frame, head},
        {(void *)(uintptr_t)chunk->body.data, chunk->body.len},
        {chunk->frame + head, chunk->frame_len - head - chunk->body.len},
    };

    for (int i = 0; i < FRAME_PARTS; i++) {
        size_t cut = skip < parts[i].iov_len ? skip : parts[i].iov_len;

        skip -= cut;
        if (cut < parts[i].iov_len)
            message->msg_iov[message->msg_iovlen++] =
                (struct iovec){(char *)parts[i].iov_base + cut, parts[i].iov_len - cut};
    }
}

/* Sends the frames that take() collected. 0: all are sent; -EAGAIN: the socket is full. */
static int send_taken(Connection *connection) {
    while (connection->sending) {
        struct iovec iov[SEND_FRAMES * FRAME_PARTS];
        struct msghdr message = {.msg_iov = iov};
        size_t skip = connection->sending_at;
        ssize_t n;

        for (Chunk *chunk = connection->sending; chunk; chunk = chunk->next, skip = 0)
            add_parts(&message, chunk, skip);
        n = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        if (n > 0)
            wrote(connection, (size_t)n);
        if (n > 0 && connection->sending)
            return -EAGAIN;
    }
    return 0;
}

static int send_all(Connection *connection, Outbox *outbox) {
    for (;;) {
        int r = take(connection, outbox);

        if (r == 0 && !connection->sending)
            break;
        if (r == 0)
            r = send_taken(connection);
        free_spent(connection);
        if (r == -EAGAIN)
            shrink(connection);
        if (r < 0)
            return r;
    }
    if (connection->ping_ends_at == INT64_MAX)
        connection->ping_ends_at = connection->written;
    return 0;
}

int connection_send(Connection *connection, Outbox *outbox) {
    int r;

    heart_lock(&connection->heart);
    r = send_all(connection, outbox);
    connection->unsent = connection->sending_bytes;
    heart_unlock(&connection->heart);
    return r;
}

void connection_beat(Connection *connection) {
    uint8_t ping[ZMTP_PING_MAX];
    size_t len;
    ssize_t n;

    if (send_taken(connection) < 0)
        return;
    len = zmtp_ping_put(&connection->zmtp, ping);
    n = len > 0 ? send(connection->fd, ping, len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n > 0)
        connection->written += n;
    /* Only a part of the PING fitted in. Its rest is not kept, so the stream cannot continue. */
    if (n > 0 && n < (ssize_t)len)
        shutdown(connection->fd, SHUT_RDWR);
}

/* ---- signs of life ---- */

uint64_t connection_next_look(const Connection *connection) {
    return connection->ping_ends_at ? connection->looked_ms + LOOK_EACH_MS
                                    : connection->alive_ms + CONNECTION_PING_AFTER_MS;
}

/* True: the other end's kernel has accepted bytes since the last look. */
static bool has_moved(Connection *connection) {
    int64_t before = connection->acknowledged;
    int waiting = 0;

    if (ioctl(connection->fd, SIOCOUTQ, &waiting) < 0)
        waiting = 0;
    /* On a Unix socket the kernel counts its own overhead too, so the result may be negative. */
    connection->acknowledged = connection->written - waiting;
    return connection->acknowledged > before;
}

static void begin_to_doubt(Connection *connection, uint64_t now_ms) {
    has_moved(connection);
    connection->looked_ms = now_ms;
    connection->alive_ms = now_ms - CONNECTION_PING_AFTER_MS;
    connection->ping_ends_at = INT64_MAX;
    zmtp_ping(&connection->zmtp);
}

/*
 * Until the PING has reached the other end (on a slow line it follows earlier data), each byte that
 * the other end's kernel accepts is a sign of life. After that only the answer to the PING counts,
 * because the kernel of a stopped program still accepts bytes. A peer of ZMTP 3.0 has no PING: it
 * counts as alive while it accepts data, and the kernel's keep-alive watches an idle one.
 */
static bool is_alive(Connection *connection, uint64_t now_ms) {
    uint64_t since_ms = now_ms - connection->looked_ms;
    bool has_no_ping = connection->zmtp.minor == 0, moved;

    if (connection->ping_ends_at == 0) {
        begin_to_doubt(connection, now_ms);
        return true;
    }
    moved = has_moved(connection);
    connection->looked_ms = now_ms;
    /* This process was stopped: first read the input that arrived meanwhile. */
    if (since_ms > (uint64_t)2 * LOOK_EACH_MS)
        connection->alive_ms += since_ms;
    if (connection->acknowledged < connection->ping_ends_at && moved)
        connection->alive_ms = now_ms;
    if (has_no_ping && connection->acknowledged >= connection->written)
        connection->alive_ms = now_ms;
    return now_ms < connection->alive_ms + CONNECTION_SILENCE_MAX_MS;
}

bool connection_look(Connection *connection, uint64_t now_ms) {
    bool r;

    if (now_ms < connection_next_look(connection))
        return true;
    heart_lock(&connection->heart);
    r = is_alive(connection, now_ms);
    heart_unlock(&connection->heart);
    return r;
}
