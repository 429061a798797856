#pragma once

/*
 * Where the bodies of pub, push and gather come from: an argument, a file, nothing, or standard
 * input, one a line.
 */

#include "base/buffer.h"
#include "clients/cli/run/loop.h"

enum { SOURCE_BODY_MAX = 64 * 1024 * 1024 };

typedef struct SourceOptions {
    const char *argument; /* NULL: none; "-": standard input */
    const char *file;     /* NULL: none */
    uint64_t count;       /* one body this often; of lines at most so many; 0: once, all */
} SourceOptions;

typedef struct Source {
    Watch watch; /* standard input, while it is watched; fn is the command's */
    bool is_lines, is_at_end, is_watched;
    uint64_t left;
    Buffer data; /* the body, or what was read and not yet given out */
    size_t at;
} Source;

/* An exit status. */
int source_open(Source *source, Cli *cli, const SourceOptions *options);
void source_deinit(Source *source, Loop *loop);

/* 1: *ret is the next, good until the next call. 0: there are no more. -EAGAIN: not yet, and
 * source->watch.fn will be called; -EMSGSIZE: a line over 64 MiB; other errors of read(). */
int source_next(Source *source, Loop *loop, ferry_bytes *ret);

/* To be called in watch.fn: there is something to read. It is watched no more, until source_next()
 * says -EAGAIN again: whoever cannot take more now must not be woken by it. */
void source_ready(Source *source, Loop *loop);
