#pragma once

/* The canonical text of an interface file: all comments kept, one element a line. */

#include "base/buffer.h"
#include "idl/syntax/ast.h"

void format_file(Region *region, const File *file, Buffer *to);
