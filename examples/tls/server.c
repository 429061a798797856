/* SPDX-License-Identifier: Apache-2.0 */
/* Connects to a TLS endpoint, does the handshake and describes the result. */

#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "description.h"
#include "dial.h"
#include "server.h"

enum { SPARE_MS = 300, VERDICT_MS = 2000, AUTHORITY_MAX = 1 << 20 };

/* Facts that the callbacks of the handshake collect. */
typedef struct Handshake {
    bool asked; /* the endpoint asked for a client certificate */
    bool presented;
    bool accepted;   /* it sent a session ticket, so it accepted the client */
    int code, depth; /* of the refused certificate; X509_V_OK */
    X509 *refused;
} Handshake;

static int handshake_index; /* index of the Handshake in an SSL */

/* ---- callbacks of OpenSSL ---- */

static int on_certificate(int ok, X509_STORE_CTX *store) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    Handshake *handshake = SSL_get_ex_data(ssl, handshake_index);

    if (!ok && !handshake->refused) {
        handshake->code = X509_STORE_CTX_get_error(store);
        handshake->depth = X509_STORE_CTX_get_error_depth(store);
        handshake->refused = X509_STORE_CTX_get_current_cert(store);
        if (handshake->refused)
            X509_up_ref(handshake->refused);
    }
    return ok;
}

static int on_certificate_request(SSL *ssl, void *ctx) {
    Handshake *handshake = SSL_get_ex_data(ssl, handshake_index);

    (void)ctx;
    handshake->asked = true;
    return 1;
}

static int on_ticket(SSL *ssl, SSL_SESSION *session) {
    Handshake *handshake = SSL_get_ex_data(ssl, handshake_index);

    (void)session;
    handshake->accepted = true;
    return 0;
}

/* ---- the context ---- */

static int throw_bad_setting(ferry_request *request, const char *name, const char *message) {
    return tls_throw_bad_setting(request, &(tls_bad_setting){name, message});
}

/* Adds the certificates in this text; returns their number. */
static int add_authorities(SSL_CTX *context, const char *pem) {
    BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
    X509 *one;
    int n = 0;

    while (bio && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one) == 1;
        X509_free(one);
    }
    BIO_free(bio);
    ERR_clear_error();
    return n;
}

/* Prepares the context, or answers with the error. True: it is ready. */
static bool set_up(ferry_request *request, SSL_CTX *context, const tls_settings *settings,
                   int *ret) {
    const char *own = getenv("TLS_CERTIFICATE");

    if (!description_set_protocol(context, settings->protocol))
        *ret = tls_throw_no_such_protocol(
            request, &(tls_no_such_protocol){settings->protocol,
                                             {4, description_protocols},
                                             "not one of the available names"});
    else if (SSL_CTX_set_cipher_list(context, settings->ciphers) != 1)
        *ret = throw_bad_setting(request, "ciphers", "OpenSSL knows no such ciphers");
    else if (settings->authority && (strlen(settings->authority) > AUTHORITY_MAX ||
                                     add_authorities(context, settings->authority) == 0))
        *ret = throw_bad_setting(request, "authority", "no certificates in PEM");
    else if (settings->present_certificate &&
             (!own || SSL_CTX_use_certificate_chain_file(context, own) != 1 ||
              SSL_CTX_use_PrivateKey_file(context, own, SSL_FILETYPE_PEM) != 1))
        *ret = throw_bad_setting(request, "present_certificate",
                                 "this server has no certificate of its own");
    else
        return true;
    return false;
}

/* ---- failures ---- */

static int throw_refused(ferry_request *request, const Handshake *handshake) {
    const char *message = X509_verify_cert_error_string(handshake->code);
    Description *d = calloc(1, sizeof(*d));
    int r;

    if (!d)
        return -ENOMEM;
    if (handshake->refused)
        description_certificate(d, handshake->refused);
    if (handshake->code == X509_V_ERR_CERT_HAS_EXPIRED ||
        handshake->code == X509_V_ERR_CERT_NOT_YET_VALID)
        r = tls_throw_expired(request, &(tls_expired){handshake->code, d->subject, d->not_before,
                                                      d->not_after, message});
    else
        r = tls_throw_not_trusted(
            request, &(tls_not_trusted){handshake->code, handshake->depth, d->subject, message});
    free(d);
    return r;
}

static int throw_failure(ferry_request *request, const char *host, const Handshake *handshake) {
    unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);

    if (handshake->refused)
        return throw_refused(request, handshake);
    if (handshake->asked && !handshake->presented)
        return tls_throw_certificate_wanted(
            request, &(tls_certificate_wanted){host, reason ? reason : "the endpoint hung up"});
    return tls_throw_handshake_failure(
        request, &(tls_handshake_failure){host, reason ? reason : "the endpoint hung up"});
}

