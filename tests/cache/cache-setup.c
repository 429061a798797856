/* SPDX-License-Identifier: Apache-2.0 */
/* The servers behind a cache under test. See cache-setup.h. */

#include "cache-setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Three nodes with a third of the slots each. */
static void form_cluster(CacheSetup *setup) {
    char words[128];

    for (size_t i = 0; i < SETUP_SERVERS; i++) {
        size_t first = i * 16384 / SETUP_SERVERS, last = (i + 1) * 16384 / SETUP_SERVERS - 1;

        redis_start_cluster_node(&setup->servers[i]);
        snprintf(words, sizeof(words), "CLUSTER ADDSLOTSRANGE %zu %zu", first, last);
        redis_ask(&setup->servers[i], words);
        snprintf(words, sizeof(words), "CLUSTER MEET 127.0.0.1 %u", setup->servers[0].port);
        if (i > 0)
            redis_ask(&setup->servers[i], words);
    }
    for (size_t i = 0; i < SETUP_SERVERS; i++)
        for (int tries = 0;; tries++) {
            const char *slots = redis_ask(&setup->servers[i], "CLUSTER SLOTS");

            /* "*3": this one knows all of them. It may refuse keys for a while even so. */
            if (strncmp(slots, "*3\r\n", 4) == 0 &&
                strstr(redis_ask(&setup->servers[i], "CLUSTER INFO"), "cluster_state:ok"))
                break;
            if (tries == 1000) {
                fprintf(stderr, "the cluster does not form\n");
                exit(EXIT_FAILURE);
            }
            sleep_ms(20);
        }
}

bool cache_setup(CacheSetup *setup, const char *name) {
    *setup = (CacheSetup){.n = 0};
    strcpy(setup->url, "memory://");
    if (strcmp(name, "memory") == 0)
        return true;
    if (!redis_available())
        return false;
    if (strcmp(name, "cluster") == 0) {
        setup->n = SETUP_SERVERS;
        form_cluster(setup);
        snprintf(setup->url, sizeof(setup->url), "redis+cluster://127.0.0.1:%u",
                 setup->servers[1].port);
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

void cache_setup_end(CacheSetup *setup) {
    for (size_t i = 0; i < setup->n; i++)
        redis_stop(&setup->servers[i]);
}
