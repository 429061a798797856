/* SPDX-License-Identifier: Apache-2.0 */
/* The segments of the journal, as files. See segment.h. */

#include "broker/stores/segment.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "broker/stores/file.h"

static const char title[16] = "ferry journal\n";

enum { AT_FORMAT = 16, AT_NUMBER = 20, AT_ID = 24, AT_CHECKSUM = 56 };

void segment_path(const Folder *folder, uint32_t number, char to[FOLDER_FILE_MAX]) {
    char name[32];

    snprintf(name, sizeof(name), "journal-%08u", number);
    folder_file(folder, name, to);
}

uint64_t segment_seed(const Folder *folder, uint32_t number) {
    return XXH3_64bits_withSeed(folder->id, sizeof(folder->id), number);
}

void segment_head(const Folder *folder, uint32_t number, uint8_t to[SEGMENT_HEAD]) {
    uint32_t format = htole32(FOLDER_FORMAT), number_le = htole32(number);
    uint64_t checksum;

    memset(to, 0, SEGMENT_HEAD);
    memcpy(to, title, sizeof(title));
    memcpy(to + AT_FORMAT, &format, sizeof(format));
    memcpy(to + AT_NUMBER, &number_le, sizeof(number_le));
    memcpy(to + AT_ID, folder->id, sizeof(folder->id));
    checksum = htole64(XXH3_64bits(to, AT_CHECKSUM));
    memcpy(to + AT_CHECKSUM, &checksum, sizeof(checksum));
}

bool segment_head_is_right(const Folder *folder, const SegmentBytes *bytes) {
    uint8_t head[SEGMENT_HEAD];

    segment_head(folder, bytes->number, head);
    return bytes->size >= SEGMENT_HEAD && memcmp(head, bytes->data, SEGMENT_HEAD) == 0;
}

static int make_room(SegmentBytes *bytes, uint64_t size) {
    if (bytes->cap >= size)
        return 0;
    free(bytes->data); /* the old content is not needed, so realloc() would copy it for nothing */
    bytes->data = malloc((size_t)size);
    bytes->cap = bytes->data ? size : 0;
    return bytes->data ? 0 : -ENOMEM;
}

int segment_load_again(const Folder *folder, uint32_t number, SegmentBytes *ret) {
    char path[FOLDER_FILE_MAX];
    struct stat info;
    int fd, r = 0;
    long n;

    segment_path(folder, number, path);
    ret->number = number;
    ret->seed = segment_seed(folder, number);
    ret->size = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &info) < 0)
        r = -errno;
    if (r == 0)
        r = make_room(ret, (uint64_t)info.st_size + 1);
    if (r == 0) {
        n = file_read(fd, ret->data, (size_t)info.st_size, 0);
        r = n < 0 ? (int)n : 0;
        ret->size = n < 0 ? 0 : (uint64_t)n;
    }
    close(fd);
    if (r < 0)
        segment_unload(ret);
    return r;
}

int segment_load(const Folder *folder, uint32_t number, SegmentBytes *ret) {
    *ret = (SegmentBytes){0};
    return segment_load_again(folder, number, ret);
}

void segment_unload(SegmentBytes *bytes) {
    free(bytes->data);
    *bytes = (SegmentBytes){0};
}

static bool is_zero(const uint8_t *data, uint64_t size) {
    return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

const uint8_t *segment_next(const SegmentBytes *bytes, uint64_t *at, uint64_t *ret_skipped) {
    uint64_t from = *at;

    for (uint64_t here = from; here + RECORD_HEAD <= bytes->size; here += RECORD_ALIGN) {
        const uint8_t *record = bytes->data + here;

        if (here == from && is_zero(record, RECORD_HEAD) &&
            is_zero(record, bytes->size - here)) { /* a segment usually ends with zeros */
            *at = bytes->size;
            *ret_skipped = 0;
            return NULL;
        }
        if (!record_check(record, bytes->size - here, bytes->seed))
            continue;
        *ret_skipped = here - from;
        *at = here + record_padded(record_len(record));
        return record;
    }
    *at = bytes->size;
    *ret_skipped = 0;
    for (uint64_t end = bytes->size; end > from && *ret_skipped == 0; end--)
        if (bytes->data[end - 1] != 0)
            *ret_skipped = end - from;
    return NULL;
}
