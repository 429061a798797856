/* SPDX-License-Identifier: Apache-2.0 */
/* The example zlib: cut, broken and hostile input, in one call and packet by packet. */

#include <zlib.h>

#include "examples/stage.h"
#include "support/random.h"
#include "zlib-api.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz";

/* ---- the hazard ---- */

static void a_cut_stream_looks_like_a_good_one_to_plain_zlib(void) {
    unsigned char small[64], out[64];
    uLongf len = sizeof(small);
    z_stream z = {0};

    CU_ASSERT_EQUAL(compress(small, &len, (const Bytef *)alphabet, 26), Z_OK);
    CU_ASSERT_EQUAL(inflateInit(&z), Z_OK);
    z.next_in = small;
    z.avail_in = (uInt)len / 2;
    z.next_out = out;
    z.avail_out = sizeof(out);
    CU_ASSERT_EQUAL(inflate(&z, Z_NO_FLUSH), Z_OK); /* as if nothing were missing */
    CU_ASSERT(z.total_out > 0 && z.total_out < 26);
    inflateEnd(&z);
}

static void a_kilobyte_becomes_a_megabyte_in_plain_zlib(void) {
    static unsigned char zeros[1 << 20], small[2048];
    uLongf len = sizeof(small), extracted = sizeof(zeros);

    CU_ASSERT_EQUAL(compress2(small, &len, zeros, sizeof(zeros), 9), Z_OK);
    CU_ASSERT(len < 1100);
    CU_ASSERT_EQUAL(uncompress(zeros, &extracted, small, len), Z_OK);
    CU_ASSERT_EQUAL(extracted, 1 << 20);
}

/* ---- in one call ---- */

static Stage stage;

static ferry_bytes *compressed(ferry_bytes data) {
    ferry_bytes *small = NULL;

    CU_ASSERT_EQUAL(zlib_compress(stage.client, data, -1, &small, &stage.error), 0);
    return small;
}

static int extract(const void *data, size_t len, int64_t limit) {
    zlib_extracted *back = NULL;
    int r = zlib_decompress(stage.client, ferry_bytes_of(data, len), limit, &back, &stage.error);

    ferry_free(back);
    return r;
}

static void the_notes_numbers_and_bytes_come_out(void) {
    static const char hello[] = "x\x9c\xf3H\xcd\xc9\xc9W\x08\xcf/\xcaI\x01\x00\x18\x0b\x04\x1d";
    char text[481] = "";
    zlib_extracted *back = NULL;
    ferry_bytes *small;

    for (int i = 0; i < 10; i++)
        strcat(text, "This is an important sentence to be comporessed!");
    small = compressed(ferry_str(text));
    CU_ASSERT(strlen(text) == 480 && small && small->len == 58);
    CU_ASSERT_EQUAL(zlib_decompress(stage.client, *small, 480, &back, &stage.error), 0);
    CU_ASSERT(back && back->data.len == 480 && memcmp(back->data.data, text, 480) == 0);
    ferry_free(back);
    ferry_free(small);
    small = compressed(ferry_str("Hello World"));
    CU_ASSERT(small && small->len == 19 && memcmp(small->data, hello, 19) == 0);
    ferry_free(small);
}

static void bytes_behind_the_end_are_given_back(void) {
    ferry_bytes *small = compressed(ferry_str("Hello World"));
    zlib_extracted *back = NULL;
    char more[64];

    memcpy(more, small->data, small->len);
    memcpy(more + small->len, "GET /", 5);
    CU_ASSERT_EQUAL(zlib_decompress(stage.client, ferry_bytes_of(more, small->len + 5), ZLIB_LIMIT,
                                    &back, &stage.error),
                    0);
    CU_ASSERT(back && back->data.len == 11 && back->unused_data.len == 5 &&
              memcmp(back->unused_data.data, "GET /", 5) == 0);
    ferry_free(back);
    ferry_free(small);
}

