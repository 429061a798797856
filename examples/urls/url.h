/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* URLs after RFC 3986. Pure: no network. */

#include <stdbool.h>
#include <stddef.h>

/* The parts lie in one block. A part can be present and empty, or absent; an absent part is an
 * empty text, too. */
typedef struct Url {
    char *memory;
    const char *scheme, *netloc, *path, *query, *fragment;
    bool has_scheme, has_netloc, has_query, has_fragment;
    char *authority;                            /* the netloc once more, cut into the next four */
    const char *username, *password, *hostname; /* NULL: absent */
    int port;                                   /* -1: absent */
    const char *reason;                         /* of URL_BAD */
    size_t position;
} Url;

enum { URL_BAD = 1 };

int url_split(Url *url, const char *text); /* 0, URL_BAD or -ENOMEM; url_deinit() in any case */
void url_deinit(Url *url);

/* Each function allocates its result: free() it. NULL: out of memory. */

char *url_unsplit(const Url *url);
char *url_join(const Url *base, const Url *reference);
char *url_quote(const char *text, const char *safe, bool plus);

/* Decodes the first len octets, which must not contain %00. */
char *url_unquote(const char *text, size_t len, bool plus);
