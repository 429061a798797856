/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Gets pages, as a browser would.
 *
 *     capture-client [PATH...]   default / /nowhere
 */

#include "capture.h"

/* 0: the page, or the answer that there is no such page; otherwise the call failed. */
static int get(ferry_client *client, const char *path, ferry_error *error) {
    FERRY_AUTO(ferry_free) char *text = NULL;
    const capture_not_found *missing;
    int r = capture_get(client, path, &text, error);

    if (r == 0) {
        printf("GET %s: 200 %s\n", path, text);
    } else if ((missing = capture_not_found_in(error))) {
        printf("GET %s: 404 %s\n", missing->path, error->message);
        ferry_error_clear(error);
        r = 0;
    }
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    static char *usual[] = {"/", "/nowhere", NULL};
    char **paths = argc > 1 ? argv + 1 : usual;
    int r = ferry_open(NULL, &(ferry_options){.name = "capture-client"}, &client, &error);

    for (size_t i = 0; r == 0 && paths[i]; i++)
        r = get(client, paths[i], &error);
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
