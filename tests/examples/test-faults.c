/* SPDX-License-Identifier: Apache-2.0 */
/* The example faults: each fault has a type, a number and its cause. */

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "examples/stage.h"
#include "faults.h"

static Stage stage;

/* A socket on a free port of loopback. */
static int hold_port(int *ret_port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, len), 0);
    CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* ---- the hazard ---- */

static void errno_and_gai_codes_are_two_languages(void) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *addresses = NULL;
    int code = getaddrinfo("non_existent_hostname.com", "80", &hints, &addresses);

    CU_ASSERT_EQUAL(code, EAI_NONAME);
    CU_ASSERT_STRING_EQUAL(gai_strerror(code), "Name or service not known");
    /* strerror() has a wrong text for a code of getaddrinfo(), which is not an errno. */
    CU_ASSERT_STRING_NOT_EQUAL(strerror(-code), gai_strerror(code));
}

/* ---- the low layer ---- */

static void check_os_error(int r, int error_number, const char *name, const char *call) {
    const faults_os_error *e = faults_os_error_in(&stage.error);

    CU_ASSERT_EQUAL(r, -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT_EQUAL(e->error_number, error_number);
    CU_ASSERT_STRING_EQUAL(e->name, name);
    CU_ASSERT_STRING_EQUAL(e->text, strerror(error_number));
    CU_ASSERT_STRING_EQUAL(e->call, call);
}

static faults_held_ports held(void) {
    faults_held_ports ports = {0, 0}, *got = NULL;

    CU_ASSERT_EQUAL(faults_ports(stage.client, &got, &stage.error), 0);
    if (got)
        ports = *got;
    ferry_free(got);
    return ports;
}

static void system_errors_arrive_with_errno_and_call(void) {
    int port = held().closed;

    check_os_error(faults_connect(stage.client, "127.0.0.1", port, &stage.error), ECONNREFUSED,
                   "ECONNREFUSED", "connect");
    check_os_error(faults_connect(stage.client, "localhost", port, &stage.error), ECONNREFUSED,
                   "ECONNREFUSED", "connect");
    check_os_error(faults_bind_taken(stage.client, &stage.error), EADDRINUSE, "EADDRINUSE", "bind");
    CU_ASSERT_EQUAL(faults_send_to_closed(stage.client, &stage.error), -EREMOTEIO);
    CU_ASSERT(faults_os_error_in(&stage.error) &&
              (faults_os_error_in(&stage.error)->error_number == EPIPE ||
               faults_os_error_in(&stage.error)->error_number == ECONNRESET));
}

static void name_errors_arrive_with_their_code(void) {
    ferry_list_string *addresses = NULL;
    const faults_gai_error *e;

    CU_ASSERT_EQUAL(faults_connect(stage.client, "non_existent_hostname.com", 80, &stage.error),
                    -EREMOTEIO);
    e = faults_gai_error_in(&stage.error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(e);
    CU_ASSERT_EQUAL(e->code, EAI_NONAME);
    CU_ASSERT_STRING_EQUAL(e->name, "EAI_NONAME");
    CU_ASSERT_STRING_EQUAL(stage.error.message, "[Errno -2] Name or service not known");
    CU_ASSERT_EQUAL(
        faults_resolve(stage.client, "::1", "no-such-service", &addresses, &stage.error),
        -EREMOTEIO);
    e = faults_gai_error_in(&stage.error);
    CU_ASSERT(e && e->code == EAI_SERVICE);
    CU_ASSERT_EQUAL(faults_resolve(stage.client, "::1", "80", &addresses, &stage.error), 0);
    CU_ASSERT(addresses && addresses->n == 1 && strcmp(addresses->v[0], "::1") == 0);
    ferry_free(addresses);
}

static void silence_is_a_timeout_with_its_length(void) {
    const faults_timeout *e;

    CU_ASSERT_EQUAL(faults_receive_from_silent(stage.client, 20, &stage.error), -EREMOTEIO);
    e = faults_timeout_in(&stage.error);
    CU_ASSERT(e && e->waited_ms == 20 && strcmp(e->call, "recv") == 0);
}

static void no_other_host_is_connected_to(void) {
    static const char *const hosts[] = {"192.0.2.1", "8.8.8.8",   "2001:db8::1", "0.0.0.0",
                                        "127.0.0.1", "127.0.0.2", "::1"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        const faults_forbidden *e;

        CU_ASSERT_EQUAL(faults_connect(stage.client, hosts[i], 80, &stage.error), -EREMOTEIO);
        e = faults_forbidden_in(&stage.error);
        CU_ASSERT(e && strcmp(e->host, hosts[i]) == 0 && e->port == 80);
    }
}

/* ---- layers ---- */

static void a_low_layer_passes_errors_on(void) {
    char *line = NULL;

    CU_ASSERT_EQUAL(
        faults_http_get(stage.client, "non_existent_hostname.com", 80, &line, &stage.error),
        -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(faults_gai_error_in(&stage.error));
    CU_ASSERT_PTR_NULL(ferry_error_cause(&stage.error));
}

static void a_high_layer_wraps_them_and_keeps_the_cause(void) {
    const faults_url_error *outer;
    const faults_gai_error *gai;
    const faults_os_error *os;
    int port = held().closed;
    char *line = NULL, url[64];

    CU_ASSERT_EQUAL(faults_urlopen(stage.client, "non_existent_hostname.com", &line, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(faults_value_error_in(&stage.error));
    CU_ASSERT_STRING_EQUAL(stage.error.message, "unknown url type: 'non_existent_hostname.com'");

    CU_ASSERT_EQUAL(
        faults_urlopen(stage.client, "http://non_existent_hostname.com", &line, &stage.error),
        -EREMOTEIO);
    outer = faults_url_error_in(&stage.error);
    gai = faults_gai_error_in(ferry_error_cause(&stage.error));
    CU_ASSERT_FATAL(outer && gai);
    CU_ASSERT_STRING_EQUAL(outer->url, "http://non_existent_hostname.com");
    CU_ASSERT_EQUAL(gai->code, EAI_NONAME);
    CU_ASSERT_PTR_NULL(ferry_error_cause(ferry_error_cause(&stage.error)));

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    CU_ASSERT_EQUAL(faults_urlopen(stage.client, url, &line, &stage.error), -EREMOTEIO);
    os = faults_os_error_in(ferry_error_cause(&stage.error));
    CU_ASSERT(os && os->error_number == ECONNREFUSED);

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", held().silent);
    CU_ASSERT_EQUAL(faults_urlopen(stage.client, url, &line, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(faults_timeout_in(ferry_error_cause(&stage.error)));
}

static void *answer_once(void *listener) {
    int fd = accept(*(int *)listener, NULL, NULL);
    char request[64];

    recv(fd, request, sizeof(request), 0);
    send(fd, "HTTP/1.0 204 No", 15, MSG_NOSIGNAL);
    send(fd, " Content\r\n\r\n", 12, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

static void calls_without_a_fault_are_answered(void) {
    int port, listener = hold_port(&port);
    char *line = NULL, url[64];
    pthread_t thread;

    CU_ASSERT_EQUAL(listen(listener, 1), 0);
    snprintf(url, sizeof(url), "%d", port);
    setenv("FAULTS_PORT", url, 1);
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, answer_once, &listener), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    CU_ASSERT_EQUAL(faults_urlopen(stage.client, url, &line, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(line, "HTTP/1.0 204 No Content");
    ferry_free(line);
    pthread_join(thread, NULL);
    close(listener);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(errno_and_gai_codes_are_two_languages),
        TEST(system_errors_arrive_with_errno_and_call),
        TEST(name_errors_arrive_with_their_code),
        TEST(silence_is_a_timeout_with_its_length),
        TEST(no_other_host_is_connected_to),
        TEST(a_low_layer_passes_errors_on),
        TEST(a_high_layer_wraps_them_and_keeps_the_cause),
        TEST(calls_without_a_fault_are_answered),
        TESTS_END,
    };
    int status;

    stage_open(&stage, faults_start);
    status = run_suite("example faults", tests);
    stage_close(&stage);
    return status;
}
