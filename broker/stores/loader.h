/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads records of the journal back, in a thread of its own: the broker's loop and the writer do
 * not wait for it.
 */

#include <pthread.h>

#include "base/waker.h"
#include "broker/stores/segment.h"

typedef struct DiskJob DiskJob;

typedef struct LoadRequest {
    struct LoadRequest *next;
    DiskJob *of; /* NULL: the content is not needed any more */
    uint64_t at;
    uint32_t segment, len; /* place and length of the record */
    int result;            /* 0, or a negative errno; -EBADMSG: the record is damaged */
    uint8_t data[];        /* len bytes */
} LoadRequest;

typedef struct Loader {
    const Folder *folder;
    Waker *waker;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t cond;
    /* Shared by both threads; the lock protects it. */
    LoadRequest *todo, **todo_end, *done, **done_end;
    bool stopping;

    /* Used by the thread alone: the segment that was read last. */
    int fd; /* -1: no segment is open */
    uint32_t segment;
} Loader;

/* Starts the thread. It calls the waker when requests are done. */
int loader_open(Loader *loader, const Folder *folder, Waker *waker);
/* Ends the thread, and frees all requests. */
void loader_close(Loader *loader);

/* NULL: out of memory. */
LoadRequest *load_request_new(DiskJob *of, uint32_t segment, uint64_t at, uint32_t len);
/* A list linked by next, which ends with NULL; the loader owns it from now on. */
void loader_submit(Loader *loader, LoadRequest *list);
/* Takes the requests that are done, in the order of submission: a list linked by next, or NULL. The
 * caller frees each. */
LoadRequest *loader_take_done(Loader *loader);
