/* SPDX-License-Identifier: Apache-2.0 */
/* A stream as a stdio file, by fopencookie(). */

#include <stdlib.h>

#include "clients/c/calls/stream.h"

#include <ferry/schema.h>

#include "rpc/wire/reader.h"

/* Larger writes become several items, so that an item neither waits long for credit nor takes much
 * memory in flight. */
enum { ITEM_MAX = 64 * 1024 };

typedef struct StreamFile {
    ferry_stream *stream;
    bool reads, writes;
    off64_t position; /* as stdio counts it: bytes read and written */
} StreamFile;

/* ---- reading ---- */

/* Fetches the next item that is not empty. 1; 0 at the end of the stream; or a negative errno. */
static int fetch(ferry_stream *stream, StreamFiles *files) {
    ferry_bytes item;
    int r;

    while (files->item.len == 0) {
        r = ferry_stream_next(stream, &item, NULL);
        if (r <= 0)
            return r;
        if (files->method) {
            Reader reader = reader_of(item.data, item.len);
            Span bytes = reader_bin(&reader);

            if (reader.problem)
                return -EPROTO;
            item = ferry_bytes_of(bytes.data, bytes.len);
        }
        files->item = item;
        files->n_read = 0;
    }
    return 1;
}

static ssize_t file_read(void *cookie, char *to, size_t size) {
    StreamFile *file = cookie;
    StreamFiles *files = stream_files(file->stream);
    int r = fetch(file->stream, files);

    if (r < 0) {
        errno = -r;
        return -1;
    }
    if (r == 0)
        return 0;
    size = size < files->item.len ? size : files->item.len;
    memcpy(to, files->item.data, size);
    files->item.data = (const char *)files->item.data + size;
    files->item.len -= size;
    files->n_read += size;
    file->position += (off64_t)size;
    return (ssize_t)size;
}

/* ---- writing ---- */

static ssize_t file_write(void *cookie, const char *from, size_t size) {
    StreamFile *file = cookie;
    const ferry_method *method = stream_files(file->stream)->method;
    int r = 0;

    for (size_t at = 0, n; r == 0 && at < size; at += n) {
        ferry_bytes item;

        n = size - at < ITEM_MAX ? size - at : ITEM_MAX;
        item = ferry_bytes_of(from + at, n);
        r = method ? ferry_stream_send_typed(file->stream, method, &item, NULL)
                   : ferry_stream_send(file->stream, item, NULL);
    }
    if (r < 0) {
        errno = -r;
        return 0; /* a write function of fopencookie() returns 0 on error */
    }
    file->position += (off64_t)size;
    return (ssize_t)size;
}

/*
 * If a program writes after a read, stdio first seeks back over the bytes that it read ahead. These
 * bytes lie within the last item.
 */
static int file_seek(void *cookie, off64_t *offset, int whence) {
    StreamFile *file = cookie;
    StreamFiles *files = stream_files(file->stream);
    off64_t back = whence == SEEK_CUR   ? -*offset
                   : whence == SEEK_SET ? file->position - *offset
                                        : -1;

    if (back < 0 || back > (off64_t)files->n_read) {
        errno = ESPIPE;
        return -1;
    }
    files->item.data = (const char *)files->item.data - back;
    files->item.len += (size_t)back;
    files->n_read -= (size_t)back;
    file->position -= back;
    *offset = file->position;
    return 0;
}

/* ---- opening and closing ---- */

static int file_close(void *cookie) {
    StreamFile *file = cookie;
    ferry_stream *stream = file->stream;
    StreamFiles *files = stream_files(stream);
    int r = 0;

    files->reads = files->reads && !file->reads;
    files->writes = files->writes && !file->writes;
    if (file->writes) {
        r = ferry_stream_end(stream, NULL);
        /* No file is open for reading: drop the items and wait for the answer. */
        if (r == 0 && !files->reads && !file->reads)
            r = stream_result(stream, NULL, NULL);
    }
    if (!files->reads && !files->writes)
        ferry_stream_close(stream);
    free(file);
    if (r < 0)
        errno = -r;
    return r < 0 ? -1 : 0;
}

static bool are_bytes(const ferry_type *type) {
    return type && type->kind == FERRY_KIND_BINARY;
}

/* Checks that the stream can be opened in this mode. 0, or a positive errno. */
static int check(ferry_stream *stream, const char *mode, StreamFile *file) {
    const StreamFiles *files;

    if (!stream || !mode || (*mode != 'r' && *mode != 'w') || mode[1 + strspn(mode + 1, "+be")])
        return EINVAL;
    files = stream_files(stream);
    file->reads = *mode == 'r' || strchr(mode, '+');
    file->writes = *mode == 'w' || strchr(mode, '+');
    if ((file->reads && !files->readable) || (file->writes && !files->writable))
        return EINVAL;
    if (files->method && ((file->reads && !are_bytes(files->method->stream_out)) ||
                          (file->writes && !are_bytes(files->method->stream_in))))
        return EINVAL;
    return (file->reads && files->reads) || (file->writes && files->writes) ? EBUSY : 0;
}

FILE *ferry_stream_fopen(ferry_stream *stream, const char *mode) {
    cookie_io_functions_t functions = {file_read, file_write, NULL, file_close};
    StreamFile *file = calloc(1, sizeof(*file));
    FILE *opened = NULL;
    int code = file ? check(stream, mode, file) : ENOMEM;

    if (code == 0) {
        file->stream = stream;
        if (file->reads && file->writes)
            functions.seek = file_seek;
        opened = fopencookie(file, mode, functions);
    }
    if (!opened) {
        free(file);
        errno = code ? code : ENOMEM;
        return NULL;
    }
    stream_files(stream)->reads |= file->reads;
    stream_files(stream)->writes |= file->writes;
    return opened;
}
