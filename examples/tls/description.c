/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS connection in words. See description.h. */

#include "description.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdarg.h>

/* ---- certificates ---- */

/* Makes text of the peer printable ASCII. */
static void copy_text(char *to, size_t size, const unsigned char *from, int len) {
    size_t n = 0;

    for (; n + 1 < size && (int)n < len; n++)
        to[n] = (char)(from[n] >= 32 && from[n] < 127 ? from[n] : '?');
    to[n] = '\0';
}

static void copy_bio(char *to, size_t size, BIO *bio) {
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);

    copy_text(to, size, (unsigned char *)text, (int)len);
    (void)BIO_reset(bio);
}

static bool listed(const char *const *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Common names first, then the DNS names of subjectAltName that are not among them. */
static void list_names(Description *d, X509 *certificate, size_t *n_texts) {
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const X509_NAME *subject = X509_get_subject_name(certificate);
    size_t n = 0, n_alternatives = 0;

    for (int i = -1;
         n < TLS_NAMES_MAX / 2 && (i = X509_NAME_get_index_by_NID((X509_NAME *)(uintptr_t)subject,
                                                                  NID_commonName, i)) >= 0;) {
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));

        d->names[n] = d->texts[*n_texts];
        copy_text(d->texts[(*n_texts)++], TLS_TEXT, ASN1_STRING_get0_data(value),
                  ASN1_STRING_length(value));
        n++;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && n_alternatives < TLS_NAMES_MAX / 2; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        char *text = d->texts[(*n_texts)++];

        d->alternatives[n_alternatives++] = text;
        if (name->type == GEN_DNS) {
            const char *dns = text + 4;

            memcpy(text, "DNS:", 4);
            copy_text(text + 4, TLS_TEXT - 4, ASN1_STRING_get0_data(name->d.dNSName),
                      ASN1_STRING_length(name->d.dNSName));
            if (!listed(d->names, n, dns))
                d->names[n++] = dns;
        } else if (name->type == GEN_IPADD) {
            int len = ASN1_STRING_length(name->d.iPAddress);
            char address[INET6_ADDRSTRLEN] = "?";

            inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress),
                      address, sizeof(address));
            snprintf(text, TLS_TEXT, "IP Address:%s", len == 4 || len == 16 ? address : "?");
        } else {
            snprintf(text, TLS_TEXT, "another kind of name");
        }
    }
    GENERAL_NAMES_free(all);
    d->report.names = (ferry_list_string){n, d->names};
    d->certificate.alternatives = (ferry_list_string){n_alternatives, d->alternatives};
}

void description_certificate(Description *d, X509 *certificate) {
    BIO *bio = BIO_new(BIO_s_mem());
    size_t n_texts = 0;

    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_ONELINE);
    copy_bio(d->subject, sizeof(d->subject), bio);
    X509_NAME_print_ex(bio, X509_get_issuer_name(certificate), 0, XN_FLAG_ONELINE);
    copy_bio(d->issuer, sizeof(d->issuer), bio);
    i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate));
    copy_bio(d->serial, sizeof(d->serial), bio);
    ASN1_TIME_print(bio, X509_get0_notBefore(certificate));
    copy_bio(d->not_before, sizeof(d->not_before), bio);
    ASN1_TIME_print(bio, X509_get0_notAfter(certificate));
    copy_bio(d->not_after, sizeof(d->not_after), bio);
    BIO_free(bio);
    d->certificate = (tls_certificate){.subject = d->subject,
                                       .issuer = d->issuer,
                                       .version = (int32_t)X509_get_version(certificate) + 1,
                                       .serial = d->serial,
                                       .not_before = d->not_before,
                                       .not_after = d->not_after};
    list_names(d, certificate, &n_texts);
    d->report.certificate = &d->certificate;
}

/* ---- the connection ---- */

/* Python's words: "hostname 'a' doesn't match either of 'b', 'c'". */
static void compare_names(Description *d, X509 *certificate, const char *host) {
    size_t at;

    if (X509_check_host(certificate, host, 0, 0, NULL) == 1 ||
        X509_check_ip_asc(certificate, host, 0) == 1) {
        strcpy(d->match, "Yes");
        return;
    }
    at = (size_t)snprintf(d->match, sizeof(d->match), "hostname '%.250s' doesn't match %s", host,
                          d->report.names.n > 1 ? "either of " : "");
    for (size_t i = 0; i < d->report.names.n && at < sizeof(d->match); i++)
        at += (size_t)snprintf(d->match + at, sizeof(d->match) - at, "%s'%s'", i ? ", " : "",
                               d->names[i]);
}

