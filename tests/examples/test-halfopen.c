/* SPDX-License-Identifier: Apache-2.0 */
/* The example halfopen: the effect of closing each half on the peer, and the same with streams. */

#include <openssl/evp.h>
#include <poll.h>
#include <sys/socket.h>

#include "examples/stage.h"
#include "halfopen.h"

enum { PIECE = 64 * 1024 };

static Stage stage;
static char text[PIECE];

/* ---- the hazard ---- */

static void a_reader_that_shuts_down_tells_its_peer_nothing(void) {
    char got[8];
    int fds[2];

    tcp_pair(fds);
    CU_ASSERT_EQUAL(shutdown(fds[0], SHUT_RD), 0);
    CU_ASSERT_EQUAL(recv(fds[0], got, sizeof(got), 0), 0);
    CU_ASSERT_EQUAL(send(fds[1], "hello", 5, MSG_NOSIGNAL), 5); /* into the void */
    CU_ASSERT_EQUAL(send(fds[1], "again", 5, MSG_NOSIGNAL), 5);
    close(fds[0]);
    close(fds[1]);
}

static void a_program_that_closes_cannot_hear_the_answer(void) {
    char got[8];
    int fds[2];

    tcp_pair(fds);
    CU_ASSERT_EQUAL(send(fds[0], "data", 4, 0), 4);
    close(fds[0]); /* a closed connection and a closed direction look the same */
    CU_ASSERT_EQUAL(recv(fds[1], got, sizeof(got), MSG_WAITALL), 4);
    CU_ASSERT_EQUAL(send(fds[1], "answer", 6, MSG_NOSIGNAL), 6);        /* this one is lost */
    CU_ASSERT_EQUAL(poll(&(struct pollfd){.fd = fds[1]}, 1, 10000), 1); /* the reset is here */
    CU_ASSERT_EQUAL(send(fds[1], "answer", 6, MSG_NOSIGNAL), -1);
    close(fds[1]);
}

/* ---- shutdown(2) as a service ---- */

