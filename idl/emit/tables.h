/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The tables of a type in a checked file, for programs that read interface files at run time. */

#include <ferry/schema.h>

#include "idl/check/program.h"

/*
 * Finds a type ("Order", "shared.Range", "i32") and makes its tables. No C struct has their layout,
 * so use the values with ferry_value_convert() and ferry_value_format(). Fields with a default are
 * optional.
 *
 * ret_owner receives the block that contains the tables, to be freed with ferry_free().
 *
 * -ENOENT: the file does not have the type; -EINVAL: the type is invalid, and reterr has the
 * reason; -ENOMEM.
 */
int tables_of_type(Program *program, const File *file, const char *name, ferry_service **ret_owner,
                   const ferry_type **ret, ferry_error *reterr);
