/* SPDX-License-Identifier: Apache-2.0 */
/* The URL of a cache, parsed. See url.h. */

#include "cache/connection/url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"

typedef struct Text {
    const char *at, *end;
} Text;

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes %XX into a buffer that is as large as the text with its end. An encoded NUL is refused:
 * it would truncate a path or password. */
static int unescape_to(Text text, char *to) {
    while (text.at < text.end) {
        int c = (unsigned char)*text.at++;

        if (c == '%') {
            int high = text.end - text.at >= 2 ? hex_digit(text.at[0]) : -1;
            int low = high >= 0 ? hex_digit(text.at[1]) : -1;

            c = low >= 0 ? high * 16 + low : 0;
            text.at += 2;
        }
        if (c == 0)
            return -EINVAL;
        *to++ = (char)c;
    }
    *to = '\0';
    return 0;
}

static int unescape(Text text, char **ret) {
    char *copy = malloc((size_t)(text.end - text.at) + 1);
    int r = copy ? unescape_to(text, copy) : -ENOMEM;

    if (r < 0)
        free(copy);
    else
        *ret = copy;
    return r;
}

static int unescape_secret(Text text, char **ret) {
    char *copy = secret_alloc((size_t)(text.end - text.at) + 1);
    int r = copy ? unescape_to(text, copy) : -ENOMEM;

    if (r < 0)
        secret_free(copy);
    else
        *ret = copy;
    return r;
}

static int parse_decimal(Text text, uint32_t max, uint32_t *ret) {
    uint64_t value = 0;

    if (text.at == text.end || text.end - text.at > 9)
        return -EINVAL;
    for (; text.at < text.end; text.at++) {
        if (*text.at < '0' || *text.at > '9')
            return -EINVAL;
        value = value * 10 + (uint64_t)(*text.at - '0');
    }
    if (value > max)
        return -EINVAL;
    *ret = (uint32_t)value;
    return 0;
}

static const char *find_last(Text text, char c) {
    for (const char *at = text.end; at > text.at; at--)
        if (at[-1] == c)
            return at - 1;
    return NULL;
}

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '%';
}

int cache_host_parse(const char *at, size_t len, uint16_t default_port, CacheHost *ret) {
    Text text = {at, at + len}, name = text;
    uint32_t port = default_port;
    const char *colon = find_last(text, ':');

    if (len > 0 && *at == '[') {
        const char *close = memchr(at, ']', len);

        if (!close || (close + 1 < text.end && close[1] != ':'))
            return -EINVAL;
        name = (Text){at + 1, close};
        colon = close + 1 < text.end ? close + 1 : NULL;
    } else if (colon) {
        name.end = colon;
        if (memchr(name.at, ':', (size_t)(name.end - name.at)))
            return -EINVAL; /* IPv6 without brackets: the port is ambiguous */
    }
    if (colon && (parse_decimal((Text){colon + 1, text.end}, UINT16_MAX, &port) < 0 || port == 0))
        return -EINVAL;
    if (name.at == name.end || name.end - name.at > 255)
        return -EINVAL;
    for (const char *c = name.at; c < name.end; c++)
        if (!is_host_char(*c))
            return -EINVAL;
    ret->port = (uint16_t)port;
    ret->name = strndup(name.at, (size_t)(name.end - name.at));
    return ret->name ? 0 : -ENOMEM;
}

static int parse_hosts(Text text, CacheUrl *ret, ferry_error *reterr) {
    uint16_t port = ret->kind == CACHE_URL_SENTINEL ? CACHE_SENTINEL_PORT : CACHE_REDIS_PORT;

    for (const char *at = text.at;; at++) {
        const char *comma = memchr(at, ',', (size_t)(text.end - at));
        const char *end = comma ? comma : text.end;
        int r;

        if (ret->n_hosts == CACHE_HOSTS_MAX)
            return error_set(reterr, "ferry.InvalidArgument", "a cache URL has more than %d hosts",
                             CACHE_HOSTS_MAX);
        r = cache_host_parse(at, (size_t)(end - at), port, &ret->hosts[ret->n_hosts]);
        if (r == -ENOMEM)
            return error_set_code(reterr, r, NULL);
        /* The message must not show the text: it may be a user and a password whose '@' is missing.
         */
        if (r < 0)
            return error_set(reterr, "ferry.InvalidArgument",
                             "host %zu of the cache URL is not HOST, HOST:PORT or [IPv6]:PORT",
                             ret->n_hosts + 1);
        ret->n_hosts++;
        at = end;
        if (!comma)
            return 0;
    }
}

