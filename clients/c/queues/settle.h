/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Settlements of jobs: each job is acknowledged, retried, rejected or forwarded once. */

#include "clients/c/core/core.h"

extern const Part settlements_part;
