/* SPDX-License-Identifier: Apache-2.0 */
/* The applications, by path. files.c serves the folder. */

#include <stdlib.h>
#include <unistd.h>

#include "apps.h"
#include "server.h"

enum { PIECES_MAX = 10, PAUSE_MAX_MS = 1000, LOOK_MS = 10 };

static const char html[] = "text/html; charset=utf-8", plain[] = "text/plain; charset=utf-8";

const char *environ_get(const website_map_string_string *variables, const char *key) {
    const char *const *value = website_map_string_string_find(variables, key);

    return value ? *value : "";
}

/* ---- responses ---- */

int respond_head(ferry_request *request, int status, const char *reason, const char *type,
                 int64_t length) {
    const website_header header = {"Content-Type", type};
    website_part part = {.which = WEBSITE_PART_HEAD};

    part.head =
        (website_head){status, reason, {type != NULL, &header}, length < 0 ? NULL : &length};
    return website_handle_yield(request, &part);
}

int respond_body(ferry_request *request, const void *data, size_t len) {
    website_part part = {.which = WEBSITE_PART_BODY};

    part.body = ferry_bytes_of(data, len);
    return website_handle_yield(request, &part);
}

int respond_text(ferry_request *request, const website_map_string_string *variables, int status,
                 const char *reason, const char *type, const char *text, size_t len) {
    int r = respond_head(request, status, reason, type, (int64_t)len);

    if (r == 0 && len > 0 && strcmp(environ_get(variables, "REQUEST_METHOD"), "HEAD") != 0)
        r = respond_body(request, text, len);
    return r < 0 ? r : website_handle_return(request);
}

static int respond(ferry_request *request, const website_map_string_string *variables, int status,
                   const char *reason, const char *type, const char *text) {
    return respond_text(request, variables, status, reason, type, text, strlen(text));
}

/* ---- the applications ---- */

static int by_key(const void *a, const void *b) {
    const website_map_string_string_entry *const *one = a, *const *other = b;

    return strcmp((*one)->key, (*other)->key);
}

/* Python's pformat(environ): sorted, a line each, in quotes. */
static int show_environ(ferry_request *request, const website_map_string_string *variables) {
    const website_map_string_string_entry **sorted = calloc(variables->n + 1, sizeof(*sorted));
    char *text = NULL;
    size_t len = 0;
    FILE *out = sorted ? open_memstream(&text, &len) : NULL;
    int r = -ENOMEM;

    for (size_t i = 0; out && i < variables->n; i++)
        sorted[i] = &variables->v[i];
    if (out) {
        qsort(sorted, variables->n, sizeof(*sorted), by_key);
        fputs("Here is the WSGI environment:\r\n\r\n", out);
        for (size_t i = 0; i < variables->n; i++)
            fprintf(out, "%s'%s': '%s'%s", i ? " " : "{", sorted[i]->key, sorted[i]->value,
                    i + 1 < variables->n ? ",\n" : "}\n");
        if (fclose(out) == 0)
            r = respond_text(request, variables, 200, "OK", plain, text, len);
    }
    free(text);
    free(sorted);
    return r;
}

/* A number of the query, within its range. */
static int number(const website_map_string_string *variables, const char *name, int usual,
                  int max) {
    const char *at = strstr(environ_get(variables, "QUERY_STRING"), name);
    long value = at ? strtol(at + strlen(name), NULL, 10) : usual;

    return (int)(value < 0 ? 0 : value > max ? max : value);
}

/* Sends pieces with pauses between them: the reader sees each piece at once. */
static int show_slowly(ferry_request *request, const website_map_string_string *variables) {
    int pieces = number(variables, "pieces=", 5, PIECES_MAX),
        pause_ms = number(variables, "pause=", 100, PAUSE_MAX_MS);
    bool head = strcmp(environ_get(variables, "REQUEST_METHOD"), "HEAD") == 0;
    int r = respond_head(request, 200, "OK", plain, -1);
    char text[40];

    for (int i = 1; r == 0 && !head && i <= pieces; i++) {
        for (int left = i > 1 ? pause_ms : 0; left > 0; left -= LOOK_MS) {
            if (ferry_request_cancelled(request))
                return -ECANCELED;
            usleep(LOOK_MS * 1000);
        }
        r = respond_body(request, text,
                         (size_t)snprintf(text, sizeof(text), "piece %d of %d\n", i, pieces));
    }
    return r < 0 ? r : website_handle_return(request);
}

static const char index_page[] =
    "<!DOCTYPE html>\n<html><head><title>Website on ferry</title></head><body>\n"
    "<h1>Website on ferry</h1>\n<ul>\n<li><a href=\"/hello\">hello</a></li>\n"
    "<li><a href=\"/environ\">the environment of a request</a></li>\n"
    "<li><a href=\"/files/\">files</a></li>\n<li><a href=\"/slow\">a slow page</a></li>\n"
    "</ul>\n</body></html>\n";

static int handle(ferry_request *request, const website_map_string_string *variables,
                  ferry_bytes body, void *ctx) {
    static const char *const demanded[] = {"REQUEST_METHOD", "PATH_INFO", "SERVER_PROTOCOL"};
    const char *method = environ_get(variables, "REQUEST_METHOD"),
               *path = environ_get(variables, "PATH_INFO");

    (void)ctx;
    (void)body;
    for (size_t i = 0; i < sizeof(demanded) / sizeof(*demanded); i++)
        if (!website_map_string_string_find(variables, demanded[i]))
            return website_throw_bad_environment(
                request, &(website_bad_environment){demanded[i], "the environment lacks a key"});
    if (strcmp(path, "/environ") == 0) /* any method, with any body */
        return show_environ(request, variables);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return respond(request, variables, 405, "Method Not Allowed", plain,
                       "GET and HEAD alone\n");
    if (strcmp(path, "/") == 0)
        return respond(request, variables, 200, "OK", html, index_page);
    if (strcmp(path, "/hello") == 0)
        return respond(request, variables, 200, "OK", plain, "Hello World");
    if (strcmp(path, "/slow") == 0)
        return show_slowly(request, variables);
    if (strncmp(path, "/files/", 7) == 0)
        return respond_file(request, variables, path + 7);
    return respond(request, variables, 404, "Not Found", plain, "there is no page of this name\n");
}

int website_start(ferry_client *client, ferry_error *reterr) {
    static const website_handlers handlers = {.handle = handle};

    return website_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
