/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A feed sends a sequence of bodies, for `ferry pub` and `ferry push`: it reads bodies from a
 * source, offers a body again when it could not be sent, and shows a progress bar.
 */

#include "clients/cli/bodies/body-type.h"
#include "clients/cli/bodies/source.h"
#include "clients/cli/terminal/progress.h"

typedef struct Feed Feed;

struct Feed {
    Cli *cli;
    ferry_client *client;
    /* Sends the available bodies: calls feed_next() until it returns -EAGAIN or the loop has ended.
     * Called at the start, when more bodies are available, and after feed_wake(). */
    void (*pump)(Feed *feed);
    Loop loop;
    BodySource source;
    Timer timer;
    BodyType pack;    /* of --pack; closed by feed_close() */
    Buffer packed;    /* the latest body, packed */
    uint64_t n_read;  /* bodies read from the source */
    ferry_bytes held; /* a body to offer again */
    bool is_held;
    Progress progress;
};

/* The caller sets pump, the rest is zero. pack: the value of --pack, or NULL. Returns an exit
 * status; call feed_close() in any case. */
int feed_open(Feed *feed, Cli *cli, const SourceOptions *options, const char *pack);
void feed_close(Feed *feed);

/* 1: *ret is the next body, valid until the next call; 0: there are no more; -EAGAIN: not yet;
 * another error of reading: it was reported and the loop ended. */
int feed_next(Feed *feed, ferry_bytes *ret);

/* The body could not be sent: feed_next() returns it again. */
void feed_hold(Feed *feed, ferry_bytes body);

/* Calls pump after this time. */
void feed_wake(Feed *feed, uint64_t delay_ms);

/* Adds n finished bodies to the progress bar. */
void feed_done(Feed *feed, uint64_t n);

/* Runs the loop until it ends. what: the verb of the progress bar, such as "stored"; total: 0 if
 * unknown. Returns an exit status. */
int feed_run(Feed *feed, const char *what, uint64_t total);
