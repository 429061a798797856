/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and calls in the append-only file of a Redis server. See aof.h. */

#include "integration/aof.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 16, WORD_MAX = 80, N_PARTS = 2, UNKNOWN = -1 };

static const char *const part_names[N_PARTS] = {"pushes", "releases"};

/* The beginning of a command: the first WORDS words, each cut at WORD_MAX. */
typedef struct AofCommand {
    char words[WORDS][WORD_MAX + 1];
    int n;
} AofCommand;

/* Of a space. */
typedef struct AofState {
    char key[40];
    AofVerdict *verdict;
    long long token, calls[N_PARTS]; /* the last ones; UNKNOWN: not seen in these files */
} AofState;

/* "*3\r\n" or "$5\r\n". False: the file ends here, perhaps in the middle of a command. */
static bool read_head(FILE *file, char kind, long *ret) {
    char line[64];

    if (!fgets(line, sizeof(line), file) || line[0] != kind || !strchr(line, '\n'))
        return false;
    *ret = strtol(line + 1, NULL, 10);
    return true;
}

static bool read_word(FILE *file, char to[WORD_MAX + 1]) {
    char rest[4096];
    long len, kept;

    if (!read_head(file, '$', &len))
        return false;
    kept = len < WORD_MAX ? len : WORD_MAX;
    if (fread(to, 1, (size_t)kept, file) != (size_t)kept)
        return false;
    to[kept] = '\0';
    for (len += 2 - kept; len > 0; len -= kept) { /* the rest, and "\r\n" */
        kept = len < (long)sizeof(rest) ? len : (long)sizeof(rest);
        if (fread(rest, 1, (size_t)kept, file) != (size_t)kept)
            return false;
    }
    return true;
}

static bool read_command(FILE *file, AofCommand *to) {
    char other[WORD_MAX + 1];
    long n;
    int c;

    /* Redis writes times as comments. */
    while ((c = getc(file)) == '#')
        while ((c = getc(file)) != '\n')
            if (c == EOF)
                return false;
    if (ungetc(c, file) == EOF || !read_head(file, '*', &n))
        return false;
    to->n = 0;
    for (long i = 0; i < n; i++)
        if (!read_word(file, i < WORDS ? to->words[to->n++] : other))
            return false;
    return true;
}

static void take_lease(AofState *state, long long token) {
    state->verdict->n_leases++;
    state->verdict->n_wrong += state->token != UNKNOWN && token <= state->token;
    state->token = token;
    for (int part = 0; part < N_PARTS; part++)
        state->calls[part] = 0;
}

static void take_call(AofState *state, int part, long long number) {
    state->verdict->n_calls++;
    state->verdict->n_wrong += state->calls[part] != UNKNOWN && number != state->calls[part] + 1;
    state->calls[part] = number;
}

static void take_command(AofState *state, const AofCommand *command) {
    if (command->n < 4 || strcmp(command->words[0], "HSET") != 0 ||
        strcmp(command->words[1], state->key) != 0)
        return;
    if (strcmp(command->words[2], "token") == 0) {
        take_lease(state, atoll(command->words[3]));
        return;
    }
    for (int part = 0; part < N_PARTS; part++)
        if (strcmp(command->words[2], part_names[part]) == 0)
            take_call(state, part, atoll(command->words[3]));
}

static void read_file(AofState *states, unsigned n, const char *path) {
    FILE *file = fopen(path, "re");
    AofCommand command;

    while (file && read_command(file, &command))
        for (unsigned i = 0; i < n; i++)
            take_command(&states[i], &command);
    if (file)
        fclose(file);
}

static int is_increment(const struct dirent *entry) {
    return strstr(entry->d_name, ".incr.aof") != NULL;
}

void aof_check(const char *folder, const char *name, unsigned n_shards, AofVerdict *verdict) {
    unsigned n_spaces = n_shards > 0 ? n_shards : 1;
    AofState states[AOF_SHARDS_MAX];
    struct dirent **entries;
    char path[512];
    int n;

    for (unsigned i = 0; i < n_spaces; i++) {
        states[i] = (AofState){.verdict = verdict, .token = UNKNOWN, .calls = {UNKNOWN, UNKNOWN}};
        if (n_shards > 0)
            snprintf(states[i].key, sizeof(states[i].key), "ferry:{%s.%u}", name, i);
        else
            snprintf(states[i].key, sizeof(states[i].key), "ferry:{%s}", name);
    }
    snprintf(path, sizeof(path), "%s/appendonlydir", folder);
    /* "appendonly.aof.NUMBER.incr.aof" */
    n = scandir(path, &entries, is_increment, versionsort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/appendonlydir/%s", folder, entries[i]->d_name);
        read_file(states, n_spaces, path);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}
