/* SPDX-License-Identifier: Apache-2.0 */
/* The example probe: the three outcomes over both families, and hosts that are not allowed. */

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include "examples/stage.h"
#include "examples/world.h"
#include "probe.h"

static Stage stage;

static int probe(const char *host, uint16_t port, probe_family family, probe_reached **ret) {
    char text[8];

    snprintf(text, sizeof(text), "%u", port);
    return probe_connect(stage.client, host, text, family, ret, &stage.error);
}

/* The hazard: a program that tries only the first address of the list. */
static void the_first_address_alone_may_refuse(void) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    probe_reached *reached = NULL;
    char text[8];
    uint16_t port;
    int listener = listen_on("127.0.0.1", &port), fd;

    snprintf(text, sizeof(text), "%u", port);
    CU_ASSERT_EQUAL_FATAL(getaddrinfo("example.test", text, &hints, &found), 0);
    CU_ASSERT_EQUAL(found->ai_family, AF_INET6);
    fd = socket(found->ai_family, found->ai_socktype, 0);
    CU_ASSERT(connect(fd, found->ai_addr, found->ai_addrlen) < 0 && errno == ECONNREFUSED);
    close(fd);
    freeaddrinfo(found);

    CU_ASSERT_EQUAL(probe("example.test", port, PROBE_FAMILY_ANY, &reached), 0);
    CU_ASSERT(reached && strcmp(reached->host, "example.test") == 0 && reached->port == port &&
              strcmp(reached->address, "127.0.0.1") == 0 && reached->family == PROBE_FAMILY_INET);
    CU_ASSERT(
        reached && reached->attempts.n == 2 && reached->attempts.v[0].os_errno == ECONNREFUSED &&
        strcmp(reached->attempts.v[0].address, "::1") == 0 && reached->attempts.v[1].os_errno == 0);
    ferry_free(reached);
    close(listener);
}

static void a_listener_is_reached_over_either_family(void) {
    static const char *const addresses[] = {"127.0.0.1", "::1"};

    for (int i = 0; i < 2; i++) {
        probe_reached *reached = NULL;
        uint16_t port;
        int listener = listen_on(addresses[i], &port);

        CU_ASSERT_EQUAL(probe("www.example.test", port,
                              i == 0 ? PROBE_FAMILY_INET : PROBE_FAMILY_INET6, &reached),
                        0);
        CU_ASSERT(reached && strcmp(reached->host, "example.test") == 0 &&
                  strcmp(reached->address, addresses[i]) == 0);
        ferry_free(reached);
        close(listener);
    }
}

static void an_unknown_name_is_typed(void) {
    probe_reached *reached = NULL;
    const probe_name_failure *e;

    CU_ASSERT_EQUAL(probe("not-exists-website.aaa", 80, PROBE_FAMILY_ANY, &reached), -EREMOTEIO);
    e = probe_name_failure_in(&stage.error);
    CU_ASSERT(e && e->code == EAI_NONAME && strcmp(e->name, "EAI_NONAME") == 0 &&
              strcmp(e->message, "Name or service not known") == 0 &&
              strcmp(e->host, "not-exists-website.aaa") == 0);
}

static void a_refused_connection_has_its_errno_for_each_address(void) {
    probe_reached *reached = NULL;
    const probe_connection_failure *e;
    uint16_t port;

    close(listen_on("127.0.0.1", &port));
    CU_ASSERT_EQUAL(probe("example.test", port, PROBE_FAMILY_ANY, &reached), -EREMOTEIO);
    e = probe_connection_failure_in(&stage.error);
    CU_ASSERT(e && e->os_errno == ECONNREFUSED && strcmp(e->name, "ECONNREFUSED") == 0 &&
              strcmp(e->message, "Connection refused") == 0 && e->attempts.n == 2 &&
              e->port == port);
}

/* The second SYN to a full backlog of one gets no answer: the server's time ends before ours. */
static void silence_is_a_timeout(void) {
    probe_reached *reached = NULL;
    const probe_connection_failure *e;
    ferry_client *hasty = NULL;
    uint16_t port;
    int listener = listen_on("127.0.0.1", &port), fill[2];
    struct sockaddr_storage to;

    CU_ASSERT_EQUAL(listen(listener, 0), 0);
    getsockname(listener, (struct sockaddr *)&to, &(socklen_t){sizeof(to)});
    for (int i = 0; i < 2; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fill[i], (struct sockaddr *)&to, sizeof(struct sockaddr_in));
    }
    CU_ASSERT_EQUAL(ferry_with(stage.client, &(ferry_options){.timeout_ms = 12000}, &hasty, NULL),
                    0);
    reached = NULL;
    char text[8];

    snprintf(text, sizeof(text), "%u", port);
    CU_ASSERT_EQUAL(
        probe_connect(hasty, "127.0.0.1", text, PROBE_FAMILY_ANY, &reached, &stage.error),
        -EREMOTEIO);
    e = probe_connection_failure_in(&stage.error);
    CU_ASSERT(e && e->os_errno == ETIMEDOUT && strcmp(e->message, "Connection timed out") == 0);
    ferry_close(hasty);
    close(fill[0]);
    close(fill[1]);
    close(listener);
}

static void other_hosts_are_not_touched(void) {
    static const char *const hosts[] = {"192.0.2.1", "localhost.", "127.0.0.2", "", "example.tes"};
    probe_reached *reached = NULL;
    const probe_not_allowed *e;
    uint16_t port, kept;
    int canary = listen_on("192.0.2.1", &port), allowed;

    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
        CU_ASSERT_EQUAL(probe(hosts[i], port, PROBE_FAMILY_ANY, &reached), -EREMOTEIO);
        e = probe_not_allowed_in(&stage.error);
        CU_ASSERT(e && strcmp(e->host, hosts[i]) == 0);
    }
    CU_ASSERT_EQUAL(poll(&(struct pollfd){canary, POLLIN, 0}, 1, 0),
                    0); /* no connection has come */
    /* An entry with a port covers that port alone. */
    allowed = listen_on("::1", &kept);
    CU_ASSERT_EQUAL(probe("::1", kept, PROBE_FAMILY_ANY, &reached), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(probe_not_allowed_in(&stage.error));
    CU_ASSERT_EQUAL(probe("::1", 1, PROBE_FAMILY_ANY, &reached), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(probe_connection_failure_in(&stage.error));
    close(allowed);
    close(canary);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(the_first_address_alone_may_refuse),
        TEST(a_listener_is_reached_over_either_family),
        TEST(an_unknown_name_is_typed),
        TEST(a_refused_connection_has_its_errno_for_each_address),
        TEST(silence_is_a_timeout),
        TEST(other_hosts_are_not_touched),
        TESTS_END,
    };
    int r;

    setenv("PROBE_ALLOW", "example.test, www.example.test not-exists-website.aaa,127.0.0.1 [::1]:1",
           1);
    world_start();
    stage_open(&stage, probe_start);
    r = run_suite("example probe", tests);
    stage_close(&stage);
    world_end();
    return r;
}
