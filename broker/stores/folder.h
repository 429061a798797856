/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The data folder of a broker:
 *
 *     lock               locked by the process that uses the folder
 *     format             the version of the format, and the random id of the folder
 *     journal-00000001   segments of the journal, see segment.h
 *     spare-0            space for the next segments: a full disk does not stop acknowledgements
 *     quarantine/        copies of bytes that could not be read, for a person to look at
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum {
    FOLDER_FORMAT = 1,
    FOLDER_ID = 16,
    FOLDER_PATH_MAX = 3800, /* bytes of the path; the names of its files need the rest of
                             * PATH_MAX */
    FOLDER_FILE_MAX = 4096,
};

typedef struct Folder {
    char *path;
    int lock; /* -1: not open */
    uint8_t id[FOLDER_ID];
} Folder;

/* Locks the folder; makes it first if it is missing and may_make is set, and otherwise also opens a
 * folder that can only be read. The error says which file is the cause, and why. */
int folder_open(Folder *folder, const char *path, bool may_make, ferry_error *reterr);
void folder_close(Folder *folder);

/* The path of a file in the folder. */
void folder_file(const Folder *folder, const char *name, char to[FOLDER_FILE_MAX]);

/* The numbers of the segments, ascending: *ret is owned by the caller. */
int folder_segments(const Folder *folder, uint32_t **ret, size_t *ret_n, ferry_error *reterr);

/* Copies bytes that cannot be read to the new file `name` in quarantine/, and flushes them.
 * -EEXIST: there is a file with this name already. */
int folder_quarantine(const Folder *folder, const char *name, const void *data, size_t size);
/* The number of files in quarantine/. */
size_t folder_n_quarantined(const Folder *folder);