static int throw_unreachable(ferry_request *request, const char *host, int port, const Dial *dial) {
    int error = dial->n_attempts > 0 ? dial->attempts[dial->n_attempts - 1].error : 0;

    return tls_throw_unreachable(
        request, &(tls_unreachable){host, port, dial->gai, error,
                                    dial->gai ? gai_strerror(dial->gai) : strerror(error)});
}

/* ---- talking ---- */

/* In TLS 1.3 the client's handshake ends before the endpoint has checked the client's certificate,
 * or noticed that it is missing. Waits for the result. True: the endpoint did not refuse. */
static bool await_verdict(SSL *ssl, const Handshake *handshake) {
    struct pollfd ready = {.fd = SSL_get_fd(ssl), .events = POLLIN};
    char byte;
    int n;

    if (!handshake->asked || SSL_version(ssl) != TLS1_3_VERSION)
        return true;
    while (!handshake->accepted) {
        if (SSL_pending(ssl) == 0 && poll(&ready, 1, VERDICT_MS) <= 0)
            return true; /* no message: the endpoint waits for data */
        n = SSL_peek(ssl, &byte, 1);
        if (n > 0)
            return true;
        if (!handshake->accepted && SSL_get_error(ssl, n) != SSL_ERROR_WANT_READ)
            return false;
    }
    return true;
}

static int talk(ferry_request *request, SSL *ssl, const Dial *dial, const char *host,
                bool check_name) {
    Handshake handshake = {.presented = SSL_get_certificate(ssl) != NULL};
    Description *d = NULL;
    int r;

    SSL_set_ex_data(ssl, handshake_index, &handshake);
    SSL_clear_mode(ssl, SSL_MODE_AUTO_RETRY); /* SSL_peek() returns after each ticket */
    ERR_clear_error();
    if (SSL_connect(ssl) != 1 || !await_verdict(ssl, &handshake)) {
        r = throw_failure(request, host, &handshake);
    } else if (!(d = calloc(1, sizeof(*d)))) {
        r = -ENOMEM;
    } else {
        description_fill(d, ssl, host);
        d->report.address = dial->attempts[dial->n_attempts - 1].address;
        d->report.port = dial->port;
        if (check_name && strcmp(d->match, "Yes") != 0)
            r = tls_throw_wrong_name(request, &(tls_wrong_name){host, d->report.names, d->match});
        else
            r = tls_describe_return(request, &d->report);
        SSL_shutdown(ssl);
    }
    X509_free(handshake.refused);
    free(d);
    return r;
}

static int connect_and_talk(ferry_request *request, SSL_CTX *context, const char *host,
                            const char *port, const tls_settings *settings) {
    uint32_t left_ms = ferry_request_left_ms(request);
    Dial dial;
    SSL *ssl;
    int r;

    if (!dial_host(&dial, AF_UNSPEC, host, port,
                   left_ms > 2 * SPARE_MS ? left_ms - SPARE_MS : left_ms / 2))
        return throw_unreachable(request, host, atoi(port), &dial);
    ssl = SSL_new(context);
    if (!ssl || SSL_set_fd(ssl, dial.fd) != 1)
        r = -ENOMEM;
    else {
        SSL_set_tlsext_host_name(ssl, host);
        r = talk(request, ssl, &dial, host, settings->check_name);
    }
    SSL_free(ssl);
    close(dial.fd);
    return r;
}

static int describe(ferry_request *request, const char *host, int32_t port,
                    const tls_settings *settings, void *ctx) {
    static const tls_settings usual = TLS_SETTINGS_INIT;
    SSL_CTX *context;
    char text[16];
    int r = 0;

    (void)ctx;
    settings = settings ? settings : &usual;
    snprintf(text, sizeof(text), "%d", port);
    if (port < 1 || port > 65535 || !dial_allowed("TLS_ALLOW", host, text))
        return tls_throw_not_allowed(
            request, &(tls_not_allowed){host, port, "this server may not connect to that host"});
    context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return -ENOMEM;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, on_certificate);
    SSL_CTX_set_cert_cb(context, on_certificate_request, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(context, on_ticket);
    if (!settings->authority)
        SSL_CTX_set_default_verify_paths(context);
    if (set_up(request, context, settings, &r))
        r = connect_and_talk(request, context, host, text, settings);
    SSL_CTX_free(context);
    return r;
}

int tls_start(ferry_client *client, ferry_error *reterr) {
    static const tls_handlers handlers = {.describe = describe};

    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to connections that the peer has closed */
    handshake_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return tls_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
