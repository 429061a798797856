/* SPDX-License-Identifier: Apache-2.0 */
/* Redis over TLS: trusted and refused certificates, and the errors with their reasons. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <ferry/cache.h>

#include "cache-setup.h"
#include "support/suite.h"

enum { PATIENCE_MS = 60000 /* only a hang takes that long */ };

/* Opens the cache at a URL, writes one value, and returns the result. */
static int write_at(ferry_error *error, const char *format, ...) {
    ferry_cache_options options = {.timeout_ms = PATIENCE_MS, .strict = true};
    ferry_cache *cache = NULL;
    char url[512];
    va_list args;
    int r;

    va_start(args, format);
    vsnprintf(url, sizeof(url), format, args);
    va_end(args);
    r = ferry_cache_open(url, &options, &cache, error);
    if (r >= 0)
        r = ferry_cache_set(cache, ferry_str("a"), ferry_str("1"), 0, error);
    ferry_cache_close(cache);
    return r;
}

static void says(const ferry_error *error, const char *text) {
    if (!error->message || !strstr(error->message, text))
        printf("\n    %s\n", error->message ? error->message : "(no error)");
    CU_ASSERT_TRUE(error->message && strstr(error->message, text));
}

static void only_a_trusted_certificate_for_the_host_is_accepted(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *certs = redis_certificates();
    RedisServer server;

    redis_start_tls(&server, false);
    CU_ASSERT_EQUAL(write_at(NULL, "rediss://127.0.0.1:%u?ca=%s/ca.crt", server.port, certs), 0);
    CU_ASSERT_EQUAL(write_at(NULL, "rediss://localhost:%u?ca=%s/ca.crt", server.port, certs), 0);
    CU_ASSERT_EQUAL(write_at(&error, "rediss://127.0.0.1:%u?ca=%s/other.crt", server.port, certs),
                    -EACCES);
    says(&error, "self-signed certificate in certificate chain");
    CU_ASSERT_EQUAL(write_at(&error, "rediss://127.0.0.1:%u", server.port), -EACCES);
    says(&error, "self-signed certificate in certificate chain");
    /* The same address by a name that the certificate does not have. */
    CU_ASSERT_EQUAL(write_at(&error, "rediss://127.1:%u?ca=%s/ca.crt", server.port, certs),
                    -EACCES);
    says(&error, "hostname mismatch");
    redis_stop(&server);
}

static void a_server_that_requires_a_certificate_gets_it(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *certs = redis_certificates();
    RedisServer server;

    redis_start_tls(&server, true);
    CU_ASSERT_EQUAL(write_at(&error, "rediss://127.0.0.1:%u?ca=%s/ca.crt", server.port, certs),
                    -EACCES);
    says(&error, "the server refuses the client's certificate, or requires one");
    CU_ASSERT_EQUAL(
        write_at(&error, "rediss://127.0.0.1:%u?ca=%s/ca.crt&cert=%s/other.crt&key=%s/other.key",
                 server.port, certs, certs, certs),
        -EACCES);
    CU_ASSERT_EQUAL(
        write_at(NULL, "rediss://127.0.0.1:%u?ca=%s/ca.crt&cert=%s/server.crt&key=%s/server.key",
                 server.port, certs, certs, certs),
        0);
    redis_stop(&server);
}

static void a_server_without_tls_is_told_apart(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_cache_options options = {.timeout_ms = 5000, .strict = true};
    ferry_cache *cache = NULL;
    RedisServer plain;
    char url[64];

    redis_start(&plain, NULL);
    snprintf(url, sizeof(url), "rediss://127.0.0.1:%u", plain.port);
    CU_ASSERT_EQUAL_FATAL(ferry_cache_open(url, &options, &cache, NULL), 0);
    CU_ASSERT_EQUAL(ferry_cache_exists(cache, ferry_str("a"), &error), -ENOTCONN);
    says(&error, "no answer to the TLS handshake: does this server speak TLS?");
    ferry_cache_close(cache);
    redis_stop(&plain);
}

static void files_that_cannot_be_used_are_named_at_once(void) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *certs = redis_certificates();

    CU_ASSERT_EQUAL(write_at(&error, "rediss://h?ca=/nowhere/ca.crt"), -EINVAL);
    says(&error, "'/nowhere/ca.crt' cannot be used: No such file");
    CU_ASSERT_EQUAL(write_at(&error, "rediss://h?ca=%s/server.key", certs), -EINVAL);
    says(&error, "file of trusted certificates");
    CU_ASSERT_EQUAL(
        write_at(&error, "rediss://h?cert=%s/server.crt&key=%s/other.key", certs, certs), -EINVAL);
    says(&error, "key");
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(only_a_trusted_certificate_for_the_host_is_accepted),
        TEST(a_server_that_requires_a_certificate_gets_it),
        TEST(a_server_without_tls_is_told_apart),
        TEST(files_that_cannot_be_used_are_named_at_once),
        TESTS_END,
    };

    if (!redis_available() || !redis_certificates())
        return EXIT_SKIPPED;
    return run_suite("cache: certificates", tests);
}
