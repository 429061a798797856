/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A server in this folder is one function that offers its service on a client. server-main.c, which
 * runs one server, or all/main.c, which runs all of them, connects the client and runs it.
 */

#include <ferry/ferry.h>

#include "rows.h" /* EXAMPLE_ROWS(ROW): ROW(arith) ROW(caps) …, the rows of this build */

typedef int start_fn(ferry_client *client, ferry_error *reterr);

#define DECLARE_ROW(name) start_fn name##_start;
EXAMPLE_ROWS(DECLARE_ROW)
#undef DECLARE_ROW
