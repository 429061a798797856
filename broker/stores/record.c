/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the journal, as bytes. See record.h. */

#include "broker/stores/record.h"

#include <endian.h>
#include <errno.h>
#include <xxhash.h>

#include "broker/stores/store.h"

enum {
    AT_LEN = 4,
    AT_CHECKSUM = 8,
    AT_SEQUENCE = 16,
    AT_FLUSHED = 24,
    AT_TYPE = 32,
    AT_FLAGS = 33
};

/* The bits of the flags. */
enum { HAS_BODY = 1, HAS_PASSED = 2, IS_HELD = 4, IS_PAUSED = 8 };

static void set_u32(uint8_t *at, uint32_t number) {
    number = htole32(number);
    memcpy(at, &number, sizeof(number));
}

static void set_u64(uint8_t *at, uint64_t number) {
    number = htole64(number);
    memcpy(at, &number, sizeof(number));
}

static uint32_t get_u32(const uint8_t *at) {
    uint32_t number;

    memcpy(&number, at, sizeof(number));
    return le32toh(number);
}

static uint64_t get_u64(const uint8_t *at) {
    uint64_t number;

    memcpy(&number, at, sizeof(number));
    return le64toh(number);
}

/* ---- the fields of each type: one list for writing and reading ---- */

typedef enum FieldKind { FIELD_U64, FIELD_U32, FIELD_U8, FIELD_SPAN } FieldKind;

typedef struct RecordField {
    FieldKind kind;
    size_t offset; /* in DiskRecord */
} RecordField;

#define U64(name)                                                                                  \
    { FIELD_U64, offsetof(DiskRecord, name) }
#define U32(name)                                                                                  \
    { FIELD_U32, offsetof(DiskRecord, name) }
#define U8(name)                                                                                   \
    { FIELD_U8, offsetof(DiskRecord, name) }
#define SPAN(name)                                                                                 \
    { FIELD_SPAN, offsetof(DiskRecord, name) }

enum { FIELDS_MAX = 20 };

/* Headers and body come last: the fields before them take about 1 KiB at most. */
static const RecordField fields[][FIELDS_MAX + 1] = {
    [RECORD_JOB] = {U64(id), U64(old), U64(pushed_ms), U64(due_ms), U64(expires_ms),
                    U64(key_until_ms), U64(worker), U64(push), U32(attempt), U8(priority),
                    SPAN(client), SPAN(queue), SPAN(reason), SPAN(key), SPAN(headers), SPAN(passed),
                    SPAN(body)},
    [RECORD_TIED] = {U64(id), U64(old), U64(pushed_ms), U64(due_ms), U64(expires_ms),
                     U64(key_until_ms), U64(worker), U64(push), U32(attempt), U8(priority),
                     SPAN(client), SPAN(queue), SPAN(reason), SPAN(key), SPAN(order), SPAN(unique),
                     SPAN(headers), SPAN(passed), SPAN(body)},
    [RECORD_SETTLED] = {U64(id)},
    [RECORD_NOTE] = {U64(id), U64(due_ms), U64(worker), U32(attempt), SPAN(reason)},
    [RECORD_PAUSED] = {SPAN(queue)},
    [RECORD_FORGET] = {U64(id), SPAN(client)},
    [RECORD_PUSH] = {U64(id), SPAN(client)},
    [RECORD_KEY] = {U64(key_until_ms), SPAN(queue), SPAN(key)},
    [RECORD_HOLE] = {U64(id), U64(old)},
    [RECORD_LAST] = {U64(id)},
    [RECORD_SHARED] = {U64(id), U64(pushed_ms), U32(n_jobs), SPAN(jobs), SPAN(headers),
                       SPAN(passed), SPAN(body)},
    [RECORD_FACT] = {SPAN(key), SPAN(body)},
};

static const size_t sizes[] = {[FIELD_U64] = 8, [FIELD_U32] = 4, [FIELD_U8] = 1, [FIELD_SPAN] = 4};

/* A list of fields ends with zeros. They cannot be a field: offset 0 is the sequence, which is in
 * the head. */
static bool is_end(const RecordField *field) {
    return field->kind == FIELD_U64 && field->offset == 0;
}

static size_t bytes_of(const DiskRecord *record, const RecordField *field) {
    size_t bytes = 0;

    for (; !is_end(field); field++) {
        bytes += sizes[field->kind];
        if (field->kind == FIELD_SPAN)
            bytes += ((const Span *)((const uint8_t *)record + field->offset))->len;
    }
    return bytes;
}

static void put(uint8_t *at, const DiskRecord *record, const RecordField *field) {
    for (; !is_end(field); field++) {
        const uint8_t *from = (const uint8_t *)record + field->offset;
        const Span *span = (const Span *)from;

        switch (field->kind) {
        case FIELD_U64:
            set_u64(at, *(const uint64_t *)from);
            break;
        case FIELD_U32:
            set_u32(at, *(const uint32_t *)from);
            break;
        case FIELD_U8:
            *at = *from;
            break;
        case FIELD_SPAN:
            set_u32(at, (uint32_t)span->len);
            if (span->len > 0)
                memcpy(at + sizes[FIELD_SPAN], span->data, span->len);
            at += span->len;
            break;
        }
        at += sizes[field->kind];
    }
}

