/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "examples/stage.h"
#include "framing/codec.h"
#include "support/random.h"

#include <sys/socket.h>

enum { MESSAGES_MAX = 6, MESSAGE_MAX = 40, STREAM_MAX = 1024 };

/* ---- the hazard ---- */

static void tcp_knows_no_messages(void) {
    char got[32];
    int fds[2];

    tcp_pair(fds);
    CU_ASSERT_EQUAL(send(fds[0], "hello", 5, 0), 5);
    CU_ASSERT_EQUAL(send(fds[0], "world", 5, 0), 5);
    usleep(50000);
    CU_ASSERT_EQUAL(recv(fds[1], got, 7, 0),
                    7); /* the first message and a part of the second one */
    CU_ASSERT_EQUAL(memcmp(got, "hellowo", 7), 0);
    close(fds[0]);
    CU_ASSERT_EQUAL(recv(fds[1], got, sizeof(got), 0), 3);
    CU_ASSERT_EQUAL(recv(fds[1], got, sizeof(got), 0),
                    0); /* the receiver cannot tell the end from a lost connection */
    close(fds[1]);
}

/* ---- random streams ---- */

typedef struct Stream {
    framing_pattern pattern;
    framing_settings settings;
    size_t n, lens[MESSAGES_MAX];
    unsigned char messages[MESSAGES_MAX][MESSAGE_MAX];
    Bytes bytes;
    size_t seen; /* messages that came out */
    bool wrong;
} Stream;

static bool is_whole(const Stream *s) {
    return s->pattern == FRAMING_PATTERN_CLOSE || s->pattern == FRAMING_PATTERN_HALF_CLOSE;
}

static void fill(Stream *s, Dice *dice) {
    s->settings.length = (int32_t)dice_below(dice, 20) + 1;
    s->settings.delimiter = (int32_t)dice_below(dice, 256);
    s->n = is_whole(s) ? 1 : dice_below(dice, MESSAGES_MAX + 1);
    s->bytes.len = 0;
    s->seen = 0;
    for (size_t i = 0; i < s->n; i++) {
        int r;

        s->lens[i] = s->pattern == FRAMING_PATTERN_FIXED ? (size_t)s->settings.length
                                                         : dice_below(dice, MESSAGE_MAX);
        for (size_t k = 0; k < s->lens[i]; k++) {
            s->messages[i][k] = (unsigned char)dice_u64(dice);
            if (s->pattern == FRAMING_PATTERN_DELIMITED &&
                s->messages[i][k] == s->settings.delimiter)
                s->messages[i][k] ^= 1;
        }
        s->wrong |= encode_message(&s->bytes, s->pattern, &s->settings, i,
                                   ferry_bytes_of(s->messages[i], s->lens[i]), &r) != NULL;
    }
}

static int on_message(const void *data, size_t len, void *ctx) {
    Stream *s = ctx;

    if (s->seen >= s->n || s->lens[s->seen] != len ||
        (len > 0 && memcmp(data, s->messages[s->seen], len) != 0))
        s->wrong = true;
    s->seen++;
    return 0;
}

/* Feeds the first `len` bytes in random pieces. */
static int decode(Stream *s, Decoder *decoder, size_t len, Dice *dice) {
    int r = 0;

    for (size_t at = 0, n; r == 0 && at < len; at += n) {
        n = dice_below(dice, 24);
        n = n < len - at ? n : len - at;
        r = decoder_feed(decoder, s->bytes.data + at, n, on_message, s);
    }
    return r == 0 ? decoder_finish(decoder, on_message, s) : r;
}

/* Cuts the stream at a random place. Between two messages the decoder sees no error; elsewhere it
 * reports a truncation with the right counts. */
static bool cut_is_noticed(Stream *s, Dice *dice) {
    size_t len = s->bytes.len > 0 ? dice_below(dice, s->bytes.len) : 0;
    int64_t announced = (int64_t)s->bytes.len, expected, received;
    Decoder decoder;
    bool knows;
    int r;

    s->seen = 0;
    s->settings.announced = is_whole(s) ? &announced : NULL;
    decoder_init(&decoder, s->pattern, &s->settings);
    r = decode(s, &decoder, len, dice);
    knows = decoder_missing(&decoder, &expected, &received);
    if (r == 0) /* the cut is between two messages: without an announced length no pattern can
                   notice it */
        s->wrong |= decoder.at != len || decoder.offset != len || s->seen != decoder.messages;
    else
        s->wrong |= r != FRAMING_TRUNCATED || s->seen != decoder.messages || s->seen >= s->n ||
                    (knows && received >= expected) || decoder.at != len;
    decoder_deinit(&decoder);
    s->settings.announced = NULL;
    return !s->wrong;
}

static void streams_survive_any_cut(framing_pattern pattern) {
    const char *said = getenv("FRAMING_STREAMS");
    long n = said ? atol(said) : 100000;
    Dice dice = dice_new(4 + (uint64_t)pattern);
    Stream s = {.pattern = pattern, .settings = FRAMING_SETTINGS_INIT};

    for (long i = 0; i < n && !s.wrong; i++) {
        Decoder decoder;

        fill(&s, &dice);
        decoder_init(&decoder, pattern, &s.settings);
        s.wrong |= decode(&s, &decoder, s.bytes.len, &dice) != 0 || s.seen != s.n;
        decoder_deinit(&decoder);
        CU_ASSERT_FALSE_FATAL(s.wrong);
        CU_ASSERT_TRUE_FATAL(cut_is_noticed(&s, &dice));
    }
    free(s.bytes.data);
}

