/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Describes a TLS endpoint, as the notes' test_tls.py does.
 *
 *     tls-client HOST PORT [-a CAFILE] [-c] [-C CIPHERS] [-p PROTOCOL] [-n] [-d] [-v]
 *
 *     -a  authority: path to a CA certificate in PEM
 *     -c  show the server's own certificate (TLS_CERTIFICATE), if the endpoint asks for one
 *     -C  ciphers, formatted per OpenSSL (ALL)
 *     -p  protocol version (TLS)
 *     -n  report a wrong name, instead of refusing it
 *     -d  debug mode: everything about an error
 *     -v  verbose: print the certificate
 *
 * To be a server, as the notes' -s: tls-endpoint.
 */

#include <stdlib.h>
#include <unistd.h>

#include "description.h"

static char *read_file(const char *path) {
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 1 << 20);
    size_t n = file && text ? fread(text, 1, (1 << 20) - 1, file) : 0;

    if (file)
        fclose(file);
    if (n == 0)
        perror(path);
    return text;
}

static int explain(const ferry_error *error, bool debug) {
    const tls_no_such_protocol *protocol = tls_no_such_protocol_in(error);

    if (debug || error->code != -EREMOTEIO) {
        ferry_error_print(error, stdout);
        return 1;
    }
    if (protocol) {
        printf("Error: '%s' is not one of the available names:\n   ", protocol->protocol);
        for (size_t i = 0; i < protocol->known.n; i++)
            printf(" %s", protocol->known.v[i]);
        putchar('\n');
        return 2;
    }
    printf("%s: %s\n", error->type, error->message);
    return 1;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_free) tls_report *report = NULL;
    tls_settings settings = TLS_SETTINGS_INIT;
    bool debug = false, verbose = false;
    char *authority = NULL;
    int option, r;

    while ((option = getopt(argc, argv, "a:cC:p:ndv")) != -1)
        switch (option) {
        case 'a':
            settings.authority = authority = read_file(optarg);
            break;
        case 'c':
            settings.present_certificate = true;
            break;
        case 'C':
            settings.ciphers = optarg;
            break;
        case 'p':
            settings.protocol = optarg;
            break;
        case 'n':
            settings.check_name = false;
            break;
        case 'd':
            debug = true;
            break;
        case 'v':
            verbose = true;
            break;
        default:
            return 2;
        }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: tls-client HOST PORT [-a CAFILE] [-c] [-C CIPHERS] [-p PROTOCOL] "
                        "[-n] [-d] [-v]\n");
        return 2;
    }
    r = ferry_open(NULL, &(ferry_options){.name = "tls-client"}, &client, &error);
    if (r == 0)
        r = tls_describe(client, argv[optind], atoi(argv[optind + 1]), &settings, &report, &error);
    free(authority);
    if (r < 0)
        return explain(&error, debug);
    description_say("Address we want to talk to", "('%s', %d)", report->address, report->port);
    description_print(report, false, verbose);
    return 0;
}
