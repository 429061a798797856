/* SPDX-License-Identifier: Apache-2.0 */
/* The data folder: its lock, its format, its files. See folder.h. */

#include "broker/stores/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "broker/stores/file.h"

void folder_file(const Folder *folder, const char *name, char to[FOLDER_FILE_MAX]) {
    snprintf(to, FOLDER_FILE_MAX, "%s/%s", folder->path, name);
}

/* ---- lock ---- */

enum { LOCK_TRIES = 40, LOCK_WAIT_US = 50000 };

/* A broker that was killed may need some time to free its memory, and has the lock until then. */
static int try_lock(int fd) {
    int r;

    for (int i = 0; (r = flock(fd, LOCK_EX | LOCK_NB)) < 0 && errno == EWOULDBLOCK; i++) {
        if (i == LOCK_TRIES)
            break;
        usleep(LOCK_WAIT_US);
    }
    return r;
}

static int lock_folder(Folder *folder, bool may_make, ferry_error *reterr) {
    char path[FOLDER_FILE_MAX];
    int r;

    folder_file(folder, "lock", path);
    folder->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (folder->lock < 0 && errno == EROFS && !may_make)
        folder->lock = open(path, O_RDONLY | O_CLOEXEC); /* a snapshot or a backup */
    if (folder->lock < 0)
        return error_set_code(reterr, -errno, "cannot open %s: %s", path, strerror(errno));
    if (try_lock(folder->lock) == 0)
        return 0;
    r = errno == EWOULDBLOCK
            ? error_set_code(reterr, -EADDRINUSE, "another broker uses %s", folder->path)
            : error_set_code(reterr, -errno,
                             "cannot lock %s: %s: the data folder needs a file system with locks",
                             path, strerror(errno));
    close(folder->lock);
    folder->lock = -1;
    return r;
}

/* ---- format ---- */

static const char format_text[] = "ferry data folder\nformat %u\nid %32s\n";

/* The folder is new if it is empty, apart from the lock. */
static int check_is_new(const Folder *folder, ferry_error *reterr) {
    DIR *dir = opendir(folder->path);
    struct dirent *entry;
    int r = 0;

    if (!dir)
        return error_set_code(reterr, -errno, "cannot read %s: %s", folder->path, strerror(errno));
    while (r == 0 && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lock") != 0 && strcmp(entry->d_name, "format.new") != 0 &&
            strcmp(entry->d_name, "lost+found") != 0)
            r = error_set_code(reterr, -EINVAL,
                               "%s is not a data folder of ferry: it has a file '%s', but no file "
                               "'format'",
                               folder->path, entry->d_name);
    closedir(dir);
    return r;
}

static void id_as_text(const uint8_t id[FOLDER_ID], char to[2 * FOLDER_ID + 1]) {
    for (size_t i = 0; i < FOLDER_ID; i++)
        snprintf(to + 2 * i, 3, "%02x", id[i]);
}

