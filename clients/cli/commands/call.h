/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The common part of the two kinds of calls: call.c calls methods that answer once, call-stream.c
 * methods with streams. */

#include <ferry/schema.h>

#include "clients/cli/run/loop.h"

typedef struct CallValues {
    uint64_t timeout_ms, count, in_flight;
    const char *instance, *stream;
    bool wait_for_server, idempotent, raw, time, template, unchecked;
} CallValues;

typedef struct CallRun {
    Cli *cli;
    const CallValues *values;
    const char *method;
    char service[256];
    ferry_description *description; /* NULL: not available */
    const ferry_method *declared;   /* NULL: not described */
    bool is_absent;                 /* no server offers the service now */
    ferry_client *client;
    ferry_bytes args; /* in packed */
    Buffer packed;
    Loop loop;
    uint64_t started, ended, count;
    uint64_t start_us; /* start of the stream */
} CallRun;

/* ---- call-show.c ---- */

/* Prints a value of this type (NULL: unknown), or as --raw says. Returns an exit status. */
int call_show(CallRun *run, const ferry_type *type, ferry_bytes value);

/* Prints the error with its fields, and a suggestion for a mistyped name. Returns an exit
 * status. */
int call_tell(CallRun *run, const ferry_error *error);

/* ---- call-stream.c ---- */

/* Calls a method with streams: items from standard input, items to standard output, as JSON, one
 * per line. directions: FERRY_SEND, FERRY_RECEIVE, or both. Returns an exit status. */
int call_stream(CallRun *run, unsigned directions);
