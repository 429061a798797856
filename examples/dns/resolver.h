/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One question to the DNS, by c-ares, and the records of its answer. */

#include <stddef.h>
#include <stdint.h>

enum {
    RESOLVER_NAME_MAX = 1024, /* 255 bytes; unprintable ones become \DDD */
    RESOLVER_RECORDS_MAX = 500,
    RESOLVER_NO_ANSWER = -1 /* not an rcode: no server answered */
};

typedef struct ResolverRecord {
    char name[RESOLVER_NAME_MAX], data[RESOLVER_NAME_MAX];
    int64_t ttl;
    int type, preference;
} ResolverRecord;

typedef struct ResolverAnswer {
    int rcode; /* 0; 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED, …; RESOLVER_NO_ANSWER */
    size_t n;
    ResolverRecord *records; /* of the types A, NS, CNAME, MX, AAAA */
} ResolverAnswer;

/* Asks for one type. 0; -EINVAL: not a name of the DNS; -ENOMEM. */
int resolver_ask(ResolverAnswer *ret, const char *name, int type);
void resolver_free(ResolverAnswer *answer);
