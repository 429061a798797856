/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes streams with getline() and fprintf().
 *
 *     filestream-client [MEGABYTES]   default 1024: how much is read, and how much is written
 *     filestream-client --lost        reads a line, waits for a line on standard input, reads on:
 *                                     for a server that is killed meanwhile
 */

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "filestream.h"

static double seconds(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double peak_mib(void) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/* Opens two files on one stream, one for writing and one for reading: writes lines and reads the
 * numbered lines. */
static int number(ferry_client *client, ferry_error *error) {
    static const char *const lines[] = {"To be or not to be, this is a question.",
                                        "I think, therefore I am.", "Fortune favors the bold."};
    ferry_stream *stream;
    char *line = NULL;
    size_t size = 0;
    FILE *to, *from;
    int r = filestream_number(client, &stream, error);

    if (r < 0)
        return r;
    to = ferry_stream_fopen(stream, "w");
    from = ferry_stream_fopen(stream, "r");
    if (!to || !from)
        return -errno;
    for (int i = 0; i < 3; i++)
        fprintf(to, "%s\n", lines[i]);
    fclose(to); /* end of the input: the server sends the rest of its lines */
    while (getline(&line, &size, from) > 0)
        printf("%s", line);
    free(line);
    return fclose(from) == 0 ? 0 : -errno;
}

static int read_all(ferry_client *client, int64_t bytes, ferry_error *error) {
    int64_t n_lines = 0, n_bytes = 0;
    double started = seconds();
    ferry_stream *stream;
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    FILE *file;
    int r = filestream_text(client, bytes, &stream, error);

    if (r < 0)
        return r;
    file = ferry_stream_fopen(stream, "r");
    if (!file)
        return -errno;
    while ((n = getline(&line, &size, file)) > 0) {
        n_lines++;
        n_bytes += n;
    }
    if (ferror(file)) /* a broken stream must not look like the end of the text */
        r = ferry_stream_result(stream, NULL, error);
    free(line);
    fclose(file);
    if (r == 0)
        printf("getline: %" PRId64 " lines, %" PRId64 " bytes, %.0f MB/s\n", n_lines, n_bytes,
               (double)n_bytes / 1e6 / (seconds() - started));
    return r;
}

static int write_all(ferry_client *client, int64_t bytes, ferry_error *error) {
    FERRY_AUTO(ferry_free) filestream_counts *counts = NULL;
    double started = seconds();
    ferry_stream *stream;
    FILE *file;
    int r = filestream_count(client, &stream, error);

    if (r < 0)
        return r;
    file = ferry_stream_fopen(stream, "w");
    if (!file)
        return -errno;
    for (int64_t i = 0; i < bytes / 64 && !ferror(file); i++)
        fprintf(file, "line %058" PRId64 "\n", i);
    fflush(file);
    r = filestream_count_end(stream, &counts, error); /* the answer, which fclose() would drop */
    fclose(file);
    if (r == 0)
        printf("fprintf: %" PRId64 " lines, %" PRId64 " words, %" PRId64 " bytes, %.0f MB/s\n",
               counts->lines, counts->words, counts->bytes,
               (double)counts->bytes / 1e6 / (seconds() - started));
    return r;
}

/* Reads the first line, waits until the server is killed, and reads on. */
static int lose(ferry_client *client, ferry_error *error) {
    char line[128] = "";
    ferry_stream *stream;
    FILE *file;
    int64_t n = 0;
    int r = filestream_text(client, INT64_C(1) << 40, &stream, error);

    if (r < 0)
        return r;
    file = ferry_stream_fopen(stream, "r");
    if (!file)
        return -errno;
    printf("%s", fgets(line, sizeof(line), file));
    printf("Press return when the server is gone.\n");
    fflush(stdout);
    getchar();
    while (fgets(line, sizeof(line), file))
        n++;
    printf("%s lines more, then feof %d, ferror %d: %s\n", n > 0 ? "Some" : "No", feof(file) != 0,
           ferror(file) != 0, strerror(errno));
    ferry_stream_result(stream, NULL, error);
    printf("%s: %s\n", error->type, error->message);
    ferry_error_clear(error);
    fclose(file);
    return 0;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    bool lost = argc > 1 && strcmp(argv[1], "--lost") == 0;
    int64_t bytes = (argc > 1 && !lost ? atoll(argv[1]) : 1024) * 1024 * 1024;
    int r = ferry_open(NULL, &(ferry_options){.name = "filestream-client"}, &client, &error);

    if (r == 0 && lost) {
        r = lose(client, &error);
    } else if (r == 0 && (r = number(client, &error)) == 0 &&
               (r = read_all(client, bytes, &error)) == 0 &&
               (r = write_all(client, bytes, &error)) == 0) {
        printf("client: at most %.1f MiB of memory\n", peak_mib());
    }
    if (error.code != 0)
        ferry_error_print(&error, stderr);
    else if (r < 0)
        fprintf(stderr, "filestream-client: %s\n", strerror(-r));
    return r < 0;
}
