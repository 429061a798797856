/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over the socket of a connection. See tls.h. */

#include "cache/connection/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"

struct TlsContext {
    SSL_CTX *ssl;
    BIO_METHOD *socket;
};

/* OpenSSL allows one thread at a time. No call waits, so the lock is held for microseconds. */
struct Tls {
    pthread_mutex_t lock;
    SSL *ssl;
    const char *problem; /* static text */
};

/* ---- the socket below ---- */

/* OpenSSL's own socket BIO writes with write(), which raises SIGPIPE. */
static int socket_write(BIO *bio, const char *from, int len) {
    ssize_t n =
        send((int)(intptr_t)BIO_get_data(bio), from, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);

    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)n;
}

static int socket_read(BIO *bio, char *to, int size) {
    ssize_t n = recv((int)(intptr_t)BIO_get_data(bio), to, (size_t)size, MSG_DONTWAIT);

    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)n;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* ---- certificates ---- */

static int refuse_file(ferry_error *reterr, const char *what, const char *path) {
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_reason_error_string(code);

    error_set(reterr, "ferry.InvalidArgument", "the cache's %s '%s' cannot be used: %s", what, path,
              ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
              : reason               ? reason
                                     : "unknown");
    ERR_clear_error();
    return -EINVAL;
}

static int load_files(SSL_CTX *ssl, const char *ca, const char *certificate, const char *key,
                      ferry_error *reterr) {
    ERR_clear_error();
    if (ca && SSL_CTX_load_verify_locations(ssl, ca, NULL) != 1)
        return refuse_file(reterr, "file of trusted certificates", ca);
    if (!ca)
        SSL_CTX_set_default_verify_paths(ssl);
    if (certificate && SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1)
        return refuse_file(reterr, "certificate", certificate);
    if (key && (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 ||
                SSL_CTX_check_private_key(ssl) != 1))
        return refuse_file(reterr, "key", key);
    ERR_clear_error();
    return 0;
}

int tls_context_new(TlsContext **ret, const char *ca, const char *certificate, const char *key,
                    ferry_error *reterr) {
    CLEANUP(tls_context_free) TlsContext *context = calloc(1, sizeof(*context));
    int r;

    if (!context || !(context->ssl = SSL_CTX_new(TLS_client_method())) ||
        !(context->socket = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ferry socket")))
        return error_set_code(reterr, -ENOMEM, NULL);
    BIO_meth_set_write(context->socket, socket_write);
    BIO_meth_set_read(context->socket, socket_read);
    BIO_meth_set_ctrl(context->socket, socket_control);
    SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION);
    SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context->ssl,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    r = load_files(context->ssl, ca, certificate, key, reterr);
    if (r < 0)
        return r;
    *ret = steal(&context);
    return 0;
}

TlsContext *tls_context_free(TlsContext *context) {
    if (!context)
        return NULL;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->socket);
    free(context);
    return NULL;
}

/* ---- one connection ---- */

static bool is_address(const char *host) {
    uint8_t address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* The server's name is also sent to the server (SNI, RFC 6066); an address is not sent. */
static bool expect_host(SSL *ssl, const char *host) {
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

int tls_new(Tls **ret, TlsContext *context, int fd, const char *host) {
    Tls *tls = calloc(1, sizeof(*tls));
    BIO *bio = NULL;

    if (!tls)
        return -ENOMEM;
    pthread_mutex_init(&tls->lock, NULL);
    tls->ssl = SSL_new(context->ssl);
    if (!tls->ssl || !expect_host(tls->ssl, host) || !(bio = BIO_new(context->socket))) {
        tls_free(tls);
        return -ENOMEM;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    *ret = tls;
    return 0;
}

Tls *tls_free(Tls *tls) {
    if (!tls)
        return NULL;
    SSL_free(tls->ssl);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
    return NULL;
}

/* Finds the reason why a handshake failed or a connection ended. X509_verify_cert_error_string()
 * returns static text. */
static int failure(Tls *tls, int kind) {
    long verified = SSL_get_verify_result(tls->ssl);
    unsigned long code = ERR_peek_error();

    if (verified != X509_V_OK) {
        tls->problem = X509_verify_cert_error_string(verified);
        return -EACCES;
    }
    if (kind != SSL_ERROR_SSL || code == 0)
        return -ECONNRESET;
    /* An alert of the server. With TLS 1.3 it may come after the handshake. */
    if (ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET) {
        tls->problem = "the server refuses the client's certificate, or requires one";
        return -EACCES;
    }
    tls->problem = "the server does not speak TLS";
    return -EPROTO;
}

int tls_handshake(Tls *tls, bool *wants_write) {
    int r, kind;

    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    r = SSL_do_handshake(tls->ssl);
    kind = SSL_get_error(tls->ssl, r);
    *wants_write = kind == SSL_ERROR_WANT_WRITE;
    if (r == 1)
        r = 0;
    else if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
        r = -EAGAIN;
    else
        r = failure(tls, kind);
    ERR_clear_error();
    pthread_mutex_unlock(&tls->lock);
    return r;
}

/* Converts the result of SSL_read() or SSL_write() to that of recv() or send(). */
static ssize_t finish(Tls *tls, int n) {
    int kind = n > 0 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, n);

    if (kind == SSL_ERROR_SSL)
        failure(tls, kind);
    ERR_clear_error();
    pthread_mutex_unlock(&tls->lock);
    switch (kind) {
    case SSL_ERROR_NONE:
        return n;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    default:
        errno = ECONNRESET;
        return -1;
    }
}

ssize_t tls_receive(Tls *tls, void *to, size_t size) {
    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    return finish(tls, SSL_read(tls->ssl, to, size > INT_MAX ? INT_MAX : (int)size));
}

ssize_t tls_send(Tls *tls, const void *from, size_t len) {
    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    return finish(tls, SSL_write(tls->ssl, from, len > INT_MAX ? INT_MAX : (int)len));
}

const char *tls_problem(Tls *tls) {
    const char *problem;

    pthread_mutex_lock(&tls->lock);
    problem = tls->problem;
    pthread_mutex_unlock(&tls->lock);
    return problem;
}
