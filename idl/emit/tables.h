/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tables of a type in a checked file, for programs that read interface files at run time. */

#include <ferry/schema.h>

#include "idl/check/program.h"

/*
 * Finds a type ("Order", "shared.Range", "i32") and makes its tables, with a layout of its own:
 * values go through ferry_value_convert() and ferry_value_format(). Fields with a default are
 * optional.
 *
 * ret_owner receives the block that holds the tables: ferry_free().
 *
 * -ENOENT: the file has no such type; -EINVAL: reterr says what is wrong with it; -ENOMEM.
 */
int tables_of_type(Program *program, const File *file, const char *name, ferry_service **ret_owner,
                   const ferry_type **ret, ferry_error *reterr);
