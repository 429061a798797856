/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The options of a command, as a table: names, destination, allowed values, and help. argp parses;
 * completion and help read the same table.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TEXTS_MAX = 64 };

/* The values of an option that may be repeated. */
typedef struct Texts {
    size_t n;
    const char *v[TEXTS_MAX];
} Texts;

typedef enum OptionKind {
    OPTION_FLAG,  /* bool */
    OPTION_TEXT,  /* const char * */
    OPTION_LIST,  /* Texts */
    OPTION_COUNT, /* uint64_t */
    OPTION_MS,    /* uint64_t, from "250ms", "5s", "2m" */
    OPTION_BYTES, /* uint64_t, from "64K", "1.5M" */
} OptionKind;

typedef struct Option {
    const char *name; /* "timeout"; NULL ends the table */
    char letter;      /* 't'; 0: no letter */
    OptionKind kind;
    size_t at;       /* offset of the value in the command's struct */
    const char *arg; /* "T": the name of the value in help */
    const char *help;
    uint64_t min, max; /* range of quantities; max 0: no upper limit */
    const char *words; /* the allowed values, "a|b|c"; NULL: any */
} Option;

/* One row of a table. type_ is the command's struct, field_ the member that takes the value. */
#define OPTION_ROW(kind_, letter_, name_, type_, field_, arg_, help_, min_, max_, words_)          \
    { name_, letter_, kind_, offsetof(type_, field_), arg_, help_, min_, max_, words_ }
#define OPTION_PLAIN(kind_, letter_, name_, type_, field_, arg_, help_)                            \
    OPTION_ROW(kind_, letter_, name_, type_, field_, arg_, help_, 0, 0, NULL)
#define OPTION_RANGE(kind_, letter_, name_, type_, field_, arg_, help_, min_, max_)                \
    OPTION_ROW(kind_, letter_, name_, type_, field_, arg_, help_, min_, max_, NULL)
#define OPTION_END                                                                                 \
    { NULL, 0, OPTION_FLAG, 0, NULL, NULL, 0, 0, NULL }

enum { OPTIONS_PROBLEM_MAX = 256 };

/* The options that write to one struct. */
typedef struct OptionSet {
    const Option *table;
    void *values;
} OptionSet;

typedef struct Parsed {
    int argc;    /* arguments that are not options */
    char **argv; /* owned, like some of its words: values are valid until parsed_deinit() */
} Parsed;

/*
 * Parses the words after argv[0]. *ret receives the arguments, in order. A negative number ("-1",
 * "-0.5") is an argument; after "--" every word is an argument.
 *
 * 0; -EINVAL: problem says what is wrong and what to write instead; -ENOMEM.
 */
int options_parse(const OptionSet *sets, size_t n_sets, int argc, char **argv, Parsed *ret,
                  char problem[OPTIONS_PROBLEM_MAX]);

void parsed_deinit(Parsed *parsed);

/* Prints the table for help. */
void options_print(const Option *table, FILE *to);
