/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the applications without HTTP: makes the environment of a request, prints the response.
 *
 *     website-client [PATH [METHOD]]   default: / GET
 */

#include "website.h"

static void print_part(const website_part *part) {
    if (part->which == WEBSITE_PART_HEAD) {
        printf("%d %s\n", part->head.status, part->head.reason);
        for (size_t i = 0; i < part->head.headers.n; i++)
            printf("%s: %s\n", part->head.headers.v[i].name, part->head.headers.v[i].value);
        putchar('\n');
    } else if (part->which == WEBSITE_PART_BODY) {
        fwrite(part->body.data, 1, part->body.len, stdout);
    }
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "/", *query = strchr(path, '?');
    char plain[1024];
    const website_map_string_string_entry v[] = {{"REQUEST_METHOD", argc > 2 ? argv[2] : "GET"},
                                                 {"PATH_INFO", plain},
                                                 {"QUERY_STRING", query ? query + 1 : ""},
                                                 {"SERVER_PROTOCOL", "HTTP/1.1"}};
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_stream *stream = NULL;
    website_part *part;
    int r;

    snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(path, "?"), path);
    r = ferry_open(NULL, &(ferry_options){.name = "website-client"}, &client, &error);
    if (r == 0)
        r = website_handle(client, &(website_map_string_string){4, v}, ferry_str(""), &stream,
                           &error);
    while (r >= 0 && (r = website_handle_next(stream, &part, &error)) > 0) {
        print_part(part);
        ferry_free(part);
    }
    ferry_stream_close(stream);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
