/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tokens of requests. Each token selects the key with which its requests act at the broker:
 *
 *     [token ci]
 *     secret = a-text-of-16-bytes-or-more
 *     key = /etc/ferry/ci.key
 *
 * The broker gives rights to users by their keys (docs/security.md), so a request with a token has
 * the rights of the user of the token's key. A request has the secret in "Authorization: Bearer
 * SECRET", or as the password of Basic, for browsers. Only the file's owner may read it.
 */

#include <ferry/ferry.h>

enum { TOKENS_MAX = 64, SECRET_MIN = 16 };

typedef struct WebToken {
    char *name, *secret;
    char *key_file; /* NULL: the key of ferry web itself */
} WebToken;

typedef struct Tokens {
    size_t n;
    WebToken v[TOKENS_MAX];
} Tokens;

/* 0; -EINVAL: the error names the line; -EACCES: others may read the file; an error of open(). */
int tokens_read(const char *path, Tokens *ret, ferry_error *reterr);
void tokens_deinit(Tokens *tokens);

/* Finds the token of an Authorization header; NULL: there is no such token. The time is the same
 * for all wrong secrets of one length. */
const WebToken *tokens_find(const Tokens *tokens, const char *authorization);
