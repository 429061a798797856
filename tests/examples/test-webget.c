/* SPDX-License-Identifier: Apache-2.0 */
/* The example webget: the same response at each layer, by each framing, and the same failures. */

#include <netdb.h>
#include <sys/socket.h>

#include "dial.h"
#include "examples/stage.h"
#include "examples/world.h"
#include "webget.h"

enum { TEXT_LEN = 135 }; /* of webd.py */

static Stage stage;
static uint16_t plain, secure, elsewhere; /* http; https; https with a certificate for other.test */

static int get(const char *scheme, uint16_t port, const char *path, webget_layer layer,
               int64_t limit, webget_response **ret) {
    char url[200];

    snprintf(url, sizeof(url), "%s://localhost:%u%s", scheme, port, path);
    return webget_get(stage.client, url, layer, &(webget_map_string_string){0, NULL}, limit, ret,
                      &stage.error);
}

static int get_plain(const char *path, webget_layer layer, webget_response **ret) {
    return get("http", plain, path, layer, 1 << 20, ret);
}

/* ---- the hazard ---- */

/* A client that reads until the server closes the connection takes half a body for a whole one. */
static void reading_to_the_end_takes_half_for_all(void) {
    static const char request[] = "GET /short HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const webget_truncated *e;
    char text[8], bytes[4096];
    size_t len = 0;
    ssize_t n;
    Dial dial;

    snprintf(text, sizeof(text), "%u", plain);
    CU_ASSERT_TRUE(dial_host(&dial, AF_INET, "localhost", text, 5000));
    CU_ASSERT_EQUAL(send_all(dial.fd, request, strlen(request)), 0);
    while ((n = recv(dial.fd, bytes + len, sizeof(bytes) - len, 0)) > 0)
        len += (size_t)n;
    CU_ASSERT_EQUAL(n, 0); /* no error, and 865 bytes are missing */
    close(dial.fd);

    for (webget_layer layer = WEBGET_LAYER_LIBRARY; layer <= WEBGET_LAYER_SOCKET; layer++) {
        webget_response *response = NULL;

        CU_ASSERT_EQUAL(get_plain("/short", layer, &response), -EREMOTEIO);
        e = webget_truncated_in(&stage.error);
        CU_ASSERT(e && e->framing == WEBGET_FRAMING_LENGTH && e->expected && *e->expected == 1000 &&
                  e->received == TEXT_LEN);
        CU_ASSERT_EQUAL(get_plain("/cut", layer, &response), -EREMOTEIO);
        e = webget_truncated_in(&stage.error);
        CU_ASSERT(e && e->framing == WEBGET_FRAMING_CHUNKED && !e->expected && e->received == 11);
    }
}

/* ---- the same at each layer ---- */

static void expect_same(const webget_response *one, const webget_response *other) {
    CU_ASSERT_STRING_EQUAL(one->version, other->version);
    CU_ASSERT_STRING_EQUAL(one->reason, other->reason);
    CU_ASSERT(one->status == other->status && one->framing == other->framing);
    CU_ASSERT(one->headers.n == other->headers.n);
    for (size_t i = 0; i < one->headers.n && i < other->headers.n; i++) {
        CU_ASSERT_STRING_EQUAL(one->headers.v[i].name, other->headers.v[i].name);
        CU_ASSERT_STRING_EQUAL(one->headers.v[i].value, other->headers.v[i].value);
    }
    CU_ASSERT(one->body.len == other->body.len &&
              memcmp(one->body.data, other->body.data, one->body.len) == 0);
}

static void all_layers_get_the_same(void) {
    static const struct {
        const char *path;
        webget_framing framing;
        int status;
        size_t len;
    } pages[] = {{"/length", WEBGET_FRAMING_LENGTH, 200, TEXT_LEN},
                 {"/chunked", WEBGET_FRAMING_CHUNKED, 200, TEXT_LEN},
                 {"/close", WEBGET_FRAMING_CLOSE, 200, TEXT_LEN},
                 {"/empty", WEBGET_FRAMING_BODILESS, 204, 0}};

    for (size_t i = 0; i < 2 * sizeof(pages) / sizeof(*pages); i++) {
        bool tls = i % 2;
        const char *path = pages[i / 2].path, *scheme = tls ? "https" : "http";
        uint16_t port = tls ? secure : plain;
        webget_response *one = NULL, *other = NULL;

        CU_ASSERT_EQUAL(get(scheme, port, path, WEBGET_LAYER_LIBRARY, 1 << 20, &one), 0);
        CU_ASSERT_EQUAL(
            get(scheme, port, path, tls ? WEBGET_LAYER_TLS : WEBGET_LAYER_SOCKET, 1 << 20, &other),
            0);
        CU_ASSERT_FATAL(one && other);
        expect_same(one, other);
        CU_ASSERT(one->framing == pages[i / 2].framing && one->status == pages[i / 2].status &&
                  one->body.len == pages[i / 2].len);
        ferry_free(one);
        ferry_free(other);
    }
}

