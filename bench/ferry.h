/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts that ferry's load generators share, and their rows. */

#include <ferry/ferry.h>

#include "bench/lab.h"

/* Ends the program when r is negative, and says why. */
void check(int r, const ferry_error *error);

/* A client whose connection is up. */
ferry_client *open_client(const LabArgs *args);

/* Says that it is ready, and serves. */
_Noreturn void run_for_ever(ferry_client *client);

/* ---- ferry-typed.c ---- */

void typed_calls(const LabArgs *args);
void untyped_calls(const LabArgs *args);
void codec_tables(const LabArgs *args);

/* ---- ferry-streams.c ---- */

void streams_echo(const LabArgs *args);
