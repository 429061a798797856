/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies from arguments, files and standard input. See source.h. */

#include "clients/cli/bodies/source.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024 };

static int read_all(Buffer *to, int fd) {
    for (;;) {
        uint8_t *room = buffer_reserve(to, READ_SIZE);
        ssize_t n = room ? read(fd, room, READ_SIZE) : -1;

        if (!room)
            return -ENOMEM;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        to->len += n > 0 ? (size_t)n : 0;
        if (to->len > SOURCE_BODY_MAX)
            return -EMSGSIZE;
    }
}

static int read_file(BodySource *source, Cli *cli, const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0)
        return cli_fail(cli, EXIT_USAGE, "cannot open '%s': %s", path, strerror(errno));
    r = read_all(&source->data, fd);
    close(fd);
    if (r == -EMSGSIZE)
        return cli_fail(cli, EXIT_REFUSED, "'%s' is larger than 64 MiB, the limit of a body", path);
    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "cannot read '%s': %s", path, strerror(-r));
    return EXIT_OK;
}

/* True: standard input is a pipe, or a file with data. `echo x | ferry push q` is then refused
 * instead of pushing an empty job: the user probably means x. */
static bool has_piped_input(void) {
    struct stat about;

    return fstat(STDIN_FILENO, &about) == 0 &&
           (S_ISFIFO(about.st_mode) || (S_ISREG(about.st_mode) && about.st_size > 0));
}

int source_open(BodySource *source, Cli *cli, const SourceOptions *options) {
    *source = (BodySource){.watch = {.fd = STDIN_FILENO}};
    if (options->argument && options->file)
        return cli_usage(cli, "the body is given twice: as an argument and with --file");
    if (options->argument && strcmp(options->argument, "-") == 0) {
        source->is_lines = true;
        source->left = options->count ? options->count : UINT64_MAX;
        return EXIT_OK;
    }
    source->left = options->count ? options->count : 1;
    if (options->file)
        return read_file(source, cli, options->file);
    if (!options->argument && has_piped_input())
        return cli_usage(cli, "standard input is read only with '-': give '-', or '' for an empty "
                              "body");
    if (options->argument)
        buffer_append(&source->data, options->argument, strlen(options->argument));
    return source->data.failed ? cli_fail(cli, EXIT_OTHER, "out of memory") : EXIT_OK;
}

void source_ready(BodySource *source, Loop *loop) {
    if (source->is_watched)
        loop_unwatch(loop, &source->watch);
    source->is_watched = false;
}

void source_deinit(BodySource *source, Loop *loop) {
    source_ready(source, loop);
    buffer_deinit(&source->data);
}

/* Reads without waiting and without O_NONBLOCK, which would also change the descriptor for the
 * terminal and all other processes that share it. */
static int fill(BodySource *source, Loop *loop) {
    struct pollfd pollfd = {.fd = source->watch.fd, .events = POLLIN};
    uint8_t *room;
    ssize_t n;

    if (poll(&pollfd, 1, 0) == 0) {
        if (!source->is_watched)
            source->is_watched = loop_watch(loop, &source->watch, EPOLLIN) == 0;
        return -EAGAIN;
    }
    /* Drop the bodies that were returned, once for each read. */
    if (source->at > 0) {
        assert(source->data.data);
        memmove(source->data.data, source->data.data + source->at, source->data.len - source->at);
        source->data.len -= source->at;
        source->at = 0;
    }
    if (source->data.len > SOURCE_BODY_MAX)
        return -EMSGSIZE;
    room = buffer_reserve(&source->data, READ_SIZE);
    if (!room)
        return -ENOMEM;
    n = read(source->watch.fd, room, READ_SIZE);
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    source->data.len += (size_t)n;
    source->is_at_end = n == 0;
    return 0;
}

static int next_line(BodySource *source, Loop *loop, ferry_bytes *ret) {
    size_t searched = 0;

    for (;;) {
        const uint8_t *line = source->data.data ? source->data.data + source->at : NULL;
        size_t len = source->data.len - source->at;
        const uint8_t *end = NULL;
        int r;

        if (len > searched) {
            assert(line);
            end = memchr(line + searched, '\n', len - searched);
        }

        if (end || (source->is_at_end && len > 0)) {
            size_t size = end ? (size_t)(end - line) : len;

            *ret = ferry_bytes_of(line, size);
            source->at += size + (end ? 1 : 0);
            return 1;
        }
        if (source->is_at_end)
            return 0;
        searched = len;
        r = fill(source, loop);
        if (r < 0)
            return r;
    }
}

int source_next(BodySource *source, Loop *loop, ferry_bytes *ret) {
    int r = 1;

    if (source->left == 0)
        return 0;
    if (source->is_lines)
        r = next_line(source, loop, ret);
    else
        *ret = ferry_bytes_of(source->data.data ? source->data.data : (const uint8_t *)"",
                              source->data.len);
    if (r == 1 && source->left != UINT64_MAX)
        source->left--;
    return r;
}
