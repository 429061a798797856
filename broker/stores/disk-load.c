/* SPDX-License-Identifier: Apache-2.0 */
/* Read contents of jobs back from the journal. See disk-private.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/stores/disk-private.h"

bool disk_has_content(const Store *store, const StoredJob *job) {
    const DiskJob *of = job->place;

    (void)store;
    return of && of->segment;
}

/* Begins to read the job's record from its present place. */
static int begin_load(DiskStore *disk, DiskJob *of) {
    LoadRequest *request = load_request_new(of, of->segment, of->at, of->len);

    if (!request)
        return -ENOMEM;
    of->load = request;
    *disk->to_load_end = request;
    disk->to_load_end = &request->next;
    return 0;
}

int disk_load(Store *store, StoredJob *job) {
    return begin_load(disk_of(store), job->place);
}

void disk_load_submit(DiskStore *disk) {
    if (!disk->to_load)
        return;
    loader_submit(&disk->loader, disk->to_load);
    disk->to_load = NULL;
    disk->to_load_end = &disk->to_load;
}

static void take(DiskStore *disk, const LoadRequest *request) {
    DiskJob *of = request->of;
    int r = request->result;
    char place[FOLDER_FILE_MAX + 40];
    Message content = {0};
    DiskRecord record;

    of->load = NULL;
    /* The record was written again during the read, and its old segment is gone: read the new
     * one. */
    if (r < 0 && (of->segment != request->segment || of->at != request->at) &&
        begin_load(disk, of) == 0)
        return;
    if (r == 0)
        r = record_read(request->data, &record);
    if (r == 0) {
        content.headers = record.headers;
        content.body = record.body;
        content.passed = record.passed;
    }
    snprintf(place, sizeof(place), "%s/journal-%08u at %" PRIu64, disk->path, request->segment,
             request->at);
    queues_loaded(disk->store.ctx, of->job, r, place, &content);
}

void disk_load_done(DiskStore *disk) {
    LoadRequest *request = loader_take_done(&disk->loader), *next;

    for (; request; request = next) {
        next = request->next;
        if (request->of)
            take(disk, request);
        free(request);
    }
    disk_load_submit(disk);
}

void disk_load_end(DiskStore *disk) {
    loader_close(&disk->loader);
    while (disk->to_load) {
        LoadRequest *next = disk->to_load->next;

        free(disk->to_load);
        disk->to_load = next;
    }
}
