/* SPDX-License-Identifier: Apache-2.0 */

/* Files of tapped messages. See capture.h. */

#include "clients/cli/bodies/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "clients/cli/terminal/out.h"

enum {
    BLOCK_SECTION = 0x0A0D0D0A,
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET = 6,
    SECTION_BYTE_ORDER = 0x1A2B3C4D,
    LINK_UPPER_PDU = 252,

    TAG_END = 0,
    TAG_DISSECTOR = 12,
    TAG_PROTOCOL_COLUMN = 33,
    TAG_DIRECTION = 35, /* 0: sent, 1: received */

    PACKET_HEAD = 28, /* bytes of a packet block before the packet */
};

/* ---- writing: the blocks are little-endian, the tags big-endian ---- */

static void put_u16(Buffer *to, unsigned value) {
    buffer_append(to, &(uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

static void put_u32(Buffer *to, uint64_t value) {
    put_u16(to, (unsigned)(value & 0xFFFF));
    put_u16(to, (unsigned)(value >> 16 & 0xFFFF));
}

static void pad(Buffer *to) {
    buffer_append(to, "\0\0\0", (4 - to->len % 4) % 4);
}

static void put_tag(Buffer *to, unsigned tag, const void *value, size_t len) {
    size_t padded = (len + 3) & ~(size_t)3;

    buffer_append(
        to, &(uint8_t[]){0, (uint8_t)tag, (uint8_t)(padded >> 8), (uint8_t)(padded & 0xFF)}, 4);
    buffer_append(to, value, len);
    pad(to);
}

static void write_block(FILE *to, uint32_t type, const Buffer *body) {
    CLEANUP(buffer_deinit) Buffer block = {0};
    size_t total = ((body->len + 3) & ~(size_t)3) + 12;

    put_u32(&block, type);
    put_u32(&block, total);
    buffer_append(&block, body->data, body->len);
    pad(&block);
    put_u32(&block, total);
    if (!block.failed)
        out_raw(to, ferry_bytes_of(block.data, block.len));
}

void capture_begin(FILE *to) {
    CLEANUP(buffer_deinit) Buffer body = {0};

    put_u32(&body, SECTION_BYTE_ORDER);
    put_u16(&body, 1); /* version 1.0 */
    put_u16(&body, 0);
    put_u32(&body, UINT32_MAX); /* length of the section: unknown */
    put_u32(&body, UINT32_MAX);
    write_block(to, BLOCK_SECTION, &body);
    buffer_reset(&body);
    put_u16(&body, LINK_UPPER_PDU);
    put_u16(&body, 0);
    put_u32(&body, 0); /* packets of any length; times in microseconds */
    write_block(to, BLOCK_INTERFACE, &body);
}

void capture_write(FILE *to, ferry_bytes record, uint64_t time_us, bool sent, const char *summary) {
    CLEANUP(buffer_deinit) Buffer packet = {0};
    CLEANUP(buffer_deinit) Buffer body = {0};

    put_tag(&packet, TAG_DISSECTOR, "msgpack", 7);
    put_tag(&packet, TAG_PROTOCOL_COLUMN, summary, strnlen(summary, CAPTURE_SUMMARY_MAX));
    put_tag(&packet, TAG_DIRECTION, &(uint8_t[]){0, 0, 0, !sent}, 4);
    put_tag(&packet, TAG_END, NULL, 0);
    buffer_append(&packet, record.data, record.len);

    put_u32(&body, 0); /* the interface */
    put_u32(&body, time_us >> 32);
    put_u32(&body, time_us & UINT32_MAX);
    put_u32(&body, packet.len);
    put_u32(&body, packet.len);
    buffer_append(&body, packet.data, packet.len);
    if (!packet.failed && !body.failed)
        write_block(to, BLOCK_PACKET, &body);
}

/* ---- reading ---- */

static uint32_t get_u32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int malformed(CaptureReader *reader, const char *problem) {
    reader->problem = problem;
    return -EPROTO;
}

/* Reads a whole block into reader->block. 1; 0: end of file; or a negative errno. */
static int read_block(CaptureReader *reader, uint32_t *ret_type, size_t *ret_len) {
    uint8_t head[8];
    size_t n = fread(head, 1, sizeof(head), reader->from), len;
    uint8_t *block;

    if (n == 0 && !ferror(reader->from))
        return 0;
    if (n < sizeof(head))
        return ferror(reader->from) ? -EIO : malformed(reader, "the file ends inside a block");
    *ret_type = get_u32(head);
    len = get_u32(head + 4);
    if (len < 12 || len % 4 != 0 || len > CAPTURE_RECORD_MAX)
        return malformed(reader, "the length of a block is invalid");
    block = realloc(reader->block, len);
    if (!block)
        return -ENOMEM;
    reader->block = block;
    n = fread(block, 1, len - 8, reader->from);
    if (n < len - 8)
        return ferror(reader->from) ? -EIO : malformed(reader, "the file ends inside a block");
    if (get_u32(block + len - 12) != len)
        return malformed(reader, "the two lengths of a block differ");
    *ret_len = len - 12;
    reader->offset += len;
    return 1;
}

int capture_open(CaptureReader *reader, FILE *from) {
    uint32_t type;
    size_t len;
    int r;

    *reader = (CaptureReader){.from = from};
    r = read_block(reader, &type, &len);
    if (r == 1 &&
        (type != BLOCK_SECTION || len < 16 || get_u32(reader->block) != SECTION_BYTE_ORDER))
        r = malformed(reader, "it is not a pcapng file in little-endian order");
    if (r == 1)
        r = read_block(reader, &type, &len);
    if (r == 1 &&
        (type != BLOCK_INTERFACE || len < 8 || (get_u32(reader->block) & 0xFFFF) != LINK_UPPER_PDU))
        r = malformed(reader, "its packets are not tapped messages");
    if (r == 0)
        r = malformed(reader, "the file ends before its first packet");
    return r < 0 ? r : 0;
}

void capture_close(CaptureReader *reader) {
    free(reader->block);
}

/* The bytes after the tags. */
static int skip_tags(CaptureReader *reader, const uint8_t *packet, size_t len, ferry_bytes *ret) {
    size_t at = 0, tag, value;

    do {
        if (len - at < 4)
            return malformed(reader, "a packet ends inside its tags");
        tag = (size_t)packet[at] << 8 | packet[at + 1];
        value = (size_t)packet[at + 2] << 8 | packet[at + 3];
        at += 4;
        if (value > len - at)
            return malformed(reader, "a packet ends inside its tags");
        at += value;
    } while (tag != TAG_END);
    *ret = ferry_bytes_of(packet + at, len - at);
    return 1;
}

int capture_next(CaptureReader *reader, ferry_bytes *ret) {
    uint32_t type = 0;
    size_t len = 0, captured;
    int r;

    do
        r = read_block(reader, &type, &len);
    while (r == 1 && type != BLOCK_PACKET);
    if (r <= 0)
        return r;
    if (len < PACKET_HEAD - 8)
        return malformed(reader, "a packet block is too short");
    captured = get_u32(reader->block + 12);
    if (captured > len - (PACKET_HEAD - 8))
        return malformed(reader, "a packet is longer than its block");
    return skip_tags(reader, reader->block + PACKET_HEAD - 8, captured, ret);
}
