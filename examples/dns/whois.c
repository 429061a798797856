/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a whois server: sends one line, and reads text until the server closes the connection. RFC
 * 3912. */

#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"
#include "dns-server.h"

enum { TEXT_MAX = 256 * 1024, HOST_MAX = 300, SPARE_MS = 200 };

/* Splits "host" or "host:port". If server is absent, uses the first allowed one. */
static void split(const char *server, char host[HOST_MAX], char port[8]) {
    const char *list = getenv("WHOIS_ALLOW"), *colon;
    size_t len;

    if (!server) {
        server = list ? list + strspn(list, ", ") : "";
        len = strcspn(server, ", ");
    } else {
        len = strlen(server);
    }
    colon = memchr(server, ':', len);
    snprintf(port, 8, "%.*s", colon ? (int)(server + len - colon - 1) : 2,
             colon ? colon + 1 : "43");
    snprintf(host, HOST_MAX, "%.*s", (int)(colon ? (size_t)(colon - server) : len), server);
}

/* Whois has no character set: bytes that are not ASCII become '?'. */
static void make_ascii(char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0' || (unsigned char)text[i] > 127)
            text[i] = '?';
}

static int fail(ferry_request *request, const char *host, int error, size_t received,
                const char *why) {
    char message[160];

    snprintf(message, sizeof(message), "%s, after %zu bytes", why, received);
    return dns_throw_whois_failure(request,
                                   &(dns_whois_failure){host, error, (int64_t)received, message});
}

static int ask(ferry_request *request, int fd, const char *host, const char *domain) {
    char *text = malloc(TEXT_MAX + 1);
    size_t len = 0;
    ssize_t n = 1;
    int r = text ? 0 : -ENOMEM;

    if (r == 0)
        r = send_all(fd, domain, strlen(domain));
    if (r == 0)
        r = send_all(fd, "\r\n", 2);
    while (r == 0 && n > 0 && len < TEXT_MAX && !ferry_request_cancelled(request)) {
        n = recv(fd, text + len, TEXT_MAX - len, 0);
        len += n > 0 ? (size_t)n : 0;
        r = n < 0 ? -errno : 0;
    }
    if (text && r == 0) {
        make_ascii(text, len);
        text[len] = '\0';
        r = dns_whois_return(request, text);
    } else {
        r = fail(request, host, -r, len, strerror(-r));
    }
    free(text);
    return r;
}

int whois(ferry_request *request, const char *domain, const char *server, void *ctx) {
    uint32_t left_ms = ferry_request_left_ms(request);
    char host[HOST_MAX], port[8];
    Dial dial;
    int r;

    (void)ctx;
    if (*domain == '\0' || strlen(domain) > 255 || strpbrk(domain, "\r\n"))
        return dns_throw_bad_name(request,
                                  &(dns_bad_name){domain, "a domain is 1 to 255 bytes, one line"});
    split(server, host, port);
    if (!dial_allowed("WHOIS_ALLOW", host, port))
        return dns_throw_not_allowed(
            request, &(dns_not_allowed){host, "this server may not ask that whois server"});
    if (!dial_host(&dial, AF_UNSPEC, host, port,
                   left_ms > 2 * SPARE_MS ? left_ms - SPARE_MS : left_ms / 2))
        return dial.gai != 0 ? fail(request, host, dial.gai_errno, 0, gai_strerror(dial.gai))
                             : fail(request, host, dial.attempts[dial.n_attempts - 1].error, 0,
                                    strerror(dial.attempts[dial.n_attempts - 1].error));
    r = ask(request, dial.fd, host, domain);
    close(dial.fd);
    return r;
}
