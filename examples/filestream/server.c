/* SPDX-License-Identifier: Apache-2.0 */
/* A method that sends a text, and two methods that receive one. */

#include <ctype.h>
#include <stdlib.h>

#include "filestream.h"
#include "server.h"

enum { LINE = 64, PIECE = 32 * 1024, LINE_MAX_BYTES = 64 * 1024 };

static const int64_t terabyte = INT64_C(1) << 40;

/* ---- text ---- */

/* Fills a piece with lines from this one on: "line 000…0001\n", 64 bytes each. */
static void fill(char *piece, int64_t line) {
    for (size_t at = 0; at < PIECE; at += LINE, line++) {
        memcpy(piece + at, "line ", 5);
        memset(piece + at + 5, '0', LINE - 6);
        piece[at + LINE - 1] = '\n';
        for (int64_t n = line, k = LINE - 2; n > 0; n /= 10, k--)
            piece[at + (size_t)k] = (char)('0' + n % 10);
    }
}

static int text(ferry_request *request, int64_t bytes, void *ctx) {
    int r = 0;

    (void)ctx;
    if (bytes < 0 || bytes > terabyte)
        return filestream_throw_bad_size(
            request, &(filestream_bad_size){bytes, "the size is 0 to a terabyte"});
    for (int64_t at = 0; r == 0 && at < bytes; at += PIECE) {
        FERRY_AUTO(ferry_free) char *piece = ferry_alloc(PIECE);

        if (!piece)
            return -ENOMEM;
        fill(piece, at / LINE + 1);
        r = filestream_text_yield(
            request, ferry_shared(piece, bytes - at < PIECE ? (size_t)(bytes - at) : PIECE));
    }
    return r < 0 ? ferry_request_fail(request, r, NULL) : filestream_text_return(request);
}

/* ---- count ---- */

static int count(ferry_request *request, void *ctx) {
    filestream_counts counts = {0, 0, 0};
    bool in_word = false;
    ferry_bytes *piece;
    int r;

    (void)ctx;
    while ((r = filestream_count_receive(request, &piece)) > 0) {
        const unsigned char *data = piece->data;

        for (size_t i = 0; i < piece->len; i++) {
            bool space = isspace(data[i]) != 0;

            counts.lines += data[i] == '\n';
            counts.words += !space && !in_word;
            in_word = !space;
        }
        counts.bytes += (int64_t)piece->len;
        ferry_free(piece);
    }
    return r < 0 ? ferry_request_fail(request, r, NULL) : filestream_count_return(request, &counts);
}

/* ---- number ---- */

typedef struct Line {
    char text[LINE_MAX_BYTES + 24]; /* with its number in front */
    size_t len, n_digits;
    int64_t number;
} Line;

static void begin_line(Line *line) {
    line->number++;
    line->n_digits =
        (size_t)snprintf(line->text, sizeof(line->text), "%6lld  ", (long long)line->number);
    line->len = line->n_digits;
}

/* Takes one piece. 1: a line is too long, and the request was answered with an error. */
static int number_piece(ferry_request *request, Line *line, const ferry_bytes *piece) {
    const char *data = piece->data;
    int r = 0;

    for (size_t i = 0; r == 0 && i < piece->len; i++) {
        if (line->len == line->n_digits + LINE_MAX_BYTES) {
            filestream_throw_long_line(request,
                                       &(filestream_long_line){line->number, LINE_MAX_BYTES,
                                                               "a line is longer than 64 KiB"});
            return 1;
        }
        line->text[line->len++] = data[i];
        if (data[i] == '\n') {
            r = filestream_number_yield(request, ferry_bytes_of(line->text, line->len));
            begin_line(line);
        }
    }
    return r;
}

static int number(ferry_request *request, void *ctx) {
    Line *line = calloc(1, sizeof(*line));
    ferry_bytes *piece;
    int r = line ? 0 : -ENOMEM;

    (void)ctx;
    if (line)
        begin_line(line);
    while (r == 0 && (r = filestream_number_receive(request, &piece)) > 0) {
        r = number_piece(request, line, piece);
        ferry_free(piece);
        if (r > 0) {
            free(line);
            return 0;
        }
    }
    if (r == 0 && line->len > line->n_digits) /* the last one has no newline */
        r = filestream_number_yield(request, ferry_bytes_of(line->text, line->len));
    free(line);
    return r < 0 ? ferry_request_fail(request, r, NULL) : filestream_number_return(request);
}

int filestream_start(ferry_client *client, ferry_error *reterr) {
    static const filestream_handlers handlers = {.text = text, .count = count, .number = number};

    return filestream_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
