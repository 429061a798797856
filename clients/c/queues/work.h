/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Workers, and the jobs that the broker gives them. */

#include "clients/c/core/core.h"

extern const Part jobs_part;