static void parameters_are_quoted_and_shown_in_the_request(void) {
    const webget_map_string_string_entry v[] = {{"q", "Python & 你"}, {"a b", "1/2~"}};
    static const char line[] = "GET /echo?x=1&q=Python+%26+%E4%BD%A0&a+b=1%2F2~ HTTP/1.1\r\n";
    char url[80];

    snprintf(url, sizeof(url), "http://localhost:%u/echo?x=1#part", plain);
    for (webget_layer layer = WEBGET_LAYER_LIBRARY; layer <= WEBGET_LAYER_SOCKET; layer++) {
        webget_response *response = NULL;

        CU_ASSERT_EQUAL(webget_get(stage.client, url, layer, &(webget_map_string_string){2, v},
                                   1 << 20, &response, &stage.error),
                        0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(response);
        CU_ASSERT_EQUAL(strncmp(response->request, line, strlen(line)), 0);
        CU_ASSERT(response->body.len > strlen(line) &&
                  memcmp(response->body.data, line, strlen(line)) == 0);
        ferry_free(response);
    }
}

/* ---- connections ---- */

static void connections_are_kept_and_counted(void) {
    for (webget_layer layer = WEBGET_LAYER_LIBRARY; layer <= WEBGET_LAYER_TLS; layer++) {
        bool tls = layer == WEBGET_LAYER_TLS;
        webget_connections *before = NULL, *after = NULL;

        CU_ASSERT_EQUAL(webget_hang_up(stage.client, &stage.error), 0);
        CU_ASSERT_EQUAL(webget_count(stage.client, layer, &before, &stage.error), 0);
        for (int i = 0; i < 5; i++) {
            webget_response *response = NULL;

            CU_ASSERT_EQUAL(get(tls ? "https" : "http", tls ? secure : plain,
                                i % 2 ? "/length" : "/chunked", layer, 1 << 20, &response),
                            0);
            CU_ASSERT(response && response->reused == (i > 0));
            ferry_free(response);
        }
        CU_ASSERT_EQUAL(webget_count(stage.client, layer, &after, &stage.error), 0);
        CU_ASSERT(before && after && after->opened - before->opened == 1 &&
                  after->requests - before->requests == 5 && after->reused - before->reused == 4);
        ferry_free(before);
        ferry_free(after);
    }
}

/* The server promises to keep the connection and hangs up. */
static void a_kept_connection_that_was_closed_is_made_anew(void) {
    for (webget_layer layer = WEBGET_LAYER_LIBRARY; layer <= WEBGET_LAYER_SOCKET; layer++)
        for (int i = 0; i < 3; i++) {
            webget_response *response = NULL;

            CU_ASSERT_EQUAL(get_plain("/hangup", layer, &response), 0);
            CU_ASSERT(response && response->body.len == TEXT_LEN);
            ferry_free(response);
        }
}

/* ---- failures ---- */

static void answers_that_are_not_http_are_typed(void) {
    for (webget_layer layer = WEBGET_LAYER_LIBRARY; layer <= WEBGET_LAYER_SOCKET; layer++) {
        webget_response *response = NULL;
        const webget_too_large *large;

        CU_ASSERT_EQUAL(get_plain("/garbage", layer, &response), -EREMOTEIO);
        CU_ASSERT_PTR_NOT_NULL(webget_malformed_in(&stage.error));
        CU_ASSERT_EQUAL(get_plain("/mute", layer, &response), -EREMOTEIO);
        CU_ASSERT_PTR_NOT_NULL(webget_truncated_in(&stage.error));
        CU_ASSERT_EQUAL(get("http", plain, "/chunked", layer, 100, &response), -EREMOTEIO);
        large = webget_too_large_in(&stage.error);
        CU_ASSERT(large && large->limit == 100);
        CU_ASSERT_EQUAL(get_plain("/big", layer, &response), -EREMOTEIO);
        CU_ASSERT(webget_too_large_in(&stage.error) || webget_truncated_in(&stage.error));
    }
}

static void unreachable_hosts_are_typed_errors(void) {
    for (webget_layer layer = WEBGET_LAYER_LIBRARY; layer <= WEBGET_LAYER_SOCKET; layer++) {
        webget_response *response = NULL;
        const webget_unreachable *nobody;
        const webget_not_allowed *refused;

        CU_ASSERT_EQUAL(get("http", 1, "/", layer, 100, &response), -EREMOTEIO);
        nobody = webget_unreachable_in(&stage.error);
        CU_ASSERT(nobody && nobody->os_errno == ECONNREFUSED && nobody->gai_code == 0);
        CU_ASSERT_EQUAL(get("http", 2, "/", layer, 100, &response), -EREMOTEIO);
        refused = webget_not_allowed_in(&stage.error);
        CU_ASSERT(refused && refused->port == 2 && strcmp(refused->host, "localhost") == 0);
    }
}

static void certificates_for_others_are_refused(void) {
    webget_response *response = NULL;

    CU_ASSERT_EQUAL(get("https", elsewhere, "/length", WEBGET_LAYER_LIBRARY, 1000, &response),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(webget_tls_failure_in(&stage.error));
    CU_ASSERT_EQUAL(get("https", elsewhere, "/length", WEBGET_LAYER_TLS, 1000, &response),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(webget_tls_failure_in(&stage.error));
}

static void urls_without_sense_are_typed(void) {
    static const struct {
        const char *url;
        webget_layer layer;
    } bad[] = {{"", WEBGET_LAYER_LIBRARY},
               {"file:///etc/passwd", WEBGET_LAYER_LIBRARY},
               {"gopher://localhost/", WEBGET_LAYER_LIBRARY},
               {"http://", WEBGET_LAYER_SOCKET},
               {"http://a b/", WEBGET_LAYER_SOCKET},
               {"http://user:pw@localhost/", WEBGET_LAYER_SOCKET},
               {"https://localhost/", WEBGET_LAYER_SOCKET},
               {"http://localhost/", WEBGET_LAYER_TLS},
               {"http://localhost/\r\nX: y", WEBGET_LAYER_SOCKET}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        webget_response *response = NULL;
        const webget_bad_url *e;

        CU_ASSERT_EQUAL(webget_get(stage.client, bad[i].url, bad[i].layer,
                                   &(webget_map_string_string){0, NULL}, 100, &response,
                                   &stage.error),
                        -EREMOTEIO);
        e = webget_bad_url_in(&stage.error);
        CU_ASSERT(e && strcmp(e->url, bad[i].url) == 0);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(reading_to_the_end_takes_half_for_all),
        TEST(all_layers_get_the_same),
        TEST(parameters_are_quoted_and_shown_in_the_request),
        TEST(connections_are_kept_and_counted),
        TEST(a_kept_connection_that_was_closed_is_made_anew),
        TEST(answers_that_are_not_http_are_typed),
        TEST(unreachable_hosts_are_typed_errors),
        TEST(certificates_for_others_are_refused),
        TEST(urls_without_sense_are_typed),
        TESTS_END,
    };
    char web[200], good[96], wrong[96], allow[120];
    pid_t servers[3];
    int r;

    world_make_certificates();
    snprintf(web, sizeof(web), "%s/webget/webd.py", getenv("EXAMPLES"));
    snprintf(good, sizeof(good), "%s/good.pem", world_folder());
    snprintf(wrong, sizeof(wrong), "%s/wrong.pem", world_folder());
    servers[0] = spawn_on_port(&plain, "/usr/bin/python3", web, NULL);
    servers[1] = spawn_on_port(&secure, "/usr/bin/python3", web, good, NULL);
    servers[2] = spawn_on_port(&elsewhere, "/usr/bin/python3", web, wrong, NULL);
    snprintf(allow, sizeof(allow), "localhost:1 localhost:%u localhost:%u localhost:%u", plain,
             secure, elsewhere);
    setenv("WEBGET_ALLOW", allow, 1);
    snprintf(good, sizeof(good), "%s/ca.pem", world_folder());
    setenv("WEBGET_AUTHORITY", good, 1);
    stage_open(&stage, webget_start);
    r = run_suite("example webget", tests);
    webget_hang_up(stage.client, NULL);
    stage_close(&stage);
    for (int i = 0; i < 3; i++)
        reap(servers[i]);
    world_end();
    return r;
}
