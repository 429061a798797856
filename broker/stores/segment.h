/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A segment: one file of the journal, which is filled from front to end and then never changed. It
 * begins with a head of 64 bytes: the text "ferry journal", format, number, the folder's id, a
 * checksum. Records follow, each at a multiple of 8; see record.h.
 */

#include "broker/stores/folder.h"
#include "broker/stores/record.h"

enum { SEGMENT_HEAD = 64 };

/* The path of a segment. */
void segment_path(const Folder *folder, uint32_t number, char to[FOLDER_FILE_MAX]);
/* The seed of the checksums of its records. */
uint64_t segment_seed(const Folder *folder, uint32_t number);
void segment_head(const Folder *folder, uint32_t number, uint8_t to[SEGMENT_HEAD]);

/* The bytes of a whole segment. */
typedef struct SegmentBytes {
    uint32_t number;
    uint64_t seed;
    uint8_t *data; /* owned */
    uint64_t size, cap;
} SegmentBytes;

/* Reads the file, also if its head is damaged: the records have checksums of their own. */
int segment_load(const Folder *folder, uint32_t number, SegmentBytes *ret);
/* Like segment_load(), but uses the memory of the segment that was read before. At first *bytes
 * must be zero. */
int segment_load_again(const Folder *folder, uint32_t number, SegmentBytes *bytes);
void segment_unload(SegmentBytes *bytes);
bool segment_head_is_right(const Folder *folder, const SegmentBytes *bytes);

/* The next record from *at on, or NULL at the end. Moves *at behind it. *ret_skipped is the number
 * of bytes in front of it that cannot be read; at the end, zeros are not counted. */
const uint8_t *segment_next(const SegmentBytes *bytes, uint64_t *at, uint64_t *ret_skipped);