static void each_half_is_seen_as_it_is(void) {
    halfopen_halves *h = NULL;

    CU_ASSERT_EQUAL(halfopen_shutdown(stage.client, HALFOPEN_HOW_WRITE, &h, &stage.error), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(h);
    CU_ASSERT_EQUAL(h->own_send.error_number, EPIPE);
    CU_ASSERT_STRING_EQUAL(h->peer_recv.what, "end of file");
    CU_ASSERT_STRING_EQUAL(h->peer_send.what, "5 bytes");
    CU_ASSERT_STRING_EQUAL(h->own_recv_later.what, "5 bytes"); /* the other half is open */
    ferry_free(h);
    CU_ASSERT_EQUAL(halfopen_shutdown(stage.client, HALFOPEN_HOW_READ, &h, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(h->own_recv.what, "end of file");
    CU_ASSERT_EQUAL(h->peer_recv.error_number, EAGAIN); /* the peer sees nothing of it */
    CU_ASSERT_STRING_EQUAL(h->peer_send.what, "5 bytes");
    CU_ASSERT_STRING_EQUAL(h->own_send.what, "5 bytes");
    ferry_free(h);
    CU_ASSERT_EQUAL(halfopen_shutdown(stage.client, HALFOPEN_HOW_BOTH, &h, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(h->own_recv.what, "end of file");
    CU_ASSERT_EQUAL(h->own_send.error_number, EPIPE);
    CU_ASSERT_STRING_EQUAL(h->peer_recv.what, "end of file");
    ferry_free(h);
    CU_ASSERT_EQUAL(halfopen_shutdown(stage.client, 4, &h, &stage.error), -EREMOTEIO);
    CU_ASSERT(halfopen_bad_half_in(&stage.error) && halfopen_bad_half_in(&stage.error)->how == 4);
}

/* ---- streams ---- */

static void a_hundred_megabytes_are_digested_before_the_answer(void) {
    const int64_t total = 100 * 1000 * 1000;
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    unsigned char octets[EVP_MAX_MD_SIZE];
    halfopen_received *received = NULL;
    ferry_stream *stream = NULL;
    char hex[65];

    EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
    CU_ASSERT_EQUAL(halfopen_digest(stage.client, &stream, &stage.error), 0);
    for (int64_t sent = 0; sent < total; sent += PIECE) {
        size_t n = total - sent < PIECE ? (size_t)(total - sent) : PIECE;

        memset(text, (int)(sent / PIECE % 251), n);
        EVP_DigestUpdate(sha, text, n);
        CU_ASSERT_EQUAL_FATAL(halfopen_digest_send(stream, ferry_bytes_of(text, n), &stage.error),
                              0);
    }
    CU_ASSERT_EQUAL(halfopen_digest_end(stream, &received, &stage.error), 0);
    EVP_DigestFinal_ex(sha, octets, NULL);
    EVP_MD_CTX_free(sha);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", octets[i]);
    CU_ASSERT(received && received->bytes == total &&
              received->pieces == (total + PIECE - 1) / PIECE);
    CU_ASSERT_STRING_EQUAL(received->sha256, hex);
    ferry_free(received);
    ferry_stream_close(stream);
}

static void after_its_end_a_caller_hears_the_whole_answer(void) {
    ferry_stream *stream = NULL;
    char *line = NULL;

    CU_ASSERT_EQUAL(halfopen_report(stage.client, &stream, &stage.error), 0);
    CU_ASSERT_EQUAL(halfopen_report_send(stream, ferry_str("abc"), &stage.error), 0);
    CU_ASSERT_EQUAL(halfopen_report_end(stream, &stage.error), 0);
    CU_ASSERT_EQUAL(halfopen_report_send(stream, ferry_str("d"), &stage.error), -EINVAL);
    CU_ASSERT_EQUAL(halfopen_report_next(stream, &line, &stage.error), 1);
    CU_ASSERT_STRING_EQUAL(line, "3 bytes in 1 pieces");
    ferry_free(line);
    CU_ASSERT_EQUAL(halfopen_report_next(stream, &line, &stage.error), 1);
    CU_ASSERT_STRING_EQUAL(
        line, "SHA-256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ferry_free(line);
    CU_ASSERT_EQUAL(halfopen_report_next(stream, &line, &stage.error), 0);
    ferry_stream_close(stream);
}

static void a_server_can_end_the_stream_early(void) {
    halfopen_received *received = NULL;
    ferry_stream *stream = NULL;
    int64_t sent = 0;
    int r = 0;

    CU_ASSERT_EQUAL(halfopen_first(stage.client, 3, &stream, &stage.error), 0);
    for (; r == 0 && sent < (int64_t)1 << 30; sent += PIECE)
        r = halfopen_first_send(stream, ferry_bytes_of("abcdefgh", 8), &stage.error);
    CU_ASSERT_EQUAL(r, -ECANCELED);
    CU_ASSERT_STRING_EQUAL(stage.error.type, "ferry.Cancelled");
    CU_ASSERT_EQUAL(halfopen_first_end(stream, &received, &stage.error), 0);
    CU_ASSERT(received && received->bytes == 3 && strncmp(received->sha256, "ba7816bf", 8) == 0);
    ferry_free(received);
    ferry_stream_close(stream);
    CU_ASSERT_EQUAL(halfopen_first(stage.client, -1, &stream, &stage.error), 0);
    CU_ASSERT_EQUAL(halfopen_first_end(stream, &received, &stage.error), -EREMOTEIO);
    CU_ASSERT(halfopen_bad_limit_in(&stage.error) &&
              halfopen_bad_limit_in(&stage.error)->limit == -1);
    ferry_stream_close(stream);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_reader_that_shuts_down_tells_its_peer_nothing),
        TEST(a_program_that_closes_cannot_hear_the_answer),
        TEST(each_half_is_seen_as_it_is),
        TEST(a_hundred_megabytes_are_digested_before_the_answer),
        TEST(after_its_end_a_caller_hears_the_whole_answer),
        TEST(a_server_can_end_the_stream_early),
        TESTS_END,
    };
    int status;

    stage_open(&stage, halfopen_start);
    status = run_suite("example halfopen", tests);
    stage_close(&stage);
    return status;
}
