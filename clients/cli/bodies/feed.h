#pragma once

/*
 * What sends one body after the other, `ferry pub` and `ferry push`: bodies from a source, given
 * out again when they could not be taken, with a bar that shows how far it is.
 */

#include "clients/cli/bodies/source.h"
#include "clients/cli/terminal/progress.h"

typedef struct Feed Feed;

struct Feed {
    Cli *cli;
    ferry_client *client;
    /* Sends what there is: feed_next(), until it says -EAGAIN or the loop has ended. Called at the
     * start, when there is more, and when feed_wake() says so. */
    void (*pump)(Feed *feed);
    Loop loop;
    Source source;
    Timer timer;
    ferry_bytes held; /* could not be taken yet */
    bool is_held;
    Progress progress;
};

/* pump is set, all else zero. An exit status; feed_close() in any case. */
int feed_open(Feed *feed, Cli *cli, const SourceOptions *options);
void feed_close(Feed *feed);

/* 1: *ret is the next, good until the next call; 0: there are no more; -EAGAIN: not yet; another
 * error of reading: it is told and the loop ended. */
int feed_next(Feed *feed, ferry_bytes *ret);

/* This one could not be taken: it is the next one again. */
void feed_hold(Feed *feed, ferry_bytes body);

/* pump is called after this time. */
void feed_wake(Feed *feed, uint64_t delay_ms);

/* So many are done: for the bar. */
void feed_done(Feed *feed, uint64_t n);

/* Pumps until the loop is ended. what: for the bar, "stored"; total: 0 if not known. An exit
 * status. */
int feed_run(Feed *feed, const char *what, uint64_t total);
