/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Annotations that say how a method's answers are remembered. */

#include "idl/check/program.h"

/* After the types of its arguments were resolved. Reports what is wrong. */
void check_cache_annotations(Program *program, const Function *function);
