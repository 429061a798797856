#pragma once

/* What the two ways to call share: call.c has methods that answer once, call-stream.c
 * streams. */

#include <ferry/schema.h>

#include "clients/cli/run/loop.h"

typedef struct CallValues {
    uint64_t timeout_ms, count, in_flight;
    const char *instance, *stream;
    bool idempotent, raw, time, template, unchecked;
} CallValues;

typedef struct CallRun {
    Cli *cli;
    const CallValues *values;
    const char *method;
    char service[256];
    ferry_description *description; /* NULL: none was to be had */
    const ferry_method *declared;   /* NULL: not described */
    bool is_absent;                 /* nobody serves it now */
    ferry_client *client;
    ferry_bytes args;
    Loop loop;
    uint64_t started, ended, count;
    uint64_t start_us; /* of the latest call */
} CallRun;

/* ---- call-show.c ---- */

/* Prints a value of this type (NULL: not known), or as --raw says. An exit status. */
int call_show(CallRun *run, const ferry_type *type, ferry_bytes value);

/* Tells the error with its fields, and what may have been meant. An exit status. */
int call_tell(CallRun *run, const ferry_error *error);

/* ---- call-stream.c ---- */

/* Calls a method with streams: items from standard input, items to standard output, JSON, one a
 * line. directions: FERRY_SEND, FERRY_RECEIVE, or both. An exit status. */
int call_stream(CallRun *run, unsigned directions);
