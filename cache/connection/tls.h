/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* TLS over the socket of a connection, by OpenSSL. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <ferry/base.h>

#include "base/cleanup.h"

/* The certificates that all connections of a cache use. */
typedef struct TlsContext TlsContext;

/* ca: a file with the certificates of trusted authorities; NULL: those of the system. certificate
 * and key: files with the client's certificate and its key; NULL: the client shows no certificate.
 * 0, or a negative errno with its cause in reterr. */
int tls_context_new(TlsContext **ret, const char *ca, const char *certificate, const char *key,
                    ferry_error *reterr);
TlsContext *tls_context_free(TlsContext *context);
DEFINE_CLEANUP(TlsContext *, tls_context_free);

typedef struct Tls Tls;

/* The client's end of TLS on a connected socket that does not block. The certificate of the server
 * must be valid for host, a name or an address. The caller still owns the socket. 0, -ENOMEM. */
int tls_new(Tls **ret, TlsContext *context, int fd, const char *host);
Tls *tls_free(Tls *tls);

/* Continues the handshake. 0: it is done; -EAGAIN: call again when the socket is readable, or
 * writable if *wants_write is set; -EACCES, -EPROTO, -ECONNRESET: it failed. */
int tls_handshake(Tls *tls, bool *wants_write);

/* As recv() and send(). One thread may receive while another one sends. */
ssize_t tls_receive(Tls *tls, void *to, size_t size);
ssize_t tls_send(Tls *tls, const void *from, size_t len);

/* Returns the reason why the handshake or the connection failed: static text; NULL: TLS has
 * reported no problem. */
const char *tls_problem(Tls *tls);
