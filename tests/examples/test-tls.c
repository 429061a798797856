/* SPDX-License-Identifier: Apache-2.0 */
/* The example tls: every line of the report for TLS 1.2 and 1.3, and every error. */

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "dial.h"
#include "examples/stage.h"
#include "examples/world.h"
#include "tls.h"

static Stage stage;
static char *authority; /* PEM */

/* How the endpoint treats a client certificate. */
typedef enum Wish { NOTHING, ASKS, INSISTS } Wish;

static pid_t endpoint(uint16_t *ret_port, const char *certificate, const char *protocol,
                      Wish wish) {
    char file[96], ca[96];

    snprintf(file, sizeof(file), "%s/%s.pem", world_folder(), certificate);
    snprintf(ca, sizeof(ca), "%s/ca.pem", world_folder());
    return spawn_on_port(ret_port, getenv("TLS_ENDPOINT"), file, "-p", protocol ? protocol : "TLS",
                         wish == NOTHING ? NULL : "-a", ca, wish == INSISTS ? "-r" : NULL, NULL);
}

/* Starts an endpoint, describes it, and stops it. */
static int describe(const char *certificate, const char *protocol, Wish wish,
                    const tls_settings *settings, tls_report **ret) {
    uint16_t port;
    pid_t pid = endpoint(&port, certificate, protocol, wish);
    int r = tls_describe(stage.client, "localhost", port, settings, ret, &stage.error);

    reap(pid);
    return r;
}

static tls_settings trusting(void) {
    tls_settings settings = TLS_SETTINGS_INIT;

    settings.authority = authority;
    return settings;
}

