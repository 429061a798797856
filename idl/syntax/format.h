#pragma once

/* The canonical text of an interface file: all comments kept, one element a line. */

#include "base/buffer.h"
#include "idl/check/program.h"

void format_file(Program *program, const File *file, Buffer *to);
