/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that reads records back. See loader.h. */

#include "broker/stores/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/thread.h"
#include "broker/stores/file.h"

LoadRequest *load_request_new(DiskJob *of, uint32_t segment, uint64_t at, uint32_t len) {
    LoadRequest *request = malloc(sizeof(*request) + len);

    if (request)
        *request = (LoadRequest){.of = of, .segment = segment, .at = at, .len = len};
    return request;
}

static int open_segment(Loader *loader, uint32_t number) {
    char path[FOLDER_FILE_MAX];

    if (loader->fd >= 0 && loader->segment == number)
        return 0;
    if (loader->fd >= 0)
        close(loader->fd);
    segment_path(loader->folder, number, path);
    loader->segment = number;
    loader->fd = open(path, O_RDONLY | O_CLOEXEC);
    return loader->fd < 0 ? -errno : 0;
}

static int load_one(Loader *loader, LoadRequest *request) {
    int r = open_segment(loader, request->segment);
    long n;

    if (r < 0)
        return r;
    n = file_read(loader->fd, request->data, request->len, request->at);
    if (n < 0)
        return (int)n;
    if (n < (long)request->len ||
        !record_check(request->data, request->len, segment_seed(loader->folder, request->segment)))
        return -EBADMSG;
    return 0;
}

static void hand_over(Loader *loader, LoadRequest *request) {
    bool was_empty;

    request->next = NULL;
    pthread_mutex_lock(&loader->lock);
    was_empty = !loader->done;
    *loader->done_end = request;
    loader->done_end = &request->next;
    pthread_mutex_unlock(&loader->lock);
    if (was_empty)
        waker_call(loader->waker);
}

static void *run(void *ctx) {
    Loader *loader = ctx;

    pthread_mutex_lock(&loader->lock);
    while (!loader->stopping) {
        LoadRequest *request = loader->todo;

        if (!request) {
            pthread_cond_wait(&loader->cond, &loader->lock);
            continue;
        }
        loader->todo = request->next;
        if (!loader->todo)
            loader->todo_end = &loader->todo;
        pthread_mutex_unlock(&loader->lock);
        request->result = load_one(loader, request);
        hand_over(loader, request);
        pthread_mutex_lock(&loader->lock);
    }
    pthread_mutex_unlock(&loader->lock);
    if (loader->fd >= 0)
        close(loader->fd);
    return NULL;
}

int loader_open(Loader *loader, const Folder *folder, Waker *waker) {
    int r;

    *loader = (Loader){.folder = folder, .waker = waker, .fd = -1};
    loader->todo_end = &loader->todo;
    loader->done_end = &loader->done;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->cond, NULL);
    r = thread_start(&loader->thread, run, loader);
    loader->running = r == 0;
    return r;
}

static void free_all(LoadRequest *list) {
    while (list) {
        LoadRequest *next = list->next;

        free(list);
        list = next;
    }
}

void loader_close(Loader *loader) {
    if (!loader->running)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_signal(&loader->cond);
    pthread_mutex_unlock(&loader->lock);
    pthread_join(loader->thread, NULL);
    loader->running = false;
    free_all(loader->todo);
    free_all(loader->done);
    pthread_cond_destroy(&loader->cond);
    pthread_mutex_destroy(&loader->lock);
}

void loader_submit(Loader *loader, LoadRequest *list) {
    pthread_mutex_lock(&loader->lock);
    *loader->todo_end = list;
    for (; list; list = list->next)
        loader->todo_end = &list->next;
    pthread_cond_signal(&loader->cond);
    pthread_mutex_unlock(&loader->lock);
}

LoadRequest *loader_take_done(Loader *loader) {
    LoadRequest *list;

    pthread_mutex_lock(&loader->lock);
    list = loader->done;
    loader->done = NULL;
    loader->done_end = &loader->done;
    pthread_mutex_unlock(&loader->lock);
    return list;
}
