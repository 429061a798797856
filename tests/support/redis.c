/* SPDX-License-Identifier: Apache-2.0 */
/* A redis-server for a test. See redis.h. */

#include "support/redis.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/process.h"

enum { WORDS_MAX = 64, CLUSTER_SLOTS = 16384 };

static void pause_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void give_up(const char *what) {
    fprintf(stderr, "test redis: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

bool redis_available(void) {
    return access("/usr/bin/redis-server", X_OK) == 0 ||
           access("/usr/local/bin/redis-server", X_OK) == 0;
}

static void run_server(RedisServer *server) {
    const char *const *extra = server->words;
    char port[8], *argv[WORDS_MAX] = {"redis-server",
                                      "--port",
                                      port,
                                      "--bind",
                                      "127.0.0.1",
                                      "--unixsocket",
                                      server->socket,
                                      "--dir",
                                      server->folder,
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "no",
                                      "--loglevel",
                                      "warning",
                                      "--databases",
                                      "16",
                                      "--protected-mode",
                                      "no"};
    size_t n = 19;

    /* A Sentinel has its settings in a file, to which it also writes. */
    if (server->sentinel) {
        for (n = 1; *extra; extra++)
            argv[n++] = (char *)(uintptr_t)*extra;
        memset(argv + n, 0, (WORDS_MAX - n) * sizeof(*argv));
    }

    snprintf(port, sizeof(port), "%u", server->port);
    if (server->cluster) {
        argv[n++] = "--cluster-enabled";
        argv[n++] = "yes";
        /* A long time, so that servers on a busy machine do not regard each other as lost. */
        argv[n++] = "--cluster-node-timeout";
        argv[n++] = "30000";
        argv[n++] = "--cluster-require-full-coverage";
        argv[n++] = "no";
    }
    if (server->tls) {
        argv[2] = "0";
        argv[n++] = "--tls-port";
        argv[n++] = port;
    }
    for (; extra && *extra && n < WORDS_MAX - 1; extra++)
        argv[n++] = (char *)(uintptr_t)*extra;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout))
        _exit(127);
    execvp("redis-server", argv);
    _exit(127);
}

/* False: it ended at once, probably because another process has taken its port. */
static bool launch(RedisServer *server) {
    unlink(server->socket);
    fflush(NULL); /* otherwise the child writes buffered output again */
    server->pid = fork();
    if (server->pid < 0)
        give_up("fork");
    if (server->pid == 0)
        run_server(server);
    for (int i = 0; i < 12000; i++) {
        const char *line = redis_ask(server, "PING");

        if (line[0] == '+' || line[0] == '-')
            return true;
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid)
            return false;
        pause_ms(10);
    }
    give_up("redis-server does not answer");
    return false;
}

static void prepare(RedisServer *server) {
    *server = (RedisServer){.port = free_port()};
    strcpy(server->folder, "/tmp/ferry-redis-XXXXXX");
    if (!mkdtemp(server->folder))
        give_up("mkdtemp");
    snprintf(server->socket, sizeof(server->socket), "%s/redis.sock", server->folder);
}

static void launch_somewhere(RedisServer *server, const char *const *words) {
    server->words = words;
    for (int i = 0; i < 10; i++, server->port = free_port())
        if (launch(server))
            return;
    give_up("redis-server does not start");
}

void redis_start(RedisServer *server, const char *const *words) {
    prepare(server);
    launch_somewhere(server, words);
}

/* ---- TLS ---- */

static char certificates[64];

static void remove_certificates(void) {
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", certificates);
    if (system(command) != 0)
        give_up(command);
}

const char *redis_certificates(void) {
    static const char *const commands =
        "cd '%s' && exec 2>/dev/null && set -e\n"
        "new='openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30'\n"
        "$new -subj '/CN=ferry test' -keyout ca.key -out ca.crt\n"
        "$new -subj '/CN=stranger' -keyout other.key -out other.crt\n"
        "$new -subj '/CN=redis' -addext 'subjectAltName = IP:127.0.0.1, DNS:localhost' "
        "-addext 'basicConstraints = critical, CA:FALSE' "
        "-CA ca.crt -CAkey ca.key -keyout server.key -out server.crt\n";
    char script[1024];

    if (certificates[0])
        return certificates;
    strcpy(certificates, "/tmp/ferry-redis-XXXXXX");
    if (!mkdtemp(certificates))
        give_up("mkdtemp");
    snprintf(script, sizeof(script), commands, certificates);
    atexit(remove_certificates);
    return system(script) == 0 ? certificates : NULL;
}

void redis_start_tls(RedisServer *server, bool clients) {
    static char ca[96], certificate[96], key[96];
    static const char *words[] = {"--tls-ca-cert-file",
                                  ca,
                                  "--tls-cert-file",
                                  certificate,
                                  "--tls-key-file",
                                  key,
                                  "--tls-auth-clients",
                                  NULL,
                                  NULL};
    const char *folder = redis_certificates();

    snprintf(ca, sizeof(ca), "%s/ca.crt", folder);
    snprintf(certificate, sizeof(certificate), "%s/server.crt", folder);
    snprintf(key, sizeof(key), "%s/server.key", folder);
    words[7] = clients ? "yes" : "no";
    prepare(server);
    server->tls = true;
    launch_somewhere(server, words);
}

