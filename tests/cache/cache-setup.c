/* SPDX-License-Identifier: Apache-2.0 */
/* The servers behind a cache under test. See cache-setup.h. */

#include "cache-setup.h"

#include <stdio.h>
#include <string.h>

bool cache_setup(CacheSetup *setup, const char *name) {
    *setup = (CacheSetup){.n = 0};
    strcpy(setup->url, "memory://");
    if (strcmp(name, "memory") == 0)
        return true;
    if (!redis_available())
        return false;
    if (strcmp(name, "cluster") == 0) {
        setup->n = SETUP_SERVERS;
        redis_start_cluster(setup->servers, SETUP_SERVERS);
        snprintf(setup->url, sizeof(setup->url), "redis+cluster://127.0.0.1:%u",
                 setup->servers[1].port);
        return true;
    }
    if (strcmp(name, "tls") == 0) {
        if (!redis_certificates())
            return false;
        setup->n = 1;
        redis_start_tls(&setup->servers[0], true);
        snprintf(setup->url, sizeof(setup->url),
                 "rediss://localhost:%u/3?ca=%s/ca.crt&cert=%s/server.crt&key=%s/server.key",
                 setup->servers[0].port, redis_certificates(), redis_certificates(),
                 redis_certificates());
        return true;
    }
    if (strcmp(name, "sentinel") == 0) {
        setup->n = 1;
        redis_start(&setup->servers[0], NULL);
        redis_start_sentinel(&setup->sentinel, &setup->servers[0]);
        snprintf(setup->url, sizeof(setup->url), "redis+sentinel://127.0.0.1:%u/mymaster/3",
                 setup->sentinel.port);
        return true;
    }
    setup->n = strcmp(name, "shards") == 0 ? SETUP_SERVERS : 1;
    for (size_t i = 0; i < setup->n; i++)
        redis_start(&setup->servers[i], NULL);
    if (strcmp(name, "unix") == 0)
        snprintf(setup->url, sizeof(setup->url), "redis+unix://%s?db=2", setup->servers[0].socket);
    else if (setup->n > 1)
        snprintf(setup->url, sizeof(setup->url), "redis://127.0.0.1:%u,127.0.0.1:%u,localhost:%u/1",
                 setup->servers[0].port, setup->servers[1].port, setup->servers[2].port);
    else
        snprintf(setup->url, sizeof(setup->url), "redis://127.0.0.1:%u/3", setup->servers[0].port);
    return true;
}

void cache_setup_empty(const CacheSetup *setup) {
    for (size_t i = 0; i < setup->n; i++)
        redis_ask(&setup->servers[i], "FLUSHALL");
}

void cache_setup_end(CacheSetup *setup) {
    for (size_t i = 0; i < setup->n; i++)
        redis_stop(&setup->servers[i]);
    if (setup->sentinel.pid > 0)
        redis_stop(&setup->sentinel);
}
