/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Describes a TLS connection at either end. The service, its client and tls-endpoint share this. */

#include <openssl/ssl.h>

#include "tls.h"

enum { TLS_NAMES_MAX = 64, TLS_TEXT = 512 };

/* A report and the memory of its texts. */
typedef struct Description {
    tls_report report;
    tls_certificate certificate;
    char subject[TLS_TEXT], issuer[TLS_TEXT], serial[64], not_before[32], not_after[32];
    char texts[2 * TLS_NAMES_MAX][TLS_TEXT], match[2 * TLS_TEXT];
    const char *names[TLS_NAMES_MAX], *alternatives[TLS_NAMES_MAX];
} Description;

/* Describes an established connection. host: the name that the peer should have; NULL: any name. */
void description_fill(Description *description, SSL *ssl, const char *host);

/* The same lines as the notes' program. */
void description_print(const tls_report *report, bool is_server, bool verbose);

/* "Title.................. words" */
void description_say(const char *title, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sets the range of protocols. False: no such protocol. */
bool description_set_protocol(SSL_CTX *context, const char *protocol);
extern const char *const description_protocols[4];

/* Fills in the certificate's subject and dates, even if the certificate was refused. */
void description_certificate(Description *description, X509 *certificate);