/* A known hazard: with check_hostname = False a certificate for another host is accepted. */
static void a_certificate_for_another_name_is_good_to_a_client_that_does_not_check(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    tls_settings settings = trusting();
    const tls_wrong_name *e;
    tls_report *report = NULL;
    char ca[96], text[8];
    uint16_t port;
    pid_t pid = endpoint(&port, "wrong", NULL, NOTHING);
    Dial dial;
    SSL *ssl;

    snprintf(ca, sizeof(ca), "%s/ca.pem", world_folder());
    snprintf(text, sizeof(text), "%u", port);
    CU_ASSERT_EQUAL(SSL_CTX_load_verify_locations(context, ca, NULL), 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    CU_ASSERT_TRUE(dial_host(&dial, AF_INET, "localhost", text, 5000));
    ssl = SSL_new(context);
    SSL_set_fd(ssl, dial.fd);
    CU_ASSERT_EQUAL(SSL_connect(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(dial.fd);

    CU_ASSERT_EQUAL(tls_describe(stage.client, "localhost", port, &settings, &report, &stage.error),
                    -EREMOTEIO);
    e = tls_wrong_name_in(&stage.error);
    CU_ASSERT(e && strcmp(e->host, "localhost") == 0 && e->names.n == 1 &&
              strcmp(e->names.v[0], "other.test") == 0);
    settings.check_name = false;
    CU_ASSERT_EQUAL(tls_describe(stage.client, "localhost", port, &settings, &report, &stage.error),
                    0);
    CU_ASSERT(report &&
              strcmp(report->match, "hostname 'localhost' doesn't match 'other.test'") == 0);
    ferry_free(report);
    reap(pid);
}

static void everything_is_reported_for_both_protocols(void) {
    static const char *const protocols[] = {"TLSv1.2", "TLSv1.3"};
    tls_settings settings = trusting();

    for (size_t i = 0; i < 2; i++) {
        tls_report *report = NULL;

        settings.protocol = protocols[i];
        CU_ASSERT_EQUAL(describe("good", NULL, NOTHING, &settings, &report), 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(report);
        CU_ASSERT(report->names.n == 2 && strcmp(report->names.v[0], "localhost") == 0 &&
                  strcmp(report->names.v[1], "web.test") == 0);
        CU_ASSERT_STRING_EQUAL(report->match, "Yes");
        CU_ASSERT(report->loaded.crl == 0 && report->loaded.x509 == 1 &&
                  report->loaded.x509_ca == 1);
        CU_ASSERT_STRING_EQUAL(report->protocol, protocols[i]);
        CU_ASSERT_STRING_EQUAL(report->cipher_version, protocols[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(report->cipher, i == 0 ? "ECDHE-ECDSA" : "TLS_"));
        CU_ASSERT(report->bits == 128 || report->bits == 256);
        CU_ASSERT_STRING_EQUAL(report->compression, "none");
        CU_ASSERT_STRING_EQUAL(report->address, "127.0.0.1");
        CU_ASSERT(report->certificate && report->certificate->version == 3 &&
                  strstr(report->certificate->subject, "localhost") &&
                  strstr(report->certificate->issuer, "Test authority") &&
                  report->certificate->alternatives.n == 3 &&
                  strcmp(report->certificate->alternatives.v[2], "IP Address:127.0.0.1") == 0);
        ferry_free(report);
    }
}

static void certificates_that_nobody_signed_are_refused(void) {
    tls_settings settings = trusting();
    const tls_not_trusted *e;
    tls_report *report = NULL;

    CU_ASSERT_EQUAL(describe("self", NULL, NOTHING, &settings, &report), -EREMOTEIO);
    e = tls_not_trusted_in(&stage.error);
    CU_ASSERT(e && e->code == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT && e->depth == 0 &&
              strstr(e->subject, "localhost"));
    settings.authority = NULL; /* the machine does not trust the authority of the test */
    CU_ASSERT_EQUAL(describe("good", NULL, NOTHING, &settings, &report), -EREMOTEIO);
    e = tls_not_trusted_in(&stage.error);
    CU_ASSERT(e && e->code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
}

static void a_certificate_of_yesterday_is_expired(void) {
    tls_settings settings = trusting();
    const tls_expired *e;
    tls_report *report = NULL;

    CU_ASSERT_EQUAL(describe("expired", NULL, NOTHING, &settings, &report), -EREMOTEIO);
    e = tls_expired_in(&stage.error);
    CU_ASSERT(e && e->code == X509_V_ERR_CERT_HAS_EXPIRED && strstr(e->subject, "localhost") &&
              strstr(e->not_after, "GMT") && strstr(e->message, "expired"));
}

static void an_endpoint_may_want_a_certificate(void) {
    static const char *const protocols[] = {"TLSv1.2", "TLSv1.3"};
    tls_settings settings = trusting();
    tls_report *report = NULL;

    for (size_t i = 0; i < 2; i++) {
        settings.present_certificate = false;
        CU_ASSERT_EQUAL(describe("good", protocols[i], INSISTS, &settings, &report), -EREMOTEIO);
        CU_ASSERT(tls_certificate_wanted_in(&stage.error) &&
                  strcmp(tls_certificate_wanted_in(&stage.error)->host, "localhost") == 0);
        settings.present_certificate = true;
        CU_ASSERT_EQUAL(describe("good", protocols[i], INSISTS, &settings, &report), 0);
        CU_ASSERT(report && strcmp(report->protocol, protocols[i]) == 0);
        report = (tls_report *)ferry_free(report);
    }
    /* An endpoint that asks for a certificate but does not insist accepts a client without one. */
    settings.present_certificate = false;
    CU_ASSERT_EQUAL(describe("good", "TLSv1.3", ASKS, &settings, &report), 0);
    ferry_free(report);
}

static void settings_without_sense_are_refused(void) {
    tls_settings settings = trusting();
    const tls_no_such_protocol *protocol;
    const tls_bad_setting *bad;
    tls_report *report = NULL;

    settings.protocol = "TLSv1.9";
    CU_ASSERT_EQUAL(describe("good", NULL, NOTHING, &settings, &report), -EREMOTEIO);
    protocol = tls_no_such_protocol_in(&stage.error);
    CU_ASSERT(protocol && strcmp(protocol->protocol, "TLSv1.9") == 0 && protocol->known.n == 4);
    settings = trusting();
    settings.ciphers = "NO-SUCH-CIPHER";
    CU_ASSERT_EQUAL(describe("good", NULL, NOTHING, &settings, &report), -EREMOTEIO);
    bad = tls_bad_setting_in(&stage.error);
    CU_ASSERT(bad && strcmp(bad->name, "ciphers") == 0);
    settings = trusting();
    settings.authority = "not PEM";
    CU_ASSERT_EQUAL(describe("good", NULL, NOTHING, &settings, &report), -EREMOTEIO);
    bad = tls_bad_setting_in(&stage.error);
    CU_ASSERT(bad && strcmp(bad->name, "authority") == 0);
}

static void endpoints_that_do_not_agree_are_typed(void) {
    tls_settings settings = trusting();
    const tls_unreachable *nobody;
    tls_report *report = NULL;
    uint16_t port;
    int mute = listen_on("127.0.0.1", &port);

    settings.protocol = "TLSv1.3";
    CU_ASSERT_EQUAL(describe("good", "TLSv1.2", NOTHING, &settings, &report), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(tls_handshake_failure_in(&stage.error));
    CU_ASSERT_EQUAL(tls_describe(stage.client, "127.0.0.1", port, NULL, &report, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(tls_not_allowed_in(&stage.error));
    close(mute);
    CU_ASSERT_EQUAL(tls_describe(stage.client, "localhost", port, NULL, &report, &stage.error),
                    -EREMOTEIO);
    nobody = tls_unreachable_in(&stage.error);
    CU_ASSERT(nobody && nobody->os_errno == ECONNREFUSED && nobody->gai_code == 0);
    CU_ASSERT_EQUAL(tls_describe(stage.client, "localhost", 65536, NULL, &report, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(tls_not_allowed_in(&stage.error));
}

static void *answer_in_the_clear(void *arg) {
    int fd = accept(*(int *)arg, NULL, NULL);

    send(fd, "220 ready for mail\r\n", 20, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void an_endpoint_without_tls_is_typed(void) {
    tls_report *report = NULL;
    pthread_t thread;
    uint16_t port;
    int listener = listen_on("127.0.0.1", &port);

    pthread_create(&thread, NULL, answer_in_the_clear, &listener);
    CU_ASSERT_EQUAL(tls_describe(stage.client, "localhost", port, NULL, &report, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(tls_handshake_failure_in(&stage.error));
    pthread_join(thread, NULL);
    close(listener);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_certificate_for_another_name_is_good_to_a_client_that_does_not_check),
        TEST(everything_is_reported_for_both_protocols),
        TEST(certificates_that_nobody_signed_are_refused),
        TEST(a_certificate_of_yesterday_is_expired),
        TEST(an_endpoint_may_want_a_certificate),
        TEST(settings_without_sense_are_refused),
        TEST(endpoints_that_do_not_agree_are_typed),
        TEST(an_endpoint_without_tls_is_typed),
        TESTS_END,
    };
    char path[96];
    int r;

    world_make_certificates();
    snprintf(path, sizeof(path), "%s/ca.pem", world_folder());
    authority = world_read(path);
    snprintf(path, sizeof(path), "%s/client.pem", world_folder());
    setenv("TLS_CERTIFICATE", path, 1);
    setenv("TLS_ALLOW", "localhost", 1);
    stage_open(&stage, tls_start);
    r = run_suite("example tls", tests);
    stage_close(&stage);
    free(authority);
    world_end();
    return r;
}
