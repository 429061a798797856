/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SRV records (RFC 2782): a name in the DNS that lists the brokers of a service, with a host, a
 * port, a priority and a weight for each.
 */

#include <stddef.h>
#include <stdint.h>

enum {
    SRV_RECORDS_MAX = 64, /* of one answer; further records are ignored */
    SRV_TARGET_SIZE = 256,
    SRV_PROBLEM_SIZE = 400,
};

typedef struct SrvRecord {
    uint16_t priority, weight, port;
    char target[SRV_TARGET_SIZE];
} SrvRecord;

typedef struct SrvAnswer {
    unsigned n;
    SrvRecord records[SRV_RECORDS_MAX];
    char problem[SRV_PROBLEM_SIZE]; /* the reason for a negative result */
} SrvAnswer;

/* Reads the answer of a name server. Records of other types, and records whose target is not a
 * valid host, are left out. -EBADMSG: it is malformed, or has no record that can be used. */
int srv_read(const uint8_t *bytes, size_t len, SrvAnswer *ret);

/* Orders the records for one client: by priority, and at random by weight among equal priorities.
 * random: any numbers, one for each record. */
void srv_arrange(SrvAnswer *answer, const uint64_t *random);

/* Asks the system's name servers for the records of "_ferry._tcp.NAME". May block for half a
 * minute. -ENOENT, -EBADMSG, -EAGAIN: no name server answers. */
int srv_find(const char *name, SrvAnswer *ret);
