/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Builds the syntax tree. The parser continues after an error, so one run reports all errors of a
 * file. */

#include "idl/syntax/ast.h"

enum {
    PARSER_DEPTH_MAX = 32, /* of types and of values */
};

/* Parses file->source into file. Errors go to reports; the file gets the parts without errors. */
void parse_file(File *file, Region *region, Reports *reports);

/* True if the word cannot be the name of a definition or a method. */
bool is_keyword(const char *word);
