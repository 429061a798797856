/* SPDX-License-Identifier: Apache-2.0 */
/* Spare files for the next segments of the journal. See reserve.h. */

#include "broker/stores/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/stores/file.h"

enum { SEGMENT_BYTES_MAX = 16 << 20, SEGMENT_BYTES_MIN = 128 << 10, PAGE = 4096 };

static void spare_path(const Reserve *reserve, unsigned i, char to[FOLDER_FILE_MAX]) {
    char name[32];

    snprintf(name, sizeof(name), "spare-%u", i);
    folder_file(reserve->folder, name, to);
}

/* Makes a file with blocks for size bytes; removes it again if there is no space. */
static int make_file(const char *path, uint64_t size) {
    int fd = file_ops->open(path, O_RDWR | O_CREAT | O_TRUNC), r;

    if (fd < 0)
        return fd;
    r = file_ops->reserve(fd, size);
    if (r == 0)
        return fd;
    close(fd);
    file_ops->remove(path);
    return r;
}

int reserve_fill(Reserve *reserve) {
    char path[FOLDER_FILE_MAX];

    while (reserve->n_spares < RESERVE_SPARES) {
        int fd;

        spare_path(reserve, reserve->n_spares, path);
        fd = make_file(path, reserve->segment_bytes);
        if (fd < 0)
            return fd;
        close(fd);
        reserve->n_spares++;
    }
    return 0;
}

static int take_spare(Reserve *reserve, char path[FOLDER_FILE_MAX]) {
    int fd;

    spare_path(reserve, reserve->n_spares - 1, path);
    fd = file_ops->open(path, O_RDWR);
    if (fd >= 0)
        reserve->n_spares--;
    return fd;
}

/* A spare file that a push uses is replaced first. */
int reserve_take(Reserve *reserve, uint64_t size, bool is_push, char path[FOLDER_FILE_MAX]) {
    int r = reserve_fill(reserve);

    if (r < 0 && (is_push || r != -ENOSPC))
        return r;
    if (size <= reserve->segment_bytes && reserve->n_spares > (is_push ? 1 : 0))
        return take_spare(reserve, path);
    folder_file(reserve->folder, "journal.new", path);
    return make_file(path, size);
}

/* On a small disk segments are small, so that the spare files do not take most of it. */
static uint32_t segment_bytes_for(const Folder *folder) {
    uint64_t share = file_ops->space(folder->path) / 16 / PAGE * PAGE;

    return share > SEGMENT_BYTES_MAX   ? SEGMENT_BYTES_MAX
           : share < SEGMENT_BYTES_MIN ? SEGMENT_BYTES_MIN
                                       : (uint32_t)share;
}

static void remove_old_spares(const Reserve *reserve) {
    char path[FOLDER_FILE_MAX];

    for (unsigned i = 0; i < RESERVE_SPARES; i++) {
        spare_path(reserve, i, path);
        file_ops->remove(path);
    }
    folder_file(reserve->folder, "journal.new", path);
    file_ops->remove(path);
}

int reserve_open(Reserve *reserve, const Folder *folder) {
    *reserve = (Reserve){.folder = folder};
    remove_old_spares(reserve);
    reserve->segment_bytes = segment_bytes_for(folder);
    return reserve_fill(reserve);
}
