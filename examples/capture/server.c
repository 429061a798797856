/* SPDX-License-Identifier: Apache-2.0 */

/* Returns pages, and publishes a line for each request to the topic "capture.log". */

#include "server.h"
#include "capture.h"

static const struct {
    const char *path, *text;
} pages[] = {
    {"/", "Hello, world!"},
    {"/about", "A page about this site."},
};

static void publish_line(ferry_request *request, const char *path, int status) {
    char line[300];

    snprintf(line, sizeof(line), "GET %.200s %d", path, status);
    ferry_publish(ferry_request_client(request), "capture.log", ferry_str(line), NULL, NULL);
}

static int get(ferry_request *request, const char *path, void *ctx) {
    char message[300];

    (void)ctx;
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++)
        if (strcmp(path, pages[i].path) == 0) {
            publish_line(request, path, 200);
            return capture_get_return(request, pages[i].text);
        }
    publish_line(request, path, 404);
    snprintf(message, sizeof(message), "there is no page '%.200s'", path);
    return capture_throw_not_found(request, &(capture_not_found){path, message});
}

int capture_start(ferry_client *client, ferry_error *reterr) {
    static const capture_handlers handlers = {.get = get};

    return capture_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