/* "user:password" and ":password". */
static int parse_user(Text text, char **user, char **password, ferry_error *reterr) {
    const char *colon = memchr(text.at, ':', (size_t)(text.end - text.at));
    int r = 0;

    if (!colon)
        return error_set(reterr, "ferry.InvalidArgument",
                         "a login in a cache URL must be user:password or :password");
    if (colon > text.at)
        r = unescape((Text){text.at, colon}, user);
    if (r >= 0)
        r = unescape_secret((Text){colon + 1, text.end}, password);
    return r < 0 ? error_set_code(reterr, r, "user or password in the cache URL is malformed") : 0;
}

/* The login before '@'. */
static int parse_login(Text *text, CacheUrl *ret, ferry_error *reterr) {
    const char *slash = memchr(text->at, '/', (size_t)(text->end - text->at));
    const char *at = find_last((Text){text->at, slash ? slash : text->end}, '@');
    int r;

    if (!at)
        return 0;
    r = parse_user((Text){text->at, at}, &ret->user, &ret->password, reterr);
    text->at = at + 1;
    return r;
}

static int parse_db(Text text, CacheUrl *ret, ferry_error *reterr) {
    if (parse_decimal(text, 65535, &ret->db) < 0)
        return error_set(reterr, "ferry.InvalidArgument",
                         "the database in a cache URL must be a number from 0 to 65535");
    return 0;
}

static int unescape_part(Text text, char **ret, ferry_error *reterr) {
    int r = unescape(text, ret);

    return r < 0
               ? error_set_code(reterr, r, "'%%' in the cache URL must precede two digits, not 00")
               : 0;
}

/* One NAME=VALUE of the query. */
static int parse_setting(Text text, CacheUrl *ret, ferry_error *reterr) {
    const struct {
        const char *name;
        bool allowed;
        char **value;
    } settings[] = {
        {"ca=", ret->tls, &ret->ca},
        {"cert=", ret->tls, &ret->certificate},
        {"key=", ret->tls, &ret->key},
    };
    const char *login = "sentinel_login=";

    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        size_t len = strlen(settings[i].name);

        if ((size_t)(text.end - text.at) <= len || memcmp(text.at, settings[i].name, len) != 0 ||
            !settings[i].allowed || *settings[i].value)
            continue;
        return unescape_part((Text){text.at + len, text.end}, settings[i].value, reterr);
    }
    if (ret->kind == CACHE_URL_SENTINEL && !ret->sentinel_password &&
        (size_t)(text.end - text.at) > strlen(login) && memcmp(text.at, login, strlen(login)) == 0)
        return parse_user((Text){text.at + strlen(login), text.end}, &ret->sentinel_user,
                          &ret->sentinel_password, reterr);
    return error_set(reterr, "ferry.InvalidArgument",
                     "after '?' this cache URL may have, once each and separated by '&': %s%s",
                     ret->tls ? "ca=FILE cert=FILE key=FILE " : "",
                     ret->kind == CACHE_URL_SENTINEL ? "sentinel_login=USER:PASSWORD"
                     : ret->tls                      ? ""
                                                     : "nothing");
}

static int parse_query(Text text, CacheUrl *ret, ferry_error *reterr) {
    int r = 0;

    while (r >= 0 && text.at < text.end) {
        const char *and = memchr(text.at, '&', (size_t)(text.end - text.at));
        const char *end = and? and : text.end;

        r = parse_setting((Text){text.at, end}, ret, reterr);
        text.at = and? and+1 : text.end;
    }
    if (r >= 0 && !ret->certificate != !ret->key)
        return error_set(reterr, "ferry.InvalidArgument",
                         "cert= and key= in a cache URL must be given together");
    return r;
}

/* The path of a net URL: "/DB"; of Sentinels: "/MASTER" or "/MASTER/DB". */
static int parse_path(Text path, CacheUrl *ret, ferry_error *reterr) {
    if (ret->kind == CACHE_URL_SENTINEL) {
        const char *slash = memchr(path.at, '/', (size_t)(path.end - path.at));

        int r;

        if (path.at == (slash ? slash : path.end))
            return error_set(
                reterr, "ferry.InvalidArgument",
                "the master's name must follow the Sentinels: redis+sentinel://HOST,HOST/MASTER");
        r = unescape_part((Text){path.at, slash ? slash : path.end}, &ret->master, reterr);
        if (r < 0)
            return r;
        path.at = slash ? slash + 1 : path.end;
    }
    if (path.at == path.end)
        return 0;
    if (ret->kind == CACHE_URL_CLUSTER)
        return error_set(reterr, "ferry.InvalidArgument", "a Redis cluster has no databases");
    return parse_db(path, ret, reterr);
}