static int make_format(Folder *folder, const char *path, ferry_error *reterr) {
    char text[100], id[2 * FOLDER_ID + 1], made[FOLDER_FILE_MAX];
    int r = check_is_new(folder, reterr), fd;

    if (r < 0)
        return r;
    random_bytes(folder->id, sizeof(folder->id));
    id_as_text(folder->id, id);
    snprintf(text, sizeof(text), format_text, FOLDER_FORMAT, id);
    folder_file(folder, "format.new", made);
    fd = r = file_ops->open(made, O_RDWR | O_CREAT | O_TRUNC);
    if (r >= 0)
        r = file_ops->write(fd, text, strlen(text), 0);
    if (r >= 0)
        r = file_ops->flush(fd);
    if (fd >= 0)
        close(fd);
    if (r >= 0)
        r = file_ops->rename(made, path);
    if (r >= 0)
        r = file_ops->flush_folder(folder->path);
    return r < 0 ? error_set_code(reterr, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static int read_format(Folder *folder, int fd, const char *path, ferry_error *reterr) {
    char text[200] = "", id[2 * FOLDER_ID + 1] = "";
    long n = file_read(fd, text, sizeof(text) - 1, 0);
    unsigned version = 0;

    if (n < 0)
        return error_set_code(reterr, (int)n, "cannot read %s: %s", path, strerror((int)-n));
    if (sscanf(text, format_text, &version, id) < 1)
        return error_set_code(
            reterr, -EINVAL,
            "%s is damaged, or not a file of ferry: it does not begin with 'ferry data "
            "folder'",
            path);
    if (version > FOLDER_FORMAT)
        return error_set_code(
            reterr, -EINVAL,
            "%s: a newer ferry has written this folder in format %u; this one reads up "
            "to format %d",
            path, version, FOLDER_FORMAT);
    if (version == 0 || strlen(id) != (size_t)2 * FOLDER_ID ||
        strspn(id, "0123456789abcdef") != strlen(id))
        return error_set_code(reterr, -EINVAL, "%s is damaged: it has no valid format and id",
                              path);
    for (size_t i = 0; i < FOLDER_ID; i++) {
        unsigned byte;

        sscanf(id + 2 * i, "%2x", &byte);
        folder->id[i] = (uint8_t)byte;
    }
    return 0;
}

static int open_format(Folder *folder, bool may_make, ferry_error *reterr) {
    char path[FOLDER_FILE_MAX];
    int fd, r;

    folder_file(folder, "format", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        r = read_format(folder, fd, path, reterr);
        close(fd);
        return r;
    }
    if (errno == ENOENT && may_make)
        return make_format(folder, path, reterr);
    return error_set_code(reterr, -errno, "cannot open %s: %s", path, strerror(errno));
}

static bool has_format(const Folder *folder) {
    char path[FOLDER_FILE_MAX];

    folder_file(folder, "format", path);
    return access(path, F_OK) == 0;
}

static int no_format(const Folder *folder, ferry_error *reterr) {
    return error_set_code(
        reterr, -EINVAL, "%s is not a data folder of ferry: it has no file 'format'", folder->path);
}

int folder_open(Folder *folder, const char *path, bool may_make, ferry_error *reterr) {
    int r = 0;

    *folder = (Folder){.lock = -1};
    if (strlen(path) > FOLDER_PATH_MAX)
        return error_set_code(reterr, -ENAMETOOLONG, "the path of the data folder is too long");
    if (may_make && mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set_code(reterr, -errno, "cannot make the data folder %s: %s", path,
                              strerror(errno));
    if (access(path, F_OK) < 0)
        return error_set_code(reterr, -errno, "cannot open the data folder %s: %s", path,
                              strerror(errno));
    folder->path = strdup(path);
    if (!folder->path)
        return error_set_code(reterr, -ENOMEM, NULL);
    /* Never write to another program's folder. */
    r = has_format(folder) ? 0
        : may_make         ? check_is_new(folder, reterr)
                           : no_format(folder, reterr);
    if (r == 0)
        r = lock_folder(folder, may_make, reterr);
    if (r == 0)
        r = open_format(folder, may_make, reterr);
    if (r < 0)
        folder_close(folder);
    return r;
}

void folder_close(Folder *folder) {
    if (folder->lock >= 0)
        close(folder->lock);
    free(folder->path);
    *folder = (Folder){.lock = -1};
}

/* ---- files ---- */

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int folder_segments(const Folder *folder, uint32_t **ret, size_t *ret_n, ferry_error *reterr) {
    uint32_t *numbers = NULL, *grown, number;
    DIR *dir = opendir(folder->path);
    struct dirent *entry;
    size_t n = 0;
    int end;

    if (!dir)
        return error_set_code(reterr, -errno, "cannot read %s: %s", folder->path, strerror(errno));
    while ((entry = readdir(dir))) {
        end = 0;
        if (sscanf(entry->d_name, "journal-%8u%n", &number, &end) != 1 || entry->d_name[end])
            continue;
        grown = n % 64 == 0 ? realloc(numbers, (n + 64) * sizeof(*numbers)) : numbers;
        if (!grown) {
            free(numbers);
            closedir(dir);
            return error_set_code(reterr, -ENOMEM, NULL);
        }
        numbers = grown;
        numbers[n++] = number;
    }
    closedir(dir);
    if (n > 0)
        qsort(numbers, n, sizeof(*numbers), compare);
    *ret = numbers;
    *ret_n = n;
    return 0;
}

int folder_quarantine(const Folder *folder, const char *name, const void *data, size_t size) {
    char path[FOLDER_FILE_MAX], in_folder[300];
    int fd, r;

    folder_file(folder, "quarantine", path);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    file_ops->flush_folder(folder->path);
    snprintf(in_folder, sizeof(in_folder), "quarantine/%s", name);
    folder_file(folder, in_folder, path);
    fd = file_ops->open(path, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    r = file_ops->write(fd, data, size, 0);
    if (r == 0)
        r = file_ops->flush(fd);
    close(fd);
    folder_file(folder, "quarantine", path);
    return r == 0 ? file_ops->flush_folder(path) : r;
}

size_t folder_n_quarantined(const Folder *folder) {
    char path[FOLDER_FILE_MAX];
    struct dirent *entry;
    size_t n = 0;
    DIR *dir;

    folder_file(folder, "quarantine", path);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        n += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}
