/* SPDX-License-Identifier: Apache-2.0 */
/* The list of commands: SHELL_COMMANDS, "name=words; other=words ..." */

#include <stdlib.h>

#include "shell-server.h"

/* The dots mean that arguments may follow. No command here reads a file, for any arguments. */
static const char usual[] =
    "hello=echo Hello, world; echo=echo ...; shout=tr a-z A-Z; count=wc -c; "
    "fail=false; sleep=sleep 30";

static char *trim(char *text) {
    size_t n;

    text += strspn(text, " ");
    n = strlen(text);
    while (n > 0 && text[n - 1] == ' ')
        text[--n] = '\0';
    return text;
}

void allowed_load(Allowed *allowed) {
    const char *list = getenv("SHELL_COMMANDS");
    char *rest, *one, *equals, *dots;

    *allowed = (Allowed){.text = strdup(list ? list : usual)};
    rest = allowed->text;
    while (rest && (one = strsep(&rest, ";")) && allowed->n < COMMANDS_MAX) {
        equals = strchr(one, '=');
        if (!equals)
            continue;
        *equals = '\0';
        equals = trim(equals + 1);
        dots = strstr(equals, "...");
        allowed->commands[allowed->n].takes_arguments = dots && dots[3] == '\0';
        if (allowed->commands[allowed->n].takes_arguments)
            *dots = '\0';
        allowed->commands[allowed->n].name = trim(one);
        allowed->commands[allowed->n++].line = trim(equals);
    }
}

void allowed_free(Allowed *allowed) {
    free(allowed->text);
    allowed->text = NULL;
}

int throw_not_allowed(ferry_request *request, const Allowed *allowed, const char *name,
                      const char *why) {
    const char *names[COMMANDS_MAX];
    size_t n = allowed ? allowed->n : 0;

    for (size_t i = 0; i < n; i++)
        names[i] = allowed->commands[i].name;
    return shell_throw_not_allowed(request, &(shell_not_allowed){name, {n, names}, why});
}

char **allowed_words(ferry_request *request, Allowed *allowed, const char *command,
                     const ferry_list_string *arguments, int *ret) {
    char **words, *rest, *word;
    size_t n = 0, i = 0;

    while (i < allowed->n && strcmp(allowed->commands[i].name, command) != 0)
        i++;
    if (i == allowed->n) {
        *ret = throw_not_allowed(request, allowed, command, "no command of this name is allowed");
        return NULL;
    }
    if (arguments->n > 0 && !allowed->commands[i].takes_arguments) {
        *ret = throw_not_allowed(request, allowed, command, "the command takes no arguments");
        return NULL;
    }
    for (size_t k = 0; k < arguments->n; k++)
        if (arguments->n > WORDS_MAX / 2 || strlen(arguments->v[k]) > WORD_MAX) {
            *ret = throw_not_allowed(request, allowed, command,
                                     "at most 32 arguments of 4096 bytes are taken");
            return NULL;
        }
    words = calloc(WORDS_MAX + 1, sizeof(*words));
    if (!words) {
        *ret = -ENOMEM;
        return NULL;
    }
    rest = (char *)(uintptr_t)allowed->commands[i].line; /* ours: of allowed->text */
    while (n < WORDS_MAX / 2 && (word = strsep(&rest, " ")))
        if (*word)
            words[n++] = word;
    for (size_t k = 0; k < arguments->n; k++)
        words[n++] = (char *)(uintptr_t)arguments->v[k];
    return words;
}
