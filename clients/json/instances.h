/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The instances of a described service, as an array of objects. */

#include <jansson.h>

#include <ferry/schema.h>

/* NULL: out of memory. */
json_t *instances_json(const ferry_description *description);