/* ---- Sentinel ---- */

void redis_start_sentinel(RedisServer *sentinel, const RedisServer *master) {
    static char path[96];
    static const char *const words[] = {path, "--sentinel", NULL};
    FILE *file;

    prepare(sentinel);
    snprintf(path, sizeof(path), "%s/sentinel.conf", sentinel->folder);
    file = fopen(path, "w");
    if (!file)
        give_up(path);
    /* A long time, so that a master on a busy machine does not count as lost. */
    fprintf(file,
            "port %u\nbind 127.0.0.1\nunixsocket %s\ndir %s\n"
            "sentinel monitor mymaster 127.0.0.1 %u 1\n"
            "sentinel down-after-milliseconds mymaster 20000\n",
            sentinel->port, sentinel->socket, sentinel->folder, master->port);
    fclose(file);
    sentinel->sentinel = true;
    launch_somewhere(sentinel, words);
}

static void end_process(RedisServer *server) {
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void redis_restart(RedisServer *server) {
    end_process(server);
    if (!launch(server))
        give_up("redis-server does not start again");
}

/* Writes the file in which a server stores its cluster, so that the servers know each other at the
 * start. Server i is a master if i < n_masters, and else the replica of server i - n_masters. */
static void write_nodes(const RedisServer *servers, size_t n, size_t n_masters, size_t myself) {
    char path[384];
    FILE *file;

    snprintf(path, sizeof(path), "%s/nodes.conf", servers[myself].folder);
    file = fopen(path, "w");
    if (!file)
        give_up(path);
    for (size_t i = 0; i < n; i++) {
        size_t shard = i % n_masters;

        fprintf(file, "%040zu 127.0.0.1:%u@%u %s", i + 1, servers[i].port, servers[i].port + 10000u,
                i == myself ? "myself," : "");
        if (i < n_masters)
            fprintf(file, "master - 0 0 %zu connected %zu-%zu\n", i + 1,
                    i * CLUSTER_SLOTS / n_masters, (i + 1) * CLUSTER_SLOTS / n_masters - 1);
        else
            fprintf(file, "slave %040zu 0 0 %zu connected\n", shard + 1, shard + 1);
    }
    fprintf(file, "vars currentEpoch %zu lastVoteEpoch 0\n", n_masters);
    fclose(file);
}

static bool launch_cluster(RedisServer *servers, size_t n, size_t n_masters,
                           const char *const *words) {
    for (size_t i = 0; i < n; i++) {
        prepare(&servers[i]);
        servers[i].cluster = true;
        servers[i].words = words;
    }
    for (size_t i = 0; i < n; i++) {
        write_nodes(servers, n, n_masters, i);
        if (!launch(&servers[i])) {
            for (size_t j = 0; j < n; j++)
                redis_stop(&servers[j]);
            return false;
        }
    }
    return true;
}

/* Waits until the reply to a command has this text. */
static void until_says(const RedisServer *server, const char *words, const char *text) {
    for (int tries = 0; !strstr(redis_ask(server, words), text); tries++) {
        if (tries == 6000)
            give_up("the cluster does not form");
        pause_ms(10);
    }
}

static void start_cluster(RedisServer *servers, size_t n, size_t n_masters,
                          const char *const *words) {
    int tries = 0;

    while (!launch_cluster(servers, n, n_masters, words))
        if (++tries == 10)
            give_up("the cluster does not start");
    /* A server of a cluster accepts no keys for its first 2 s. */
    for (size_t i = 0; i < n; i++)
        until_says(&servers[i], "CLUSTER INFO", "cluster_state:ok");
}

void redis_start_cluster(RedisServer *servers, size_t n) {
    start_cluster(servers, n, n, NULL);
}

void redis_start_replicated_cluster(RedisServer *servers, size_t n, const char *const *words) {
    start_cluster(servers, 2 * n, n, words);
    for (size_t i = 0; i < n; i++)
        until_says(&servers[i], "WAIT 1 100", ":1");
}

void redis_freeze(RedisServer *server) {
    kill(server->pid, SIGSTOP);
}

void redis_unfreeze(RedisServer *server) {
    kill(server->pid, SIGCONT);
}

void redis_kill(RedisServer *server) {
    end_process(server);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

void redis_stop(RedisServer *server) {
    end_process(server);
    nftw(server->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *redis_ask(const RedisServer *server, const char *words) {
    static char line[4096];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;

    line[0] = '\0';
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", server->socket);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
        dprintf(fd, "%s\r\n", words) > 0)
        while (len < sizeof(line) - 1 && !strstr(line, "\r\n")) {
            struct pollfd wait = {.fd = fd, .events = POLLIN};
            ssize_t n =
                poll(&wait, 1, 60000) == 1 ? read(fd, line + len, sizeof(line) - 1 - len) : 0;

            if (n <= 0)
                break;
            len += (size_t)n;
            line[len] = '\0';
        }
    if (fd >= 0)
        close(fd);
    return line;
}
