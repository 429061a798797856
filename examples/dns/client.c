/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the domain name system.
 *
 *     dns-client NAME                      its records
 *     dns-client --mail DOMAIN             the hosts that take its mail
 *     dns-client --whois DOMAIN [SERVER]   what a whois server says
 */

#include <inttypes.h>

#include "dns.h"

static int show_records(ferry_client *client, const char *name, ferry_error *error) {
    FERRY_AUTO(ferry_free) dns_list_record *records = NULL;
    int r = dns_lookup(client, name, NULL, &records, error);

    for (size_t i = 0; r == 0 && i < records->n; i++) {
        const dns_record *record = &records->v[i];

        printf("%s %" PRId64 " %s %s ", record->name, record->ttl, record->cls,
               dns_record_type_name(record->type));
        if (record->preference)
            printf("%d ", *record->preference);
        puts(record->data);
    }
    return r;
}

static int show_mail(ferry_client *client, const char *domain, ferry_error *error) {
    FERRY_AUTO(ferry_free) dns_mail_hosts *mail = NULL;
    int r = dns_mail(client, domain, &mail, error);

    if (r < 0)
        return r;
    if (mail->source != DNS_MAIL_SOURCE_MX)
        printf("The domain has no explicit MX records\n"
               "Attempting to resolve it as an A, AAAA, or CNAME\n");
    for (size_t i = 0; i < mail->hosts.n; i++) {
        const dns_mail_host *host = &mail->hosts.v[i];

        if (mail->source == DNS_MAIL_SOURCE_MX)
            printf("%s ( Priority %d )\n", host->host, host->priority);
        for (size_t k = 0; k < host->addresses.n; k++)
            printf("\t%s has a address: %s\n", host->host, host->addresses.v[k]);
    }
    return 0;
}

static int show_whois(ferry_client *client, const char *domain, const char *server,
                      ferry_error *error) {
    FERRY_AUTO(ferry_free) char *text = NULL;
    int r = dns_whois(client, domain, server, &text, error);

    if (r == 0)
        fputs(text, stdout);
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    bool mail = argc == 3 && strcmp(argv[1], "--mail") == 0;
    bool asks_whois = argc > 2 && strcmp(argv[1], "--whois") == 0;
    const dns_no_such_domain *missing;
    int r;

    if (argc < 2 || (argc > 2 && !mail && !asks_whois)) {
        fprintf(stderr, "usage: dns-client NAME|--mail DOMAIN|--whois DOMAIN [SERVER]\n");
        return 2;
    }
    r = ferry_open(NULL, &(ferry_options){.name = "dns-client"}, &client, &error);
    if (r == 0)
        r = mail         ? show_mail(client, argv[2], &error)
            : asks_whois ? show_whois(client, argv[2], argc > 3 ? argv[3] : NULL, &error)
                         : show_records(client, argv[1], &error);
    if (r < 0 && (missing = dns_no_such_domain_in(&error)))
        printf("Error: No such domain %s\n", missing->domain);
    else if (r < 0)
        ferry_error_print(&error, stdout);
    return r < 0;
}
