/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a new interface breaks of an old one: its callers, its servers, or programs that are
 * compiled against it. On the wire arguments have a place, fields and members a name, enums a
 * number.
 */

#include "idl/check/program.h"

/* Reports each break as an error at its place in the new file (or the old one, for what is gone),
 * and what deserves a thought as a warning. Both files must be without errors. */
void compare_files(Program *program, const File *old_file, const File *new_file);

/* The same for one service alone, and what it mentions. */
void compare_services(Program *program, const File *old_file, const File *new_file,
                      const char *name);
