/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts that local commands and SSH commands share: the list of commands, and the caller's
 * streams. */

#include "shell.h"

enum { COMMANDS_MAX = 32, WORDS_MAX = 64, WORD_MAX = 4096 };

/* ---- allowed.c: the list ---- */

typedef struct Allowed {
    char *text; /* a copy of SHELL_COMMANDS, cut into pieces */
    size_t n;
    struct {
        const char *name, *line;
        bool takes_arguments;
    } commands[COMMANDS_MAX];
} Allowed;

void allowed_load(Allowed *allowed);
void allowed_free(Allowed *allowed);

/* The words to run, ended by NULL: the words of the command, then the arguments. They point into
 * allowed and arguments. NULL: the request was answered with an error, and *ret has the result. */
char **allowed_words(ferry_request *request, Allowed *allowed, const char *command,
                     const ferry_list_string *arguments, int *ret);

int throw_not_allowed(ferry_request *request, const Allowed *allowed, const char *name,
                      const char *why);

/* ---- relay.c: the caller's streams ---- */

/* The method that the stream belongs to. */
typedef enum RelayKind { RELAY_RUN, RELAY_SSH } RelayKind;

typedef struct Relay {
    ferry_request *request;
    RelayKind kind;
    ferry_bytes *input; /* a piece that is not yet written */
    size_t at;
    bool input_ended;
    uint64_t ends_ms;
    int32_t limit_ms;
} Relay;

/* -EINVAL: the limit is out of range. */
int relay_begin(Relay *relay, ferry_request *request, RelayKind kind, int32_t limit_ms);
void relay_end(Relay *relay);

/* 0; -ETIMEDOUT: the time limit has passed; -ECANCELED: the caller is gone. */
int relay_look(Relay *relay);

/* Fetches input if all of the last piece was written. 1: input waits. 0: no input yet. Or an
 * error. */
int relay_fetch(Relay *relay);

/* Sends output to the caller; waits while the caller does not read, within the time limit. */
int relay_put(Relay *relay, bool is_err, const void *data, size_t len);
int relay_put_exit(Relay *relay, const shell_exit *exit);

/* Answers with the error r: -ETIMEDOUT becomes TimeLimit. */
int relay_fail(Relay *relay, int r);

/* ---- the handlers of their files ---- */

int run_here(ferry_request *request, const char *command, const ferry_list_string *arguments,
             int32_t limit_ms, void *ctx);
int run_by_ssh(ferry_request *request, const shell_login *login, const char *command,
               const ferry_list_string *arguments, int32_t limit_ms, void *ctx);
int run_by_telnet(ferry_request *request, const char *host, int32_t port, const char *user,
                  const char *password, const char *command, void *ctx);
