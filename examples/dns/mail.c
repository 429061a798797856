/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts that take a domain's mail: RFC 5321, section 5.1, and RFC 7505. */

#include <stdlib.h>

#include "dns-server.h"

enum { ALIASES_MAX = 10, HOSTS_MAX = 20, ADDRESSES_MAX = 40 };

typedef struct Aliases {
    size_t n;
    char names[ALIASES_MAX + 2][RESOLVER_NAME_MAX];
} Aliases;

typedef struct Host {
    char name[RESOLVER_NAME_MAX];
    size_t n;
    char texts[ADDRESSES_MAX][64];
    const char *addresses[ADDRESSES_MAX];
} Host;

/* ---- aliases ---- */

static const char *last(const Aliases *aliases) {
    return aliases->names[aliases->n - 1];
}

/* Follows the aliases of the answer. False: they form a ring, or there are too many. */
static bool follow(Aliases *aliases, const ResolverAnswer *answer) {
    for (size_t i = 0; i < answer->n; i++) {
        const ResolverRecord *record = &answer->records[i];

        if (record->type != DNS_RECORD_TYPE_CNAME || strcasecmp(record->name, last(aliases)) != 0)
            continue;
        strcpy(aliases->names[aliases->n++], record->data);
        for (size_t k = 0; k + 1 < aliases->n; k++)
            if (strcasecmp(aliases->names[k], last(aliases)) == 0)
                return false;
        if (aliases->n > ALIASES_MAX)
            return false;
        i = (size_t)-1; /* the next alias may stand earlier in the answer */
    }
    return true;
}

static int throw_loop(ferry_request *request, const Aliases *aliases) {
    const char *names[ALIASES_MAX + 2];

    for (size_t i = 0; i < aliases->n; i++)
        names[i] = aliases->names[i];
    return dns_throw_alias_loop(
        request, &(dns_alias_loop){{aliases->n, names}, "the aliases of this domain do not end"});
}

/* ---- hosts ---- */

/* Adds the addresses of one family. A host whose look-up fails gets no addresses. */
static int add_addresses(Host *host, int type, int *ret_rcode) {
    ResolverAnswer answer;
    int r = resolver_ask(&answer, host->name, type);

    *ret_rcode = r < 0 ? 0 : answer.rcode;
    for (size_t i = 0; r == 0 && i < answer.n && host->n < ADDRESSES_MAX; i++)
        if (answer.records[i].type == type) {
            snprintf(host->texts[host->n], sizeof(host->texts[0]), "%.63s", answer.records[i].data);
            host->addresses[host->n] = host->texts[host->n];
            host->n++;
        }
    resolver_free(&answer);
    return r;
}

static int by_preference(const void *a, const void *b) {
    const ResolverRecord *const *one = a, *const *other = b;
    int difference = (*one)->preference - (*other)->preference;

    return difference ? difference
                      : (*one > *other) - (*one < *other); /* keep the order of the answer */
}

/* The name without the dot at its end. */
static void set_name(Host *host, const char *name) {
    size_t len = strlen(name);

    snprintf(host->name, sizeof(host->name), "%.*s", (int)(len > 1 ? len - 1 : len), name);
}

/* ---- the two ways ---- */

static int by_mx(ferry_request *request, const char *domain, const ResolverRecord **mx, size_t n) {
    dns_mail_host results[HOSTS_MAX];
    Host *hosts;
    int r = 0, rcode;

    n = n < HOSTS_MAX ? n : HOSTS_MAX;
    hosts = calloc(n, sizeof(*hosts));
    if (!hosts)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < n; i++) {
        set_name(&hosts[i], mx[i]->data);
        r = add_addresses(&hosts[i], DNS_RECORD_TYPE_A, &rcode);
        if (r == 0)
            r = add_addresses(&hosts[i], DNS_RECORD_TYPE_AAAA, &rcode);
        results[i] =
            (dns_mail_host){hosts[i].name, mx[i]->preference, {hosts[i].n, hosts[i].addresses}};
    }
    r = r < 0
            ? dns_throw_failure(request, domain, r, 0)
            : dns_mail_return(request, &(dns_mail_hosts){DNS_MAIL_SOURCE_MX, domain, {n, results}});
    free(hosts);
    return r;
}

static int by_address(ferry_request *request, const char *domain, bool is_alias) {
    Host host = {.n = 0};
    dns_mail_host result;
    int r, rcode, other = 0;

    set_name(&host, domain);
    r = add_addresses(&host, DNS_RECORD_TYPE_A, &rcode);
    if (r == 0)
        r = add_addresses(&host, DNS_RECORD_TYPE_AAAA, &other);
    if (r < 0 || (host.n == 0 && (rcode | other) != 0))
        return dns_throw_failure(request, domain, r, rcode ? rcode : other);
    if (host.n == 0)
        return dns_throw_no_mail_host(
            request, &(dns_no_mail_host){domain, "the domain has neither MX nor A nor AAAA"});
    result = (dns_mail_host){host.name, 0, {host.n, host.addresses}};
    return dns_mail_return(
        request, &(dns_mail_hosts){is_alias ? DNS_MAIL_SOURCE_CNAME : DNS_MAIL_SOURCE_ADDRESS,
                                   domain,
                                   {1, &result}});
}

/* Lists the MX records of the last alias, sorted. Returns their number. */
static size_t list_mx(const Aliases *aliases, const ResolverAnswer *answer,
                      const ResolverRecord **mx) {
    size_t n = 0;

    for (size_t i = 0; i < answer->n; i++)
        if (answer->records[i].type == DNS_RECORD_TYPE_MX &&
            strcasecmp(answer->records[i].name, last(aliases)) == 0)
            mx[n++] = &answer->records[i];
    qsort(mx, n, sizeof(*mx), by_preference);
    return n;
}

/* 1: the request was answered. 0: ask about the last alias next. */
static int step(ferry_request *request, Aliases *aliases, int *ret) {
    const ResolverRecord *mx[RESOLVER_RECORDS_MAX];
    size_t asked = aliases->n, n;
    ResolverAnswer answer;
    int r = resolver_ask(&answer, last(aliases), DNS_RECORD_TYPE_MX);

    if (r == 0 && !follow(aliases, &answer))
        *ret = throw_loop(request, aliases);
    else if (r < 0 || answer.rcode != 0)
        *ret = dns_throw_failure(request, last(aliases), r, answer.rcode);
    else if ((n = list_mx(aliases, &answer, mx)) == 1 && strcmp(mx[0]->data, ".") == 0)
        *ret =
            dns_throw_no_mail(request, &(dns_no_mail){last(aliases), "the domain takes no mail"});
    else if (n > 0)
        *ret = by_mx(request, last(aliases), mx, n);
    else if (aliases->n == asked)
        *ret = by_address(request, last(aliases), aliases->n > 1);
    else
        r = 1;
    resolver_free(&answer);
    return r != 1;
}

int mail(ferry_request *request, const char *domain, void *ctx) {
    size_t len = strlen(domain);
    Aliases aliases = {.n = 1};
    int r = 0;

    (void)ctx;
    if (len == 0 || len > 255)
        return dns_throw_failure(request, domain, -EINVAL, 0);
    snprintf(aliases.names[0], RESOLVER_NAME_MAX, "%s%s", domain,
             domain[len - 1] == '.' ? "" : ".");
    while (!step(request, &aliases, &r))
        ;
    return r;
}
