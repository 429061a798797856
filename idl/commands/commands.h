/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What ferry-idl does. Each returns the exit status: 0 good, 1 not, 2 misuse. */

#include "idl/check/program.h"

typedef struct Options {
    const char **files;
    size_t n_files;
    const char **include_dirs;
    size_t n_include_dirs;
    const char *out_dir;
    const char *name; /* of the files that are written; NULL: the interface file's */
    const char *depfile;
    const char *live; /* the URL of a broker */
    const char *version;
    bool check, in_place, to_stdout, tables, colour;
} Options;

int command_generate(Options *options);
int command_check(Options *options);
int command_diff(Options *options);
int command_format(Options *options);

/* Reads one file and what it includes, and prints what is wrong. NULL: too much. */
File *load_and_report(Program *program, const Options *options, const char *path);

/* Replaces a file, unless it is the same already: so that builds do not run again for nothing.
 * Prints what goes wrong; 0 or 1. */
int write_file(const char *path, const void *data, size_t len);
