#pragma once

/* The line that a report is about, and a caret under the place. */

#include "idl/report.h"

void excerpt_print(Place place, FILE *to);