static void close_survives_any_cut(void) {
    streams_survive_any_cut(FRAMING_PATTERN_CLOSE);
}

static void half_close_survives_any_cut(void) {
    streams_survive_any_cut(FRAMING_PATTERN_HALF_CLOSE);
}

static void fixed_length_survives_any_cut(void) {
    streams_survive_any_cut(FRAMING_PATTERN_FIXED);
}

static void delimiters_survive_any_cut(void) {
    streams_survive_any_cut(FRAMING_PATTERN_DELIMITED);
}

static void length_prefixes_survive_any_cut(void) {
    streams_survive_any_cut(FRAMING_PATTERN_LENGTH_PREFIXED);
}

static void blocks_survive_any_cut(void) {
    streams_survive_any_cut(FRAMING_PATTERN_BLOCKS);
}

/* ---- through the service ---- */

static int decode_remotely(Stage *stage, framing_pattern pattern, const framing_settings *settings,
                           const void *data, size_t len, unsigned *n) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    ferry_bytes *message;
    int r = framing_decode(stage->client, pattern, settings, &stream, &stage->error);

    *n = 0;
    if (r == 0)
        r = framing_decode_send(stream, ferry_bytes_of(data, len), &stage->error);
    if (r == 0)
        r = framing_decode_end(stream, &stage->error);
    while (r >= 0 && (r = framing_decode_next(stream, &message, &stage->error)) > 0) {
        ++*n;
        ferry_free(message);
    }
    return r;
}

static void truncations_carry_their_counts(void) {
    const framing_truncated *e;
    Stage stage;
    unsigned n;

    stage_open(&stage, framing_start);
    CU_ASSERT_EQUAL(decode_remotely(&stage, FRAMING_PATTERN_LENGTH_PREFIXED, NULL,
                                    "\0\0\0\1x\0\0\0\7abc", 12, &n),
                    -EREMOTEIO);
    CU_ASSERT_EQUAL(n, 1);
    e = framing_truncated_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT(e->messages == 1 && e->offset == 5 && e->received == 3);
    CU_ASSERT(e->expected && *e->expected == 7);

    CU_ASSERT_EQUAL(decode_remotely(&stage, FRAMING_PATTERN_BLOCKS, NULL, "\0\0", 2, &n),
                    -EREMOTEIO);
    e = framing_truncated_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT(e->messages == 0 && e->received == 2 && e->expected && *e->expected == 4);

    CU_ASSERT_EQUAL(decode_remotely(&stage, FRAMING_PATTERN_DELIMITED, NULL, "a\nbc", 4, &n),
                    -EREMOTEIO);
    e = framing_truncated_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT(e->messages == 1 && e->offset == 2 && e->received == 2 && !e->expected);
    stage_close(&stage);
}

static void oversize_is_refused_before_it_comes(void) {
    const framing_too_long *e;
    Stage stage;
    unsigned n;

    stage_open(&stage, framing_start);
    CU_ASSERT_EQUAL(
        decode_remotely(&stage, FRAMING_PATTERN_LENGTH_PREFIXED, NULL, "\xff\xff\xff\xff", 4, &n),
        -EREMOTEIO);
    e = framing_too_long_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT(e->size == UINT32_MAX && e->limit == 1048576 && e->offset == 0);
    stage_close(&stage);
}

static void messages_that_a_pattern_cannot_carry_are_refused(void) {
    const ferry_bytes v[] = {ferry_str("one"), ferry_str("two\n")};
    const framing_not_encodable *e;
    framing_settings settings = FRAMING_SETTINGS_INIT;
    ferry_bytes *bytes;
    Stage stage;

    stage_open(&stage, framing_start);
    CU_ASSERT_EQUAL(framing_encode(stage.client, FRAMING_PATTERN_DELIMITED,
                                   &(ferry_list_binary){2, v}, NULL, &bytes, &stage.error),
                    -EREMOTEIO);
    e = framing_not_encodable_in(&stage.error);
    CU_ASSERT(e && e->index == 1);
    CU_ASSERT_EQUAL(framing_encode(stage.client, FRAMING_PATTERN_CLOSE, &(ferry_list_binary){2, v},
                                   NULL, &bytes, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(framing_not_encodable_in(&stage.error));
    settings.limit = 2;
    CU_ASSERT_EQUAL(framing_encode(stage.client, FRAMING_PATTERN_CLOSE, &(ferry_list_binary){1, v},
                                   &settings, &bytes, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(framing_too_long_in(&stage.error));
    settings.limit = -1;
    CU_ASSERT_EQUAL(framing_encode(stage.client, FRAMING_PATTERN_CLOSE, &(ferry_list_binary){1, v},
                                   &settings, &bytes, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT(framing_bad_settings_in(&stage.error) &&
              framing_bad_settings_in(&stage.error)->value == -1);
    stage_close(&stage);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(tcp_knows_no_messages),
        TEST(close_survives_any_cut),
        TEST(half_close_survives_any_cut),
        TEST(fixed_length_survives_any_cut),
        TEST(delimiters_survive_any_cut),
        TEST(length_prefixes_survive_any_cut),
        TEST(blocks_survive_any_cut),
        TEST(truncations_carry_their_counts),
        TEST(oversize_is_refused_before_it_comes),
        TEST(messages_that_a_pattern_cannot_carry_are_refused),
        TESTS_END,
    };

    return run_suite("example framing", tests);
}
