/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes error maps. See remote-error.h. */

#include "rpc/schema/remote-error.h"

#include <stdlib.h>

#include "base/text.h"
#include "rpc/wire/writer.h"

/* The parts of an error that are written: the first choice that fits into the limit. */
typedef enum Detail {
    DETAIL_ALL,
    DETAIL_BARE_CAUSES,
    DETAIL_NO_CAUSES,
    DETAIL_NO_TRACE,
    DETAIL_TEXTS,
    DETAIL_SHORT_TEXTS,
} Detail;

enum { TEXT_SHORT = 4096 };

/* The end of the longest prefix of at most max bytes that does not cut a character. */
static size_t cut(const char *text, size_t len, size_t max) {
    if (len <= max)
        return len;
    while (max > 0 && ((uint8_t)text[max] & 0xC0) == 0x80)
        max--;
    return max;
}

/* Writes a text. Bytes that receivers would refuse become '?', because a message may quote any
 * bytes. */
static void write_clean(Buffer *to, const char *text, size_t max) {
    size_t len = cut(text, strlen(text), max);
    size_t start;

    write_str(to, text, len);
    if (to->failed || text_is_utf8(text, len))
        return;
    start = to->len - len;
    for (size_t i = start; i < to->len; i++)
        if (to->data[i] >= 0x80)
            to->data[i] = '?';
}

static void write_key_text(Buffer *to, const char *key, const char *text, size_t max) {
    write_text(to, key);
    write_clean(to, text, max);
}

