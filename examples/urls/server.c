/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: splitting, joining, resolving, quoting. */

#include <stdlib.h>

#include "server.h"
#include "url.h"
#include "urls.h"

/* ---- URLs ---- */

static int bad_url(ferry_request *request, const Url *url) {
    char message[96];

    snprintf(message, sizeof(message), "octet %zu: %s", url->position, url->reason);
    return urls_throw_bad_url(request,
                              &(urls_bad_url){(int32_t)url->position, url->reason, message});
}

static int urlsplit(ferry_request *request, const char *text, void *ctx) {
    int32_t port;
    Url url;
    int r = url_split(&url, text);

    (void)ctx;
    port = url.port;
    if (r > 0)
        r = bad_url(request, &url);
    else if (r == 0)
        r = urls_urlsplit_return(request, &(urls_parts){url.scheme, url.netloc, url.path, url.query,
                                                        url.fragment, url.username, url.password,
                                                        url.hostname, url.port < 0 ? NULL : &port});
    url_deinit(&url);
    return r;
}

/* Answers with a text of malloc(). */
static int return_text(ferry_request *request, char *text,
                       int (*answer)(ferry_request *request, const char *text)) {
    int r = text ? answer(request, text) : -ENOMEM;

    free(text);
    return r;
}

static int urlunsplit(ferry_request *request, const urls_parts *parts, void *ctx) {
    Url url = {.scheme = parts->scheme,
               .netloc = parts->netloc,
               .path = parts->path,
               .query = parts->query,
               .fragment = parts->fragment,
               .has_scheme = *parts->scheme != '\0',
               .has_netloc = *parts->netloc != '\0',
               .has_query = *parts->query != '\0',
               .has_fragment = *parts->fragment != '\0'};

    (void)ctx;
    return return_text(request, url_unsplit(&url), urls_urlunsplit_return);
}

static int urljoin(ferry_request *request, const char *base_text, const char *reference_text,
                   void *ctx) {
    Url base, reference = {0};
    int r = url_split(&base, base_text);

    (void)ctx;
    if (r > 0)
        r = bad_url(request, &base);
    else if (r == 0 && (r = url_split(&reference, reference_text)) > 0)
        r = bad_url(request, &reference);
    else if (r == 0)
        r = return_text(request, url_join(&base, &reference), urls_urljoin_return);
    url_deinit(&base);
    url_deinit(&reference);
    return r;
}

/* ---- text in them ---- */

static int quote(ferry_request *request, const char *text, const char *safe, void *ctx) {
    (void)ctx;
    return return_text(request, url_quote(text, safe, false), urls_quote_return);
}

static int quote_plus(ferry_request *request, const char *text, const char *safe, void *ctx) {
    (void)ctx;
    return return_text(request, url_quote(text, safe, true), urls_quote_plus_return);
}

/* True: the text has a NUL, and the request was answered with an error. */
static bool holds_nul(ferry_request *request, const char *text) {
    const char *nul = strstr(text, "%00");

    if (!nul)
        return false;
    urls_throw_not_text(request, &(urls_not_text){(int32_t)(nul - text), "a text holds no U+0000"});
    return true;
}

static int unquote_either(ferry_request *request, const char *text, bool plus,
                          int (*answer)(ferry_request *request, const char *text)) {
    if (holds_nul(request, text))
        return 0;
    return return_text(request, url_unquote(text, strlen(text), plus), answer);
}

static int unquote(ferry_request *request, const char *text, void *ctx) {
    (void)ctx;
    return unquote_either(request, text, false, urls_unquote_return);
}

static int unquote_plus(ferry_request *request, const char *text, void *ctx) {
    (void)ctx;
    return unquote_either(request, text, true, urls_unquote_plus_return);
}

/* ---- queries ---- */

enum { TOO_MANY = 1 };

static void free_pairs(urls_pair *pairs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free((char *)pairs[i].name);
        free((char *)pairs[i].value);
    }
    free(pairs);
}

