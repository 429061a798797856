#pragma once

/* The canonical text of an interface file: all comments kept, one element a line. */

#include "base/buffer.h"
#include "idl/syntax/ast.h"

void format_file(Pool *pool, const File *file, Buffer *to);
