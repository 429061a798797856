/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS server to probe, as the notes' test_tls.py -s: shakes hands with one client after another
 * on loopback and describes each. It needs no broker.
 *
 *     tls-endpoint CERTFILE [-a CAFILE] [-C CIPHERS] [-p PROTOCOL] [-r]
 *
 *     CERTFILE  its certificate and key, in PEM
 *     -a        authority of clients: asks for a certificate
 *     -r        refuses clients without one
 */

#include <arpa/inet.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "description.h"

static int listen_on_loopback(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &(socklen_t){sizeof(at)}) < 0) {
        perror("listen");
        exit(1);
    }
    description_say("Interface where we are listening", "('127.0.0.1', %u)", ntohs(at.sin_port));
    return fd;
}

static void serve_one(SSL_CTX *context, int fd) {
    static Description description;
    struct timeval limit = {5, 0};
    SSL *ssl = SSL_new(context);
    char byte;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
        description_fill(&description, ssl, NULL);
        description_print(&description.report, true, false);
        SSL_read(ssl, &byte, 1); /* until the client hangs up */
        SSL_shutdown(ssl);
    } else {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        description_say("Handshake failed", "%s", reason ? reason : "the client hung up");
    }
    ERR_clear_error();
    SSL_free(ssl);
}

int main(int argc, char **argv) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int mode = SSL_VERIFY_NONE, option, listener, fd;
    struct sockaddr_in from;
    bool good = context != NULL;

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (good && (option = getopt(argc, argv, "a:C:p:r")) != -1)
        switch (option) {
        case 'a':
            mode |= SSL_VERIFY_PEER;
            good = SSL_CTX_load_verify_locations(context, optarg, NULL) == 1;
            SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(optarg));
            break;
        case 'C':
            good = SSL_CTX_set_cipher_list(context, optarg) == 1;
            break;
        case 'p':
            good = description_set_protocol(context, optarg);
            break;
        case 'r':
            mode |= SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
            break;
        default:
            good = false;
        }
    if (!good || argc - optind != 1 ||
        SSL_CTX_use_certificate_chain_file(context, argv[optind]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[optind], SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr,
                "usage: tls-endpoint CERTFILE [-a CAFILE] [-C CIPHERS] [-p PROTOCOL] [-r]\n");
        ERR_print_errors_fp(stderr);
        return 2;
    }
    SSL_CTX_set_verify(context, mode, NULL);
    listener = listen_on_loopback();
    while ((fd = accept(listener, (struct sockaddr *)&from, &(socklen_t){sizeof(from)})) >= 0) {
        description_say("Client has connected from address", "('127.0.0.1', %u)",
                        ntohs(from.sin_port));
        serve_one(context, fd);
        close(fd);
    }
    return 1;
}
