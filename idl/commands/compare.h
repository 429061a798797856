/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Compares two versions of an interface. After a breaking change, programs of the old version no
 * longer compile, or no longer understand callers or servers of the new version. Messages identify
 * arguments by position, fields and union members by name, and enum values by number.
 */

#include "idl/check/program.h"

/* Reports each breaking change as an error at its place in the new file, or in the old file if the
 * definition was removed. Reports changes that need care as warnings. Both files must have no
 * errors. */
void compare_files(Program *program, const File *old_file, const File *new_file);

/* Compares one service and the types that it uses. */
void compare_services(Program *program, const File *old_file, const File *new_file,
                      const char *name);
