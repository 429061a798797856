/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commands of ferry-idl. Each returns the exit status: 0 success, 1 failure, 2 wrong use. */

#include "idl/check/program.h"

typedef struct Options {
    const char **files;
    size_t n_files;
    const char **include_dirs;
    size_t n_include_dirs;
    const char *out_dir;
    const char *name; /* base name of the written files; NULL: that of the interface file */
    const char *depfile;
    const char *live; /* the URL of a broker */
    const char *version;
    bool check, in_place, to_stdout, tables, colour;
} Options;

int command_generate(Options *options);
int command_check(Options *options);
int command_diff(Options *options);
int command_format(Options *options);

/* Reads a file and its includes, and prints their errors. Returns NULL if there is an error. */
File *load_and_report(Program *program, const Options *options, const char *path);

/* Replaces a file if its content differs. An unchanged file keeps its time, so that builds do not
 * run again. Keeps the mode of the file, and follows a symbolic link. Returns 0, or 1 after
 * printing the error. */
int write_file(const char *path, const void *data, size_t len);
