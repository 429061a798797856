/* SPDX-License-Identifier: Apache-2.0 */
/* Splits, joins and resolves URLs. See url.h. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

/* ---- apart ---- */

static int bad(Url *url, size_t position, const char *reason) {
    url->position = position;
    url->reason = reason;
    return URL_BAD;
}

/* Returns the number of octets of the scheme before the colon; 0: there is no scheme. */
static size_t measure_scheme(const char *text) {
    size_t len = 0;

    while (isalnum((unsigned char)text[len]) || (text[len] && strchr("+-.", text[len])))
        len++;
    return isalpha((unsigned char)text[0]) && text[len] == ':' ? len : 0;
}

static void small_letters(char *text) {
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* user:password@host:port. `at` is where it stands in the text. */
static int split_netloc(Url *url, size_t at) {
    char *host = url->authority, *user_end = strrchr(host, '@'), *end, *port = NULL;
    unsigned long number;

    url->port = -1;
    if (user_end) {
        *user_end = '\0';
        url->username = host;
        end = strchr(host, ':');
        if (end) {
            *end = '\0';
            url->password = end + 1;
        }
        host = user_end + 1;
    }
    at += (size_t)(host - url->authority);
    if (*host == '[') {
        end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return bad(url, at, "an address in brackets has no end");
        *end++ = '\0';
        host++;
        port = *end ? end + 1 : NULL;
    } else if (strpbrk(host, "[]")) {
        return bad(url, at + strcspn(host, "[]"), "a bracket in the host's name");
    } else {
        end = strchr(host, ':');
        if (end) {
            *end = '\0';
            port = end + 1;
        }
    }
    if (port && *port) {
        number = strspn(port, "0123456789") == strlen(port) && strlen(port) < 10
                     ? strtoul(port, NULL, 10)
                     : 65536;
        if (number > 65535)
            return bad(url, at + (size_t)(port - host), "the port is not 0 to 65535");
        url->port = (int)number;
    }
    small_letters(host);
    url->hostname = *host ? host : NULL;
    return 0;
}

int url_split(Url *url, const char *text) {
    char *at;
    size_t n, netloc_at = 0;

    *url = (Url){.scheme = "", .netloc = "", .path = "", .query = "", .fragment = "", .port = -1};
    for (n = 0; text[n]; n++)
        if ((unsigned char)text[n] < ' ' || text[n] == 0x7f)
            return bad(url, n, "a control character");
    /* One extra octet for the NUL that ends the netloc in place. */
    url->memory = malloc(n + 2);
    if (!url->memory)
        return -ENOMEM;
    at = strcpy(url->memory, text);
    n = measure_scheme(at);
    if (n > 0) {
        at[n] = '\0';
        small_letters(at);
        url->scheme = at;
        url->has_scheme = true;
        at += n + 1;
    }
    if (strncmp(at, "//", 2) == 0) {
        url->has_netloc = true;
        url->authority = strndup(at + 2, strcspn(at + 2, "/?#"));
        netloc_at = (size_t)(at + 2 - url->memory);
        if (!url->authority)
            return -ENOMEM;
        n = strlen(url->authority);
        memmove(at, at + 2, n); /* over the slashes, so that its end has room */
        at[n] = '\0';
        url->netloc = at;
        at += n + 2;
    }
    n = strcspn(at, "#");
    if (at[n]) {
        at[n] = '\0';
        url->fragment = at + n + 1;
        url->has_fragment = true;
    }
    n = strcspn(at, "?");
    if (at[n]) {
        at[n] = '\0';
        url->query = at + n + 1;
        url->has_query = true;
    }
    url->path = at;
    return url->has_netloc ? split_netloc(url, netloc_at) : 0;
}

void url_deinit(Url *url) {
    free(url->memory);
    free(url->authority);
    *url = (Url){0};
}

/* ---- together ---- */

char *url_unsplit(const Url *url) {
    char *text;

    /* A path that begins with two slashes would be read as a netloc. */
    bool netloc = url->has_netloc || strncmp(url->path, "//", 2) == 0;
    bool slash = netloc && *url->netloc && *url->path && *url->path != '/';

    return asprintf(&text, "%s%s%s%s%s%s%s%s%s%s", url->scheme, url->has_scheme ? ":" : "",
                    netloc ? "//" : "", url->netloc, slash ? "/" : "", url->path,
                    url->has_query ? "?" : "", url->query, url->has_fragment ? "#" : "",
                    url->fragment) < 0
               ? NULL
               : text;
}

/* ---- resolved ---- */

/* Removes "." and ".." from a path, in place: RFC 3986, 5.2.4. */
static void remove_dots(char *path) {
    char *in = path, *out = path;

    while (*in) {
        size_t n = strcspn(in + (*in == '/'), "/") + (*in == '/');
        bool rooted = *in == '/';
        const char *name = in + rooted;
        size_t len = n - rooted;
        bool one = len == 1 && name[0] == '.', two = len == 2 && name[0] == '.' && name[1] == '.';

        if (!one && !two) {
            memmove(out, in, n);
            out += n;
        } else {
            while (two && out > path && *--out != '/')
                ;
            /* A path that ends in a dot is a folder: its slash stays. */
            if (rooted && !in[n])
                *out++ = '/';
            else if (!rooted && in[n])
                n++; /* "./x" and "../x" at the beginning */
        }
        in += n;
    }
    *out = '\0';
}

/* Merges the path of the reference with the path of the base: RFC 3986, 5.2.3. */
static char *merge(const Url *base, const Url *reference) {
    const char *slash = strrchr(base->path, '/');
    char *path;

    if (base->has_netloc && !*base->path)
        return asprintf(&path, "/%s", reference->path) < 0 ? NULL : path;
    return asprintf(&path, "%.*s%s", slash ? (int)(slash + 1 - base->path) : 0, base->path,
                    reference->path) < 0
               ? NULL
               : path;
}

char *url_join(const Url *base, const Url *reference) {
    Url target = *reference;
    char *path, *text;

    if (reference->has_scheme || reference->has_netloc || *reference->path == '/')
        path = strdup(reference->path);
    else
        path = *reference->path ? merge(base, reference) : strdup(base->path);
    if (!path)
        return NULL;
    if (reference->has_scheme || reference->has_netloc || *reference->path) {
        remove_dots(path);
    } else if (!reference->has_query) {
        target.query = base->query;
        target.has_query = base->has_query;
    }
    target.path = path;
    if (!reference->has_scheme) {
        target.scheme = base->scheme;
        target.has_scheme = base->has_scheme;
    }
    if (!reference->has_scheme && !reference->has_netloc) {
        target.netloc = base->netloc;
        target.has_netloc = base->has_netloc;
    }
    text = url_unsplit(&target);
    free(path);
    return text;
}
