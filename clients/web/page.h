/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The dashboard's files, which the build has embedded in the program. */

#include <stddef.h>

#include "clients/web/http/server.h"

typedef struct Page {
    const char *name; /* "index.html" */
    const char *type, *etag;
    const unsigned char *data;
    size_t len;
} Page;

extern const Page pages[]; /* ends with a page without a name */

/* Handlers of the routes "/" and "/FILE". */
void page_index(HttpRequest *request);
void page_file(HttpRequest *request);
