/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetches a URL by libcurl and then by hand, prints both exchanges and compares the responses.
 *
 *     webget-client URL [NAME=VALUE...]   the values are quoted and added to the query
 */

#include <stdlib.h>

#include "webget.h"

enum { PARAMETERS_MAX = 100 };

/* Lines of a text, each with a mark before it. */
static void print_lines(const char *mark, const char *text) {
    for (size_t n; *text; text += n + (text[n] != '\0')) {
        n = strcspn(text, "\n");
        printf("%s %.*s\n", mark, (int)strcspn(text, "\r\n"), text);
    }
}

static void print_response(const webget_response *response) {
    print_lines(">", response->request);
    printf("< %s %d %s\n", response->version, response->status, response->reason);
    for (size_t i = 0; i < response->headers.n; i++)
        printf("< %s: %s\n", response->headers.v[i].name, response->headers.v[i].value);
    printf("<\n%.*s\n", (int)response->body.len, (const char *)response->body.data);
}

static bool same(const webget_response *one, const webget_response *other) {
    bool equal = strcmp(one->version, other->version) == 0 && one->status == other->status &&
                 strcmp(one->reason, other->reason) == 0 && one->framing == other->framing &&
                 one->headers.n == other->headers.n && one->body.len == other->body.len &&
                 memcmp(one->body.data, other->body.data, one->body.len) == 0;

    for (size_t i = 0; equal && i < one->headers.n; i++)
        equal = strcmp(one->headers.v[i].name, other->headers.v[i].name) == 0 &&
                strcmp(one->headers.v[i].value, other->headers.v[i].value) == 0;
    return equal;
}

static int report(ferry_client *client, webget_layer layer, ferry_error *error) {
    FERRY_AUTO(ferry_free) webget_connections *count = NULL;
    int r = webget_count(client, layer, &count, error);

    if (r == 0)
        printf("%-8s %lld requests, %lld connections opened, %lld requests on one that was open\n",
               webget_layer_name(layer), (long long)count->requests, (long long)count->opened,
               (long long)count->reused);
    return r;
}

static int fetch(ferry_client *client, const char *url, const webget_map_string_string *parameters,
                 ferry_error *error) {
    FERRY_AUTO(ferry_free) webget_response *one = NULL, *other = NULL;
    webget_layer layer = strncmp(url, "https:", 6) == 0 ? WEBGET_LAYER_TLS : WEBGET_LAYER_SOCKET;
    int r = webget_get(client, url, WEBGET_LAYER_LIBRARY, parameters, 4 << 20, &one, error);

    if (r == 0)
        r = webget_get(client, url, layer, parameters, 4 << 20, &other, error);
    if (r < 0)
        return r;
    print_response(one);
    printf("%s: the body ends by %s; by hand the response is %s\n", url,
           webget_framing_name(one->framing), same(one, other) ? "the same" : "ANOTHER");
    r = report(client, WEBGET_LAYER_LIBRARY, error);
    return r < 0 ? r : report(client, layer, error);
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    webget_map_string_string_entry entries[PARAMETERS_MAX];
    size_t n = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: webget-client URL [NAME=VALUE...]\n");
        return 2;
    }
    for (int i = 2; i < argc && n < PARAMETERS_MAX; i++) {
        char *equals = strchr(argv[i], '=');

        if (equals)
            *equals = '\0';
        entries[n++] = (webget_map_string_string_entry){argv[i], equals ? equals + 1 : ""};
    }
    if (ferry_open(NULL, &(ferry_options){.name = "webget-client"}, &client, &error) == 0 &&
        fetch(client, argv[1], &(webget_map_string_string){n, entries}, &error) == 0)
        return 0;
    ferry_error_print(&error, stdout);
    return 1;
}
