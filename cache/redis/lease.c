/* SPDX-License-Identifier: Apache-2.0 */
/* Leases in Redis. See lease.h. */

#include "cache/redis/lease.h"

#include <stdio.h>

#include "cache/redis/slots.h"

const char lease_commit_script[] =
    "if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end "
    "redis.call('DEL',KEYS[2]) "
    "if ARGV[2]=='' then "
    "if redis.call('EXISTS',KEYS[1])==1 then return 0 end "
    "elseif redis.call('GETRANGE',KEYS[1],0,#ARGV[2]-1)~=ARGV[2] then return 0 end "
    "if ARGV[4]=='0' then redis.call('SET',KEYS[1],ARGV[3]) "
    "else redis.call('SET',KEYS[1],ARGV[3],'PX',ARGV[4]) end "
    "return 1";

const char lease_release_script[] =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";

static bool has_hash_tag(Span key) {
    const uint8_t *end = key.data + key.len, *open = memchr(key.data, '{', key.len), *close;

    if (!open)
        return false;
    close = memchr(open + 1, '}', (size_t)(end - open - 1));
    return close && close > open + 1;
}

void lease_key(Span key, bool cluster, Buffer *ret) {
    buffer_append(ret, "ferry.lease:", 12);
    if (!cluster || has_hash_tag(key)) {
        buffer_append(ret, key.data, key.len);
    } else if (!memchr(key.data, '}', key.len)) {
        buffer_append(ret, "{", 1);
        buffer_append(ret, key.data, key.len);
        buffer_append(ret, "}", 1);
    } else {
        /* The key has a '}' but no hash tag: if the whole key were put in braces, only a part of it
         * would be the tag. So find another tag with the same slot: 16 384 tries on average, about
         * a millisecond. */
        uint16_t slot = slot_of_key(key);
        char tag[24];
        int len;

        for (unsigned i = 0;; i++) {
            len = snprintf(tag, sizeof(tag), "{%u}", i);
            if (slot_of_key((Span){(const uint8_t *)tag, (size_t)len}) == slot)
                break;
        }
        buffer_append(ret, tag, (size_t)len);
        buffer_append(ret, key.data, key.len);
    }
}