/* Fills pairs, of which there is room for URLS_MAX_PAIRS. */
static int split_query(const char *query, bool keep_blank, urls_pair *pairs, size_t *n) {
    for (const char *at = query, *end; *at; at = *end ? end + 1 : end) {
        const char *equals, *value;

        end = at + strcspn(at, "&");
        equals = memchr(at, '=', (size_t)(end - at));
        value = equals ? equals + 1 : end;
        if (end == at || (value == end && !keep_blank))
            continue;
        if (*n == URLS_MAX_PAIRS)
            return TOO_MANY;
        pairs[*n].name = url_unquote(at, (size_t)((equals ? equals : end) - at), true);
        pairs[*n].value = url_unquote(value, (size_t)(end - value), true);
        ++*n;
        if (!pairs[*n - 1].name || !pairs[*n - 1].value)
            return -ENOMEM;
    }
    return 0;
}

/* Groups the values by name, in the order of the first occurrence of each name. */
static int return_map(ferry_request *request, const urls_pair *pairs, size_t n) {
    urls_map_string_list_string_entry *entries = calloc(n + 1, sizeof(*entries));
    const char **values = calloc(n + 1, sizeof(*values));
    size_t n_entries = 0, n_values = 0;
    int r = entries && values ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        size_t k = 0, first = n_values;

        while (k < n_entries && strcmp(entries[k].key, pairs[i].name) != 0)
            k++;
        if (k < n_entries)
            continue;
        for (size_t j = i; j < n; j++)
            if (strcmp(pairs[i].name, pairs[j].name) == 0)
                values[n_values++] = pairs[j].value;
        entries[n_entries++] =
            (urls_map_string_list_string_entry){pairs[i].name, {n_values - first, values + first}};
    }
    if (r == 0)
        r = urls_parse_qs_return(request, &(urls_map_string_list_string){n_entries, entries});
    free(entries);
    free(values);
    return r;
}

static int parse_either(ferry_request *request, const char *query, bool keep_blank, bool as_map) {
    urls_pair *pairs;
    size_t n = 0;
    int r;

    if (holds_nul(request, query))
        return 0;
    pairs = calloc(URLS_MAX_PAIRS, sizeof(*pairs));
    r = pairs ? split_query(query, keep_blank, pairs, &n) : -ENOMEM;
    if (r == TOO_MANY)
        r = urls_throw_too_many_pairs(
            request, &(urls_too_many_pairs){URLS_MAX_PAIRS, "more than 1000 pairs"});
    else if (r == 0)
        r = as_map ? return_map(request, pairs, n)
                   : urls_parse_qsl_return(request, &(urls_list_pair){n, pairs});
    free_pairs(pairs, n);
    return r;
}

static int parse_qs(ferry_request *request, const char *query, bool keep_blank, void *ctx) {
    (void)ctx;
    return parse_either(request, query, keep_blank, true);
}

static int parse_qsl(ferry_request *request, const char *query, bool keep_blank, void *ctx) {
    (void)ctx;
    return parse_either(request, query, keep_blank, false);
}

static int urlencode(ferry_request *request, const urls_list_pair *pairs, void *ctx) {
    char *query = NULL;
    size_t len;
    FILE *to = open_memstream(&query, &len);

    (void)ctx;
    for (size_t i = 0; to && i < pairs->n; i++) {
        char *name = url_quote(pairs->v[i].name, "", true);
        char *value = url_quote(pairs->v[i].value, "", true);

        if (name && value)
            fprintf(to, "%s%s=%s", i ? "&" : "", name, value);
        free(name);
        free(value);
    }
    if (!to || fclose(to) != 0)
        return -ENOMEM;
    return return_text(request, query, urls_urlencode_return);
}

int urls_start(ferry_client *client, ferry_error *reterr) {
    static const urls_handlers handlers = {.urlsplit = urlsplit,
                                           .urlunsplit = urlunsplit,
                                           .urljoin = urljoin,
                                           .quote = quote,
                                           .quote_plus = quote_plus,
                                           .unquote = unquote,
                                           .unquote_plus = unquote_plus,
                                           .parse_qs = parse_qs,
                                           .parse_qsl = parse_qsl,
                                           .urlencode = urlencode};

    return urls_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