static void wrong_bytes_are_typed_with_their_place(void) {
    ferry_bytes *small = compressed(ferry_str("Hello World"));
    const zlib_truncated *cut;
    const zlib_corrupt *e;
    char broken[64];

    memcpy(broken, small->data, small->len);
    broken[small->len - 1] ^= 1;
    CU_ASSERT_EQUAL(extract(broken, small->len, ZLIB_LIMIT), -EREMOTEIO);
    e = zlib_corrupt_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT_EQUAL(e->offset, 19);
    CU_ASSERT_STRING_EQUAL(e->reason, "incorrect data check");

    CU_ASSERT_EQUAL(extract("GET / HTTP/1.1", 14, ZLIB_LIMIT), -EREMOTEIO);
    e = zlib_corrupt_in(&stage.error);
    CU_ASSERT(e && e->offset == 2 && e->extracted == 0 &&
              strcmp(e->reason, "incorrect header check") == 0);

    for (size_t len = 0; len < small->len; len++) {
        CU_ASSERT_EQUAL(extract(small->data, len, ZLIB_LIMIT), -EREMOTEIO);
        cut = zlib_truncated_in(&stage.error);
        CU_ASSERT(cut && cut->offset == (int64_t)len && cut->extracted <= 11);
    }
    ferry_free(small);
}

static void a_bomb_is_refused_after_its_first_bytes(void) {
    static const char zeros[8 << 20];
    ferry_bytes *bomb = compressed(ferry_bytes_of(zeros, sizeof(zeros)));
    const zlib_too_large *e;

    CU_ASSERT(bomb && bomb->len < 10000);
    CU_ASSERT_EQUAL(extract(bomb->data, bomb->len, 100000), -EREMOTEIO);
    e = zlib_too_large_in(&stage.error);
    CU_ASSERT(e && e->limit == 100000 && e->offset < 300);
    CU_ASSERT_EQUAL(extract(bomb->data, bomb->len, sizeof(zeros)), 0);
    CU_ASSERT_EQUAL(extract(bomb->data, bomb->len, -1), -EREMOTEIO);
    CU_ASSERT(zlib_bad_argument_in(&stage.error) &&
              strcmp(zlib_bad_argument_in(&stage.error)->name, "limit") == 0);
    ferry_free(bomb);
}

/* ---- as streams ---- */

static void packets_of_eight_bytes_give_what_the_notes_print(void) {
    static const char *const lines[] = {"abcde", "abcdefghijklm", "abcdefghijklmnopqrstu",
                                        "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz"};
    ferry_bytes *small = compressed(ferry_str(alphabet));
    const char *bytes = small->data;
    ferry_stream *stream = NULL;
    char so_far[64] = "";
    zlib_piece *piece = NULL;

    CU_ASSERT_EQUAL(small->len, 34);
    CU_ASSERT_EQUAL(zlib_decompressobj(stage.client, 100, &stream, &stage.error), 0);
    for (size_t at = 0; at < 34; at += 8) {
        size_t n = 34 - at < 8 ? 34 - at : 8;

        CU_ASSERT_EQUAL(
            zlib_decompressobj_send(stream, ferry_bytes_of(bytes + at, n), &stage.error), 0);
        CU_ASSERT_EQUAL(zlib_decompressobj_next(stream, &piece, &stage.error), 1);
        strncat(so_far, piece->data.data, piece->data.len);
        CU_ASSERT_STRING_EQUAL(so_far, lines[at / 8]);
        CU_ASSERT_EQUAL(piece->unused_data.len, 0);
        CU_ASSERT_EQUAL(piece->finished, at == 32);
        ferry_free(piece);
    }
    /* A packet after the end does not belong to the compressed data. */
    CU_ASSERT_EQUAL(zlib_decompressobj_send(stream, ferry_str("next"), &stage.error), 0);
    CU_ASSERT_EQUAL(zlib_decompressobj_next(stream, &piece, &stage.error), 1);
    CU_ASSERT(piece->data.len == 0 && piece->unused_data.len == 4 && piece->finished);
    ferry_free(piece);
    CU_ASSERT_EQUAL(zlib_decompressobj_end(stream, &stage.error), 0);
    CU_ASSERT_EQUAL(zlib_decompressobj_next(stream, &piece, &stage.error), 0);
    ferry_stream_close(stream);
    ferry_free(small);
}

