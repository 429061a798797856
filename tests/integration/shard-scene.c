/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that share shards, and their Redis. See shard-scene.h. */

#include "integration/shard-scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/suite.h"

static void start_redis(Scene *scene, size_t n_servers, const char *lease, const char *settings) {
    static const char *const redis_words[] = {"--appendonly", "yes", NULL};
    int n;

    scene->n_servers = n_servers;
    if (n_servers == 1)
        redis_start(&scene->servers[0], redis_words);
    else
        redis_start_cluster(scene->servers, n_servers);
    n = snprintf(scene->config, sizeof(scene->config),
                 "[queue >]\nmax_attempts = 0\n%s[broker]\nstore = redis%s://", settings,
                 n_servers == 1 ? "" : "+cluster");
    for (size_t i = 0; i < n_servers; i++)
        n += snprintf(scene->config + n, sizeof(scene->config) - (size_t)n, "%s127.0.0.1:%u",
                      i == 0 ? "" : ",", scene->servers[i].port);
    snprintf(scene->config + n, sizeof(scene->config) - (size_t)n, "?name=s&shards=%d&lease=%s\n",
             SHARDS, lease);
}

static size_t n_shards_of(const Scene *scene, unsigned i) {
    char text[60];
    size_t n = 0;

    for (unsigned k = 0; k < SHARDS; k++) {
        snprintf(text, sizeof(text), "HGET ferry:{s.%u} holder", k);
        for (size_t server = 0; server < scene->n_servers; server++) {
            const char *at = strstr(redis_ask(&scene->servers[server], text), "process ");

            n += at && atoi(at + strlen("process ")) == scene->brokers[i].process.pid;
        }
    }
    return n;
}

void scene_until_spread(const Scene *scene) {
    uint64_t until_ms = clock_ms() + PATIENCE_MS;
    size_t n = 0, n_right = 0;

    for (unsigned i = 0; i < BROKERS; i++)
        n += scene->runs[i];
    while (n_right < n && clock_ms() < until_ms) {
        sleep_ms(LOOK_MS);
        n_right = 0;
        for (unsigned i = 0; i < BROKERS; i++)
            n_right += scene->runs[i] && n_shards_of(scene, i) == SHARDS / n;
    }
    CU_ASSERT_EQUAL(n_right, n);
}

void scene_begin_with(Scene *scene, size_t n_servers, const char *lease, const char *settings) {
    start_redis(scene, n_servers, lease, settings);
    for (unsigned i = 0; i < BROKERS; i++) {
        daemon_start(&scene->brokers[i],
                     &(DaemonOptions){.tcp = true, .config = scene->config, .level = "info"});
        scene->runs[i] = true;
    }
    scene_until_spread(scene);
    for (unsigned i = 0; i < BROKERS; i++)
        scene->clients[i] = open_with(scene->brokers[i].url, NULL);
}

void scene_end(Scene *scene) {
    for (unsigned i = 0; i < BROKERS; i++)
        ferry_close(scene->clients[i]);
    for (unsigned i = 0; i < BROKERS; i++)
        if (*scene->brokers[i].folder)
            daemon_end(&scene->brokers[i]);
    for (size_t i = 0; i < scene->n_servers; i++)
        redis_stop(&scene->servers[i]);
}

void scene_kill(Scene *scene, unsigned broker) {
    ferry_close(scene->clients[broker]);
    scene->clients[broker] = NULL;
    daemon_kill(&scene->brokers[broker]);
    scene->runs[broker] = false;
}