static tls_loaded count_loaded(SSL *ssl) {
    STACK_OF(X509_OBJECT) *all =
        X509_STORE_get0_objects(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)));
    tls_loaded loaded = {0, 0, 0};

    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509_OBJECT *one = sk_X509_OBJECT_value(all, i);
        X509 *certificate = X509_OBJECT_get0_X509(one);

        loaded.crl += X509_OBJECT_get_type(one) == X509_LU_CRL;
        loaded.x509 += certificate != NULL;
        loaded.x509_ca += certificate != NULL && X509_check_ca(certificate) > 0;
    }
    return loaded;
}

void description_fill(Description *d, SSL *ssl, const char *host) {
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const COMP_METHOD *compression = SSL_get_current_compression(ssl);
    X509 *certificate = SSL_get1_peer_certificate(ssl);

    *d = (Description){.report = {.match = d->match}};
    if (certificate)
        description_certificate(d, certificate);
    if (certificate && host)
        compare_names(d, certificate, host);
    X509_free(certificate);
    d->report.loaded = count_loaded(ssl);
    d->report.protocol = SSL_get_version(ssl);
    d->report.cipher = SSL_CIPHER_get_name(cipher);
    d->report.cipher_version = SSL_CIPHER_get_version(cipher);
    d->report.bits = SSL_CIPHER_get_bits(cipher, NULL);
    d->report.compression = compression ? SSL_COMP_get_name(compression) : "none";
    d->report.address = "";
}

/* ---- protocols ---- */

const char *const description_protocols[4] = {"SSLv23", "TLS", "TLSv1.2", "TLSv1.3"};

bool description_set_protocol(SSL_CTX *context, const char *protocol) {
    static const int versions[4] = {0, 0, TLS1_2_VERSION, TLS1_3_VERSION};

    if (strncmp(protocol, "PROTOCOL_", 9) == 0) /* as Python's constants begin */
        protocol += 9;
    for (int i = 0; i < 4; i++)
        if (strcmp(description_protocols[i], protocol) == 0)
            return SSL_CTX_set_min_proto_version(context, versions[i]) == 1 &&
                   SSL_CTX_set_max_proto_version(context, versions[i]) == 1;
    return false;
}

/* ---- printing ---- */

void description_say(const char *title, const char *format, ...) {
    static const char dots[] = "....................................";
    va_list args;

    printf("%s%s ", title, dots + (strlen(title) < 36 ? strlen(title) : 36));
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void print_certificate(const tls_certificate *certificate) {
    printf("\nsubject: %s\nissuer: %s\nversion: %d\nserialNumber: %s\nnotBefore: %s\n"
           "notAfter: %s\nsubjectAltName:",
           certificate->subject, certificate->issuer, certificate->version, certificate->serial,
           certificate->not_before, certificate->not_after);
    for (size_t i = 0; i < certificate->alternatives.n; i++)
        printf(" %s", certificate->alternatives.v[i]);
    putchar('\n');
}

void description_print(const tls_report *report, bool is_server, bool verbose) {
    char names[TLS_NAMES_MAX * 40] = "";

    for (size_t i = 0; i < report->names.n; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? " " : "",
                 report->names.v[i]);
    description_say("Peer certificate", "%s", report->certificate ? "provided" : "none");
    if (report->certificate) {
        description_say("Name(s) on peer certificate", "%s", report->names.n ? names : "none");
        if (!is_server && report->names.n)
            description_say("Whether name(s) match the hostname", "%s", report->match);
        description_say("Certificates loaded of type crl", "%d", report->loaded.crl);
        description_say("Certificates loaded of type x509", "%d", report->loaded.x509);
        description_say("Certificates loaded of type x509_ca", "%d", report->loaded.x509_ca);
    }
    description_say("Protocol version negotiated", "%s", report->protocol);
    description_say("Cipher chosen for this connection", "%s", report->cipher);
    description_say("Cipher defined in TLS version", "%s", report->cipher_version);
    description_say("Cipher key has this many bits", "%d", report->bits);
    description_say("Compression algorithm in use", "%s", report->compression);
    if (verbose && report->certificate)
        print_certificate(report->certificate);
}
