/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The space for the next segments of the journal: spare files whose blocks are allocated. One spare
 * file is only for acknowledgements and notes, so a full disk refuses pushes alone.
 */

#include <stdbool.h>
#include <stdint.h>

#include "broker/stores/folder.h"

enum { RESERVE_SPARES = 2 };

typedef struct Reserve {
    const Folder *folder;
    uint32_t segment_bytes; /* size of each spare file */
    unsigned n_spares;
} Reserve;

/* Removes the spare files of an earlier life, and makes new ones. -ENOSPC: the disk is full; the
 * reserve may be used, and reserve_fill() tries again. Otherwise a negative errno. */
int reserve_open(Reserve *reserve, const Folder *folder);

/* Makes the missing spare files. -ENOSPC: the disk is full. */
int reserve_fill(Reserve *reserve);

/* Opens a file with at least `size` bytes of allocated blocks for the next segment, and writes its
 * path. Pushes never take the last spare file. Returns the descriptor; -ENOSPC: the disk is full.
 */
int reserve_take(Reserve *reserve, uint64_t size, bool is_push, char path[FOLDER_FILE_MAX]);
