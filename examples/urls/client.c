/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splits URLs, resolves references, and puts text into queries.
 *
 *     urls-client                   the lesson
 *     urls-client URL [REFERENCE]   your own
 */

#include "urls.h"

static int split(ferry_client *client, const char *text, ferry_error *error) {
    FERRY_AUTO(ferry_free) urls_parts *parts = NULL;
    int r = urls_urlsplit(client, text, &parts, error);

    if (r == -EREMOTEIO) {
        printf("%s\n    %s: %s\n", text, error->type, error->message);
        ferry_error_clear(error);
        return 0;
    }
    if (r < 0)
        return r;
    printf("scheme='%s', netloc='%s', path='%s', query='%s', fragment='%s'\n", parts->scheme,
           parts->netloc, parts->path, parts->query, parts->fragment);
    if (parts->hostname)
        printf("    hostname='%s'%s%s", parts->hostname, parts->username ? ", username=" : "",
               parts->username ? parts->username : "");
    if (parts->port)
        printf(", port=%d", *parts->port);
    printf("%s", parts->hostname ? "\n" : "");
    return 0;
}

static int join(ferry_client *client, const char *base, const char *reference, ferry_error *error) {
    char *url;
    int r = urls_urljoin(client, base, reference, &url, error);

    if (r == 0) {
        printf("%s + %s = %s\n", base, reference, url);
        ferry_free(url);
    }
    return r;
}

static int quote(ferry_client *client, const char *text, ferry_error *error) {
    char *quoted, *back;
    int r = urls_quote_plus(client, text, "", &quoted, error);

    if (r < 0)
        return r;
    r = urls_unquote_plus(client, quoted, &back, error);
    if (r == 0) {
        printf("'%s' is GET /search?q=%s and back '%s'\n", text, quoted, back);
        ferry_free(back);
    }
    ferry_free(quoted);
    return r;
}

static int query(ferry_client *client, const char *text, ferry_error *error) {
    FERRY_AUTO(ferry_free) urls_map_string_list_string *fields = NULL;
    FERRY_AUTO(ferry_free) urls_list_pair *pairs = NULL;
    char *again;
    int r = urls_parse_qs(client, text, false, &fields, error);

    if (r == 0)
        r = urls_parse_qsl(client, text, false, &pairs, error);
    if (r == 0)
        r = urls_urlencode(client, pairs, &again, error);
    if (r < 0)
        return r;
    printf("%s\n", text);
    for (size_t i = 0; i < fields->n; i++) {
        printf("    %s:", fields->v[i].key);
        for (size_t k = 0; k < fields->v[i].value.n; k++)
            printf(" '%s'", fields->v[i].value.v[k]);
        printf("\n");
    }
    printf("    encoded again: %s\n", again);
    ferry_free(again);
    return 0;
}

int main(int argc, char **argv) {
    static const char base[] = "http://a/b/c/d;p?q";
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int r = ferry_open(NULL, &(ferry_options){.name = "urls-client"}, &client, &error);

    if (r == 0 && argc > 2)
        r = join(client, argv[1], argv[2], &error);
    else if (r == 0 && argc > 1)
        r = split(client, argv[1], &error);
    else if (r == 0 &&
             (r = split(client, "https://www.google.com/search?q=qpod&btnI=yes", &error)) == 0 &&
             (r = split(client, "HTTP://anna:secret@[::1]:8080/a/b#top", &error)) == 0 &&
             (r = split(client, "http://host:65536/", &error)) == 0 &&
             (r = join(client, base, "g", &error)) == 0 &&
             (r = join(client, base, "../../../g?y#s", &error)) == 0 &&
             (r = join(client, base, "//other/x/./y/../z", &error)) == 0 &&
             (r = quote(client, "50 % of αβγ & more?", &error)) == 0)
        r = query(client, "q=qpod&btnI=yes&q=two+words&empty=", &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
