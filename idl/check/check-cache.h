/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Annotations for caching a method's answers. */

#include "idl/check/program.h"

/* Checks the cache annotations of a method whose argument types are resolved, and reports errors.
 * */
void check_cache_annotations(Program *program, const Function *function);
