/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The suites that test-cache.c runs: EXIT_SUCCESS or EXIT_FAILURE. near: with a near cache. */

#include "cache-setup.h"

int api_suite(CacheSetup *setup, bool near);
int fetch_suite(CacheSetup *setup, bool near);
int lookup_suite(CacheSetup *setup, bool near);
