/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The line that a report is about, and a caret under the place. */

#include <stdio.h>

#include "idl/source/source.h"

void excerpt_print(Place place, FILE *to);
