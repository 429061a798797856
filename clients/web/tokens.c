/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of requests. See tokens.h. */

#include "clients/web/tokens.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "clients/json/base64.h"

typedef struct TokenReading {
    Tokens *tokens;
    const char *problem;
} TokenReading;

static WebToken *token_of_section(TokenReading *reading, const char *section) {
    Tokens *tokens = reading->tokens;
    const char *name = section + 6;

    if (strncmp(section, "token ", 6) != 0 || !*name) {
        reading->problem = "a section must be [token NAME]";
        return NULL;
    }
    for (size_t i = 0; i < tokens->n; i++)
        if (strcmp(tokens->v[i].name, name) == 0)
            return &tokens->v[i];
    if (tokens->n == TOKENS_MAX) {
        reading->problem = "there are more than 64 tokens";
        return NULL;
    }
    tokens->v[tokens->n].name = strdup(name);
    if (tokens->v[tokens->n].name)
        return &tokens->v[tokens->n++];
    reading->problem = "out of memory";
    return NULL;
}

static int on_line(void *ctx, const char *section, const char *name, const char *value) {
    TokenReading *reading = ctx;
    WebToken *token = token_of_section(reading, section);
    char **to = !token                        ? NULL
                : strcmp(name, "secret") == 0 ? &token->secret
                : strcmp(name, "key") == 0    ? &token->key_file
                                              : NULL;

    if (token && !to)
        reading->problem = "a setting must be 'secret' or 'key'";
    else if (to && *to)
        reading->problem = "the setting occurs twice";
    else if (token && to == &token->secret && strlen(value) < SECRET_MIN)
        reading->problem = "a secret must have at least 16 bytes";
    else if (to)
        *to = strdup(value);
    return !reading->problem;
}

static int check(const Tokens *tokens, const char *path, ferry_error *reterr) {
    if (tokens->n == 0)
        return error_set(reterr, "ferry.InvalidArgument", "%s has no [token NAME]", path);
    for (size_t i = 0; i < tokens->n; i++) {
        if (!tokens->v[i].secret)
            return error_set(reterr, "ferry.InvalidArgument", "%s: [token %s] has no secret", path,
                             tokens->v[i].name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(tokens->v[i].secret, tokens->v[j].secret) == 0)
                return error_set(reterr, "ferry.InvalidArgument",
                                 "%s: [token %s] and [token %s] have the same secret", path,
                                 tokens->v[j].name, tokens->v[i].name);
    }
    return 0;
}

int tokens_read(const char *path, Tokens *ret, ferry_error *reterr) {
    TokenReading reading = {.tokens = ret};
    FILE *file = fopen(path, "re");
    struct stat status;
    int r;

    *ret = (Tokens){0};
    if (!file || fstat(fileno(file), &status) < 0) {
        r = error_set_code(reterr, errno, "cannot read %s: %s", path, strerror(errno));
    } else if (status.st_mode & 077) {
        r = error_set(reterr, "ferry.PermissionDenied",
                      "%s has secrets, and other users can read it: chmod 600", path);
    } else {
        r = ini_parse_file(file, on_line, &reading);
        r = r == 0
                ? check(ret, path, reterr)
                : error_set(reterr, "ferry.InvalidArgument", "%s, line %d: %s", path, r > 0 ? r : 1,
                            reading.problem ? reading.problem : "expected 'name = value'");
    }
    if (file)
        fclose(file);
    if (r < 0)
        tokens_deinit(ret);
    return r;
}

void tokens_deinit(Tokens *tokens) {
    for (size_t i = 0; i < tokens->n; i++) {
        free(tokens->v[i].name);
        free(tokens->v[i].secret);
        free(tokens->v[i].key_file);
    }
    *tokens = (Tokens){0};
}

/* Compares all bytes, also after a difference, so that the time tells nothing about the secret. */
static bool is_same(const char *a, const char *b, size_t len) {
    unsigned char differs = 0;

    for (size_t i = 0; i < len; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

static const WebToken *find_secret(const Tokens *tokens, const char *secret, size_t len) {
    const WebToken *found = NULL;

    for (size_t i = 0; i < tokens->n; i++)
        if (strlen(tokens->v[i].secret) == len && is_same(tokens->v[i].secret, secret, len))
            found = &tokens->v[i];
    return found;
}

/* Finds the token by the password of Basic, which follows the colon. */
static const WebToken *find_basic(const Tokens *tokens, const char *base64) {
    const WebToken *found = NULL;
    const uint8_t *colon;
    uint8_t *text;
    size_t len;

    if (base64_decode(base64, strlen(base64), &text, &len) < 0)
        return NULL;
    colon = memchr(text, ':', len);
    if (colon)
        found = find_secret(tokens, (const char *)colon + 1, (size_t)(text + len - colon) - 1);
    free(text);
    return found;
}

const WebToken *tokens_find(const Tokens *tokens, const char *authorization) {
    if (authorization && strncasecmp(authorization, "Bearer ", 7) == 0)
        return find_secret(tokens, authorization + 7, strlen(authorization + 7));
    if (authorization && strncasecmp(authorization, "Basic ", 6) == 0)
        return find_basic(tokens, authorization + 6);
    return NULL;
}
