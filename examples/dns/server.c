/* SPDX-License-Identifier: Apache-2.0 */
/* Looks records up. mail.c finds mail hosts, whois.c asks whois servers. */

#include <stdlib.h>

#include "dns-server.h"
#include "server.h"

enum { TYPES_MAX = 5, NXDOMAIN = 3 };

static const dns_record_type all_types[TYPES_MAX] = {DNS_RECORD_TYPE_A, DNS_RECORD_TYPE_AAAA,
                                                     DNS_RECORD_TYPE_CNAME, DNS_RECORD_TYPE_MX,
                                                     DNS_RECORD_TYPE_NS};

int dns_throw_failure(ferry_request *request, const char *domain, int r, int rcode) {
    static const char *const meanings[] = {"no error",          "malformed question",
                                           "the server failed", "no such name",
                                           "not implemented",   "the server refused to answer"};

    if (r == -EINVAL)
        return dns_throw_bad_name(request, &(dns_bad_name){domain, "not a name of the DNS"});
    if (r < 0)
        return ferry_request_fail(request, r, NULL);
    if (rcode == NXDOMAIN)
        return dns_throw_no_such_domain(request, &(dns_no_such_domain){domain, "no such domain"});
    return dns_throw_server_failure(
        request, &(dns_server_failure){domain, rcode,
                                       rcode < 0   ? "no name server answers"
                                       : rcode < 6 ? meanings[rcode]
                                                   : "the server reports an error"});
}

static bool is_type(dns_record_type type) {
    for (int i = 0; i < TYPES_MAX; i++)
        if (all_types[i] == type)
            return true;
    return false;
}

static bool is_listed(const dns_record *records, size_t n, const ResolverRecord *record) {
    for (size_t i = 0; i < n; i++)
        if (records[i].type == record->type && strcmp(records[i].name, record->name) == 0 &&
            strcmp(records[i].data, record->data) == 0)
            return true;
    return false;
}

static int lookup(ferry_request *request, const char *domain, const dns_list_record_type *types,
                  void *ctx) {
    const dns_record_type *wanted = types ? types->v : all_types;
    size_t n_wanted = types ? types->n : TYPES_MAX, n = 0;
    ResolverAnswer answers[TYPES_MAX] = {{0}};
    dns_record *records;
    int r = 0;

    (void)ctx;
    for (size_t i = 0; i < n_wanted; i++)
        if (n_wanted > TYPES_MAX || !is_type(wanted[i]))
            return ferry_request_fail(request, -EINVAL, NULL);
    records = malloc((n_wanted * RESOLVER_RECORDS_MAX + 1) * sizeof(*records));
    if (!records)
        return -ENOMEM;
    for (size_t i = 0; i < n_wanted; i++) {
        r = resolver_ask(&answers[i], domain, wanted[i]);
        if (r < 0 || answers[i].rcode != 0) {
            r = dns_throw_failure(request, domain, r, answers[i].rcode);
            goto finish;
        }
        for (size_t k = 0; k < answers[i].n; k++) {
            const ResolverRecord *record = &answers[i].records[k];

            if (!is_listed(records, n, record)) /* each type's answer repeats the alias */
                records[n++] = (dns_record){
                    record->name, record->ttl,
                    "IN",         record->type,
                    record->data, record->type == DNS_RECORD_TYPE_MX ? &record->preference : NULL};
        }
    }
    r = dns_lookup_return(request, &(dns_list_record){n, records});
finish:
    for (size_t i = 0; i < n_wanted; i++)
        resolver_free(&answers[i]);
    free(records);
    return r;
}

int dns_start(ferry_client *client, ferry_error *reterr) {
    static const dns_handlers handlers = {.lookup = lookup, .mail = mail, .whois = whois};

    return dns_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
