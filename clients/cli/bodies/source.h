/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The source of the bodies of pub, push and gather: an argument, a file, nothing, or the lines of
 * standard input.
 */

#include "base/buffer.h"
#include "clients/cli/run/loop.h"

enum { SOURCE_BODY_MAX = 64 * 1024 * 1024 };

typedef struct SourceOptions {
    const char *argument; /* NULL: not given; "-": standard input */
    const char *file;     /* NULL: not given */
    uint64_t count; /* send one body this many times; for lines, the maximum number; 0: once, or all
                       lines */
} SourceOptions;

typedef struct BodySource {
    Watch watch; /* watches standard input; the command sets fn */
    bool is_lines, is_at_end, is_watched;
    uint64_t left;
    Buffer data; /* the body, or the bytes read and not yet returned */
    size_t at;
} BodySource;

/* Returns an exit status. */
int source_open(BodySource *source, Cli *cli, const SourceOptions *options);
void source_deinit(BodySource *source, Loop *loop);

/* 1: *ret is the next body, valid until the next call. 0: there are no more. -EAGAIN: not yet, and
 * source->watch.fn will be called; -EMSGSIZE: a line over 64 MiB; other errors of read(). */
int source_next(BodySource *source, Loop *loop, ferry_bytes *ret);

/* Call it in watch.fn when there is data to read. The descriptor is not watched again until
 * source_next() returns -EAGAIN, so that a command that cannot send more now is not woken. */
void source_ready(BodySource *source, Loop *loop);
