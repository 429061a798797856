/* SPDX-License-Identifier: Apache-2.0 */
/* Real brokers for tests. See broker.h. */

#include "support/broker.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The file of a socket is there before its broker listens. */
static bool is_listening(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens;

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    listens = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return listens;
}

static void start(TestBroker *broker) {
    const char *program = getenv("FERRY_TEST_BROKER");
    const char *level = getenv("FERRY_TEST_LOG");
    char path[100];

    if (!program) {
        fprintf(stderr, "FERRY_TEST_BROKER is not set: run this by meson test\n");
        exit(77);
    }
    snprintf(path, sizeof(path), "%s/broker", broker->folder);
    unlink(path);
    broker->pid = fork();
    if (broker->pid == 0) {
        /* If the test crashes, the broker must end too. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(program, program, strstr(broker->url, "ipc://"), level ? level : "error",
              (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 12000 && !is_listening(path); i++)
        usleep(5000);
}

void broker_spawn(TestBroker *broker) {
    const char *transport = getenv("FERRY_TEST_TRANSPORT");

    strcpy(broker->folder, "/tmp/ferry-test-XXXXXX");
    if (!mkdtemp(broker->folder))
        exit(77);
    snprintf(broker->url, sizeof(broker->url), "%sipc://%s/broker", transport ? transport : "",
             broker->folder);
    start(broker);
}

void broker_respawn(TestBroker *broker) {
    start(broker);
}

static void end(TestBroker *broker, int with) {
    if (broker->pid <= 0)
        return;
    kill(broker->pid, with);
    waitpid(broker->pid, NULL, 0);
    broker->pid = 0;
}

void broker_kill(TestBroker *broker) {
    end(broker, SIGKILL);
}

void broker_drain(TestBroker *broker) {
    kill(broker->pid, SIGTERM);
    usleep(20000);
    end(broker, SIGTERM);
}

void broker_terminate(TestBroker *broker) {
    static const char *const files[] = {"broker", "broker.lock"};
    char path[128];

    end(broker, SIGKILL);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        snprintf(path, sizeof(path), "%s/%s", broker->folder, files[i]);
        unlink(path);
    }
    rmdir(broker->folder);
}

const ferry_options *test_options(const ferry_options *options) {
    static _Thread_local ferry_options direct;

    if (!getenv("FERRY_TEST_DIRECT"))
        return options;
    direct = options ? *options : (ferry_options){0};
    direct.direct = true;
    return &direct;
}

const ferry_serve_options *test_serve_options(const ferry_serve_options *options) {
    static _Thread_local ferry_serve_options direct;

    if (!getenv("FERRY_TEST_DIRECT"))
        return options;
    direct = options ? *options : (ferry_serve_options){0};
    if (!direct.listen)
        direct.listen = "tcp://127.0.0.1:*";
    return &direct;
}

void broker_list(TestBroker *all, const char *url) {
    size_t used = strlen(all->url), len = strlen(url);

    if (used + 1 + len >= sizeof(all->url))
        abort(); /* no suite may have begun yet */
    if (used > 0)
        all->url[used++] = ',';
    memcpy(all->url + used, url, len + 1);
}

ferry_client *connect_client(const TestBroker *broker) {
    ferry_client *client = NULL;
    ferry_error error = FERRY_ERROR_INIT;

    if (ferry_open(broker->url, NULL, &client, &error) < 0 || ferry_ping(client, NULL, &error) < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    return client;
}

bool process_both_until(ferry_client *one, ferry_client *two, const int *n, int wanted) {
    uint64_t until_ms = clock_ms() + 120000;

    while (*n < wanted && clock_ms() < until_ms) {
        int before = *n;

        ferry_process(one, NULL);
        if (two)
            ferry_process(two, NULL);
        if (*n == before)
            usleep(100);
    }
    return *n >= wanted;
}

bool process_until(ferry_client *client, const int *n, int wanted) {
    return process_both_until(client, NULL, n, wanted);
}

static void *run(void *arg) {
    Runner *runner = arg;
    ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(runner->broker->url, NULL, &runner->client, &error);

    if (r == 0)
        r = runner->set_up(runner->client, runner->ctx);
    __atomic_store_n(&runner->ready, r < 0 ? -1 : 1, __ATOMIC_RELEASE);
    if (r == 0)
        r = ferry_run(runner->client, &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    ferry_error_clear(&error);
    ferry_close(runner->client);
    return NULL;
}

void runner_start(Runner *runner, const TestBroker *broker,
                  int (*set_up)(ferry_client *client, void *ctx), void *ctx) {
    *runner = (Runner){.broker = broker, .set_up = set_up, .ctx = ctx};
    pthread_create(&runner->thread, NULL, run, runner);
    while (__atomic_load_n(&runner->ready, __ATOMIC_ACQUIRE) == 0)
        usleep(1000);
    if (runner->ready < 0) {
        fprintf(stderr, "a client could not be set up\n");
        exit(EXIT_FAILURE);
    }
}

void runner_stop(Runner *runner) {
    if (runner->ready == 1)
        ferry_stop(runner->client);
    pthread_join(runner->thread, NULL);
}

int64_t reply_int(const ferry_reply *reply) {
    int64_t value = INT64_MIN;

    if (reply)
        ferry_unpack(reply->body, NULL, "l", &value);
    return value;
}
