/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts that ferry's load generators share, and their rows. */

#include <ferry/ferry.h>

#include "bench/lab.h"

/* If r is negative, prints the error and ends the program. */
void check(int r, const ferry_error *error);

/* A client whose connection is up. */
ferry_client *open_client(const LabArgs *args);

/* Reports that the process is ready, and serves. */
_Noreturn void run_for_ever(ferry_client *client);

/* ---- ferry-typed.c ---- */

void typed_calls(const LabArgs *args);
void untyped_calls(const LabArgs *args);
void codec_tables(const LabArgs *args);

/* ---- ferry-streams.c ---- */

void streams_echo(const LabArgs *args);
