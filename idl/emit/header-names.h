/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The names that generated headers declare. */

#include "idl/emit/emit.h"

typedef struct Files {
    const File **v;
    size_t n, cap;
} Files;

/* Adds a file after its includes. Each file is added once. */
void add_files(Program *program, Files *files, const File *file);

/* Takes the names in a file's header, except containers. */
void take_file(CNames *names, const File *file, bool tables);

/* Takes the names of a container and of its functions. */
void take_container(Emit *emit, Container *c);

void header_names_deinit(Emit *emit);