static void write_trace(Buffer *to, const ErrorParts *parts) {
    size_t n = parts->n_trace < REMOTE_ERROR_TRACE_MAX ? parts->n_trace : REMOTE_ERROR_TRACE_MAX;

    write_text(to, "trace");
    write_array(to, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        write_clean(to, parts->trace[i], TEXT_SHORT);
}

static void write_error(Buffer *to, const ferry_error *error, Detail detail, int depth) {
    ErrorParts parts = error_parts(error);
    bool bare = depth > 0 && detail >= DETAIL_BARE_CAUSES;
    bool has_data = parts.data.len > 0 && !bare && detail < DETAIL_TEXTS;
    bool has_trace = parts.n_trace > 0 && !bare && detail < DETAIL_NO_TRACE;
    bool has_cause = parts.cause && detail < DETAIL_NO_CAUSES && depth + 1 < REMOTE_ERROR_DEPTH_MAX;
    size_t max = bare || detail == DETAIL_SHORT_TEXTS ? TEXT_SHORT : WIRE_ERROR_BYTES;

    write_map(to, 2u + has_data + (parts.origin != NULL) + has_trace + has_cause +
                      (parts.retry_ms >= 0));
    write_key_text(to, "type", parts.type ? parts.type : "ferry.Internal", TEXT_SHORT);
    write_key_text(to, "message", parts.message ? parts.message : "", max);
    if (has_data) {
        write_text(to, "data");
        write_bin(to, parts.data.data, parts.data.len);
    }
    if (parts.origin)
        write_key_text(to, "origin", parts.origin, TEXT_SHORT);
    if (has_trace)
        write_trace(to, &parts);
    if (parts.retry_ms >= 0) {
        write_text(to, "retry");
        write_uint(to, (uint64_t)parts.retry_ms);
    }
    /* The cause comes last; there are at most REMOTE_ERROR_DEPTH_MAX levels. */
    if (has_cause) {
        write_text(to, "cause");
        write_error(to, parts.cause, detail, depth + 1);
    }
}

int remote_error_write(Buffer *to, const ferry_error *error) {
    size_t start = to->len;

    for (Detail detail = DETAIL_ALL; detail <= DETAIL_SHORT_TEXTS; detail++) {
        to->len = start;
        write_error(to, error, detail, 0);
        if (to->failed)
            return -ENOMEM;
        if (to->len - start <= WIRE_ERROR_BYTES)
            break;
    }
    return 0;
}

/* ---- reading ---- */

/* One error of the chain, while it is being read. */
typedef struct Level {
    ErrorParts parts;
    const char *trace[REMOTE_ERROR_TRACE_MAX];
} Level;

typedef struct Chain {
    size_t n;
    char *texts; /* place for the next text */
    Level levels[REMOTE_ERROR_DEPTH_MAX];
    char store[]; /* a text with its NUL needs at most its bytes in the message */
} Chain;

static const char *read_text(Reader *reader, Chain *chain) {
    Span span = reader_str(reader);
    char *text = chain->texts;

    if (reader->problem)
        return NULL;
    if (memchr(span.data, 0, span.len) || !text_is_utf8(span.data, span.len)) {
        reader_fail(reader, "a text is not UTF-8");
        return NULL;
    }
    memcpy(text, span.data, span.len);
    text[span.len] = '\0';
    chain->texts += span.len + 1;
    return text;
}

static void read_trace(Reader *reader, Chain *chain, Level *level) {
    uint32_t n = reader_array(reader);

    for (uint32_t i = 0; i < n && !reader->problem; i++) {
        if (i < REMOTE_ERROR_TRACE_MAX)
            level->trace[level->parts.n_trace++] = read_text(reader, chain);
        else
            reader_value(reader);
    }
    level->parts.trace = level->trace;
}

enum { KEY_TYPE, KEY_MESSAGE, KEY_DATA, KEY_ORIGIN, KEY_TRACE, KEY_CAUSE, KEY_RETRY, N_KEYS };

static int key_of(Span key) {
    static const char *const keys[N_KEYS] = {"type",  "message", "data", "origin",
                                             "trace", "cause",   "retry"};

    for (int i = 0; i < N_KEYS; i++)
        if (span_is(key, keys[i]))
            return i;
    return N_KEYS;
}

static void read_value(Reader *reader, Chain *chain, Level *level, int key, Span *cause) {
    ErrorParts *parts = &level->parts;
    Span data;
    uint64_t retry;

    switch (key) {
    case KEY_TYPE:
        parts->type = read_text(reader, chain);
        if (parts->type && !*parts->type)
            reader_fail(reader, "the type is empty");
        break;
    case KEY_MESSAGE:
        parts->message = read_text(reader, chain);
        break;
    case KEY_DATA:
        data = reader_bin(reader);
        parts->data = ferry_bytes_of(data.data, data.len);
        break;
    case KEY_ORIGIN:
        parts->origin = read_text(reader, chain);
        break;
    case KEY_TRACE:
        read_trace(reader, chain, level);
        break;
    case KEY_CAUSE:
        *cause = reader_value(reader);
        break;
    case KEY_RETRY:
        retry = reader_uint(reader);
        parts->retry_ms = retry > INT64_MAX ? INT64_MAX : (int64_t)retry;
        break;
    default:
        reader_value(reader);
        break;
    }
}

/* Reads one error map. *cause receives the bytes of the cause's map. Returns the problem, or
 * NULL. */
static const char *read_level(Span bytes, Chain *chain, Span *cause) {
    Reader reader = reader_of(bytes.data, bytes.len);
    Level *level = &chain->levels[chain->n];
    uint32_t n = reader_map(&reader);
    unsigned seen = 0;

    level->parts = (ErrorParts){.retry_ms = -1};
    *cause = (Span){NULL, 0};
    while (n-- > 0 && !reader.problem) {
        int key = key_of(reader_str(&reader));

        if (key < N_KEYS && (seen & 1u << key))
            reader_fail(&reader, "a key occurs twice");
        seen |= 1u << key;
        if (!reader.problem)
            read_value(&reader, chain, level, key, cause);
    }
    if (!reader.problem && !level->parts.type)
        return "it has no type";
    if (!reader.problem && reader.at != reader.end)
        return "there are bytes after it";
    chain->n++;
    return reader.problem;
}

static const char *read_chain(Span bytes, Chain *chain) {
    const char *problem;

    do {
        Span cause;

        if (chain->n == REMOTE_ERROR_DEPTH_MAX)
            return "it has too many causes";
        problem = read_level(bytes, chain, &cause);
        bytes = cause;
    } while (!problem && bytes.data);
    return problem;
}

/* Builds the chain from the root cause outwards, because error_build() copies the cause. */
static int build(Chain *chain, ferry_error *reterr) {
    ferry_error error = FERRY_ERROR_INIT;
    int code = -EPROTO;

    for (size_t i = chain->n; i-- > 0;) {
        ferry_error outer = FERRY_ERROR_INIT;

        chain->levels[i].parts.cause = error.type ? &error : NULL;
        code = error_build(&outer, &chain->levels[i].parts);
        error_move(&error, &outer);
    }
    error_move(reterr, &error);
    return code;
}

int remote_error_read(Span bytes, ferry_error *reterr) {
    const char *problem;
    Chain *chain;
    int code;

    if (bytes.len > WIRE_ERROR_BYTES)
        return error_set(reterr, "ferry.Protocol", "the peer sent an error larger than %d bytes",
                         WIRE_ERROR_BYTES);
    chain = malloc(sizeof(*chain) + bytes.len + 1);
    if (!chain)
        return error_set(reterr, "ferry.OutOfMemory", "out of memory while reading an error");
    chain->n = 0;
    chain->texts = chain->store;
    problem = read_chain(bytes, chain);
    code = problem
               ? error_set(reterr, "ferry.Protocol", "the peer sent a malformed error: %s", problem)
               : build(chain, reterr);
    free(chain);
    return code;
}
