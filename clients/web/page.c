/* SPDX-License-Identifier: Apache-2.0 */
/* The dashboard's files. See page.h. */

#include "clients/web/page.h"

#include <string.h>

static void give(HttpRequest *request, const char *name) {
    for (const Page *page = pages; page->name; page++)
        if (strcmp(page->name, name) == 0) {
            http_reply_file(request, page->type, ferry_bytes_of(page->data, page->len), page->etag);
            return;
        }
    http_reply_problem(request, 404, "NotFound", "there is no page or endpoint at this path");
}

void page_index(HttpRequest *request) {
    give(request, "index.html");
}

void page_file(HttpRequest *request) {
    give(request, http_part(request, 0));
}
