#pragma once

/* Tokens to the tree of ast.h. Goes on after an error, so that one run reports all of a file's. */

#include "idl/syntax/ast.h"

enum {
    PARSER_DEPTH_MAX = 32, /* of types and of values */
};

/* Fills file from file->source. What is wrong is in reports; what could be read is in the file. */
void parse_file(File *file, Region *region, Reports *reports);

/* May not be the name of a definition or a method. */
bool is_keyword(const char *word);