static int parse_net(Text text, CacheUrl *ret, ferry_error *reterr) {
    const char *slash, *question;
    int r = parse_login(&text, ret, reterr);

    if (r < 0)
        return r;
    question = memchr(text.at, '?', (size_t)(text.end - text.at));
    if (question) {
        r = parse_query((Text){question + 1, text.end}, ret, reterr);
        if (r < 0)
            return r;
        text.end = question;
    }
    slash = memchr(text.at, '/', (size_t)(text.end - text.at));
    r = parse_path((Text){slash ? slash + 1 : text.end, text.end}, ret, reterr);
    if (r < 0)
        return r;
    return parse_hosts((Text){text.at, slash ? slash : text.end}, ret, reterr);
}

static int parse_unix(Text text, CacheUrl *ret, ferry_error *reterr) {
    const char *question;
    int r = parse_login(&text, ret, reterr);

    if (r < 0)
        return r;
    question = memchr(text.at, '?', (size_t)(text.end - text.at));
    if (question) {
        if (text.end - question < 4 || memcmp(question, "?db=", 4) != 0)
            return error_set(reterr, "ferry.InvalidArgument",
                             "after '?' this cache URL may have only db=NUMBER");
        r = parse_db((Text){question + 4, text.end}, ret, reterr);
        if (r < 0)
            return r;
        text.end = question;
    }
    r = unescape(text, &ret->hosts[0].name);
    if (r < 0)
        return error_set_code(reterr, r, "the path in the cache URL is malformed");
    ret->n_hosts = 1;
    /* sun_path has 108 bytes, its end included. */
    if (ret->hosts[0].name[0] != '/' || strlen(ret->hosts[0].name) > 107)
        return error_set(
            reterr, "ferry.InvalidArgument",
            "the path of a Redis socket must begin with '/' and have at most 107 bytes");
    return 0;
}

static int parse(const char *text, CacheUrl *ret, ferry_error *reterr) {
    static const struct {
        const char *scheme;
        CacheUrlKind kind;
        bool tls;
    } schemes[] = {{"redis://", CACHE_URL_REDIS, false},
                   {"redis+unix://", CACHE_URL_UNIX, false},
                   {"redis+cluster://", CACHE_URL_CLUSTER, false},
                   {"redis+sentinel://", CACHE_URL_SENTINEL, false},
                   {"rediss://", CACHE_URL_REDIS, true},
                   {"rediss+cluster://", CACHE_URL_CLUSTER, true},
                   {"rediss+sentinel://", CACHE_URL_SENTINEL, true}};
    char shown[TEXT_ESCAPED_MAX];

    if (!text || strlen(text) > CACHE_URL_MAX)
        return error_set(reterr, "ferry.InvalidArgument", "a cache URL has 1 to %d bytes",
                         CACHE_URL_MAX);
    ret->kind = CACHE_URL_MEMORY;
    if (strcmp(text, "memory://") == 0)
        return 0;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t len = strlen(schemes[i].scheme);
        Text rest = {text + len, text + strlen(text)};

        if (strncmp(text, schemes[i].scheme, len) != 0)
            continue;
        ret->kind = schemes[i].kind;
        ret->tls = schemes[i].tls;
        return ret->kind == CACHE_URL_UNIX ? parse_unix(rest, ret, reterr)
                                           : parse_net(rest, ret, reterr);
    }
    /* The message shows only the scheme: the rest may contain a password. */
    return error_set(reterr, "ferry.Unsupported",
                     "'%s' is not a cache: memory://, redis://, redis+unix://, redis+cluster://, "
                     "redis+sentinel:// are, and rediss://, rediss+cluster://, rediss+sentinel:// "
                     "with TLS",
                     text_escape(shown, text, strcspn(text, ":")));
}

int cache_url_parse(const char *text, CacheUrl *ret, ferry_error *reterr) {
    int r;

    *ret = (CacheUrl){0};
    r = parse(text, ret, reterr);
    if (r < 0)
        cache_url_deinit(ret);
    return r;
}

void cache_url_deinit(CacheUrl *url) {
    free(url->user);
    secret_free(url->password);
    free(url->sentinel_user);
    secret_free(url->sentinel_password);
    free(url->ca);
    free(url->certificate);
    free(url->key);
    free(url->master);
    for (size_t i = 0; i < url->n_hosts; i++)
        free(url->hosts[i].name);
    *url = (CacheUrl){0};
}

void cache_url_place(const char *text, char *to, size_t size) {
    const char *rest = strstr(text, "://");
    Text login, part;

    *to = '\0';
    if (!rest)
        return;
    rest += 3;
    login = (Text){rest, rest + strcspn(rest, "/")};
    part.at = find_last(login, '@');
    part.at = part.at ? part.at + 1 : rest;
    part.end = part.at + strcspn(part.at, "?");
    snprintf(to, size, "%.*s%.*s", (int)(rest - text), text, (int)(part.end - part.at), part.at);
}