static void a_stream_that_ends_too_early_is_typed(void) {
    ferry_bytes *small = compressed(ferry_str(alphabet));
    const zlib_truncated *e;
    ferry_stream *stream = NULL;
    zlib_piece *piece;
    int r;

    CU_ASSERT_EQUAL(zlib_decompressobj(stage.client, 100, &stream, &stage.error), 0);
    CU_ASSERT_EQUAL(zlib_decompressobj_send(stream, ferry_bytes_of(small->data, 20), &stage.error),
                    0);
    CU_ASSERT_EQUAL(zlib_decompressobj_end(stream, &stage.error), 0);
    while ((r = zlib_decompressobj_next(stream, &piece, &stage.error)) > 0)
        ferry_free(piece);
    CU_ASSERT_EQUAL(r, -EREMOTEIO);
    e = zlib_truncated_in(&stage.error);
    CU_ASSERT(e && e->offset == 20 && e->extracted > 0 && e->extracted < 26);
    ferry_stream_close(stream);
    ferry_free(small);
}

/* Random data, cut at random places, through both streams. */
static void streams_of_any_cut_come_back(void) {
    Dice dice = dice_new(12);
    static unsigned char data[20000], back[20000];
    unsigned char small[24000];

    for (int round = 0; round < 50; round++) {
        size_t len = dice_below(&dice, sizeof(data)), n_small = 0, n_back = 0;
        ferry_stream *stream = NULL;
        ferry_bytes *bytes;
        zlib_piece *piece;

        for (size_t i = 0; i < len; i++)
            data[i] = (unsigned char)dice_below(&dice, round % 2 ? 256 : 3);
        CU_ASSERT_EQUAL(zlib_compressobj(stage.client, round % 11 - 1, &stream, &stage.error), 0);
        for (size_t at = 0, n; at < len; at += n) {
            n = dice_below(&dice, 5000) + 1;
            n = n < len - at ? n : len - at;
            CU_ASSERT_EQUAL(
                zlib_compressobj_send(stream, ferry_bytes_of(data + at, n), &stage.error), 0);
        }
        CU_ASSERT_EQUAL(zlib_compressobj_end(stream, &stage.error), 0);
        while (zlib_compressobj_next(stream, &bytes, &stage.error) > 0) {
            memcpy(small + n_small, bytes->data, bytes->len);
            n_small += bytes->len;
            ferry_free(bytes);
        }
        stream = ferry_stream_close(stream);
        CU_ASSERT_EQUAL(zlib_decompressobj(stage.client, ZLIB_LIMIT, &stream, &stage.error), 0);
        for (size_t at = 0, n; at < n_small; at += n) {
            n = dice_below(&dice, 3000) + 1;
            n = n < n_small - at ? n : n_small - at;
            CU_ASSERT_EQUAL(
                zlib_decompressobj_send(stream, ferry_bytes_of(small + at, n), &stage.error), 0);
        }
        CU_ASSERT_EQUAL(zlib_decompressobj_end(stream, &stage.error), 0);
        while (zlib_decompressobj_next(stream, &piece, &stage.error) > 0) {
            memcpy(back + n_back, piece->data.data, piece->data.len);
            n_back += piece->data.len;
            ferry_free(piece);
        }
        ferry_stream_close(stream);
        CU_ASSERT(n_back == len && memcmp(data, back, len) == 0);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_cut_stream_looks_like_a_good_one_to_plain_zlib),
        TEST(a_kilobyte_becomes_a_megabyte_in_plain_zlib),
        TEST(the_notes_numbers_and_bytes_come_out),
        TEST(bytes_behind_the_end_are_given_back),
        TEST(wrong_bytes_are_typed_with_their_place),
        TEST(a_bomb_is_refused_after_its_first_bytes),
        TEST(packets_of_eight_bytes_give_what_the_notes_print),
        TEST(a_stream_that_ends_too_early_is_typed),
        TEST(streams_of_any_cut_come_back),
        TESTS_END,
    };
    int status;

    stage_open(&stage, zlib_start);
    status = run_suite("example zlib", tests);
    stage_close(&stage);
    return status;
}