uint32_t record_append(Buffer *to, const DiskRecord *record) {
    size_t len = RECORD_HEAD + bytes_of(record, fields[record->type]);
    size_t padded = record_padded((uint32_t)len);
    uint8_t *at = buffer_reserve(to, padded);

    if (!at)
        return 0;
    memset(at, 0, RECORD_HEAD);
    memset(at + padded - RECORD_ALIGN, 0, RECORD_ALIGN);
    set_u32(at + AT_LEN, (uint32_t)len);
    at[AT_TYPE] = (uint8_t)record->type;
    at[AT_FLAGS] =
        (uint8_t)((record->body.data ? HAS_BODY : 0) | (record->passed.data ? HAS_PASSED : 0) |
                  (record->held ? IS_HELD : 0) | (record->paused ? IS_PAUSED : 0));
    put(at + RECORD_HEAD, record, fields[record->type]);
    to->len += padded;
    return (uint32_t)len;
}

uint32_t record_len(const uint8_t *record) {
    return get_u32(record + AT_LEN);
}

static uint64_t checksum(const uint8_t *record, uint32_t len, uint64_t seed) {
    return XXH3_64bits_withSeed(record + AT_SEQUENCE, len - AT_SEQUENCE, seed ^ len);
}

static uint32_t magic(uint64_t seed) {
    return RECORD_MAGIC ^ (uint32_t)(seed >> 16);
}

void record_seal(uint8_t *record, uint64_t seed, uint64_t sequence, uint64_t flushed) {
    set_u32(record, magic(seed));
    set_u64(record + AT_SEQUENCE, sequence);
    set_u64(record + AT_FLUSHED, flushed);
    set_u64(record + AT_CHECKSUM, checksum(record, record_len(record), seed));
}

bool record_check(const uint8_t *record, uint64_t left, uint64_t seed) {
    uint32_t len;

    if (left < RECORD_HEAD || get_u32(record) != magic(seed))
        return false;
    len = record_len(record);
    return len >= RECORD_HEAD && len <= left &&
           get_u64(record + AT_CHECKSUM) == checksum(record, len, seed);
}

static int get(const uint8_t *at, size_t left, DiskRecord *to, const RecordField *field) {
    for (; !is_end(field); field++) {
        uint8_t *into = (uint8_t *)to + field->offset;
        size_t size = sizes[field->kind];

        if (left < size)
            return -EBADMSG;
        switch (field->kind) {
        case FIELD_U64:
            *(uint64_t *)(void *)into = get_u64(at);
            break;
        case FIELD_U32:
            *(uint32_t *)(void *)into = get_u32(at);
            break;
        case FIELD_U8:
            *into = *at;
            break;
        case FIELD_SPAN:
            *(Span *)(void *)into = (Span){at + size, get_u32(at)};
            if (left - size < get_u32(at))
                return -EBADMSG;
            size += get_u32(at);
            break;
        }
        at += size;
        left -= size;
    }
    return left == 0 ? 0 : -EBADMSG;
}

/* ---- jobs that share a record: number, expiry time and queue of each job ---- */

enum { SHARED_ENDS_AT = 4, SHARED_LEN_AT = 12, SHARED_HEAD = 13 };

void record_shared_put(Buffer *to, uint64_t number, uint64_t expires_ms, Span queue) {
    uint8_t *at = buffer_reserve(to, SHARED_HEAD + queue.len);

    if (!at)
        return;
    set_u32(at, (uint32_t)number);
    set_u64(at + SHARED_ENDS_AT, expires_ms);
    at[SHARED_LEN_AT] = (uint8_t)queue.len;
    memcpy(at + SHARED_HEAD, queue.data, queue.len);
    to->len += SHARED_HEAD + queue.len;
}

bool record_shared_next(DiskRecord *record, DiskRecord *ret) {
    Span *list = &record->jobs;
    size_t len = list->len >= SHARED_HEAD ? list->data[SHARED_LEN_AT] : 0;

    if (list->len < SHARED_HEAD + len)
        return false;
    *ret = *record;
    ret->type = RECORD_JOB;
    ret->id += get_u32(list->data);
    ret->expires_ms = get_u64(list->data + SHARED_ENDS_AT);
    ret->queue = (Span){list->data + SHARED_HEAD, len};
    ret->jobs = (Span){NULL, 0};
    ret->n_jobs = 0;
    *list = (Span){list->data + SHARED_HEAD + len, list->len - SHARED_HEAD - len};
    return true;
}

static bool shared_is_whole(DiskRecord record) {
    DiskRecord job;
    uint32_t n = 0;

    while (record_shared_next(&record, &job))
        n++;
    return n == record.n_jobs && n <= STORE_SHARED_MAX && record.jobs.len == 0;
}

int record_read(const uint8_t *record, DiskRecord *ret) {
    unsigned flags = record[AT_FLAGS];
    unsigned type = record[AT_TYPE];
    int r;

    if (type < RECORD_JOB || type > RECORD_FACT)
        return -EBADMSG;
    *ret = (DiskRecord){.type = (RecordType)type,
                        .sequence = get_u64(record + AT_SEQUENCE),
                        .flushed = get_u64(record + AT_FLUSHED),
                        .held = flags & IS_HELD,
                        .paused = flags & IS_PAUSED};
    r = get(record + RECORD_HEAD, record_len(record) - RECORD_HEAD, ret, fields[type]);
    if (!(flags & HAS_BODY))
        ret->body = (Span){NULL, 0};
    if (!(flags & HAS_PASSED))
        ret->passed = (Span){NULL, 0};
    if (r == 0 && ret->client.len != 0 && ret->client.len != WIRE_TOKEN)
        r = -EBADMSG;
    if (r == 0 && type == RECORD_SHARED && !shared_is_whole(*ret))
        r = -EBADMSG;
    return r;
}
