/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes the canonical text of an interface file: one element on a line, all comments kept. */

#include "base/buffer.h"
#include "idl/syntax/ast.h"

void format_file(Region *region, const File *file, Buffer *to);
