/* SPDX-License-Identifier: Apache-2.0 */
/* ferry pipeline: runs the stages of a file. */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/text.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/pipelines/supervisor.h"
#include "clients/cli/terminal/out.h"

typedef struct Values {
    bool check, drain;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_FLAG, 0, "check", Values, check, NULL,
                 "check the file, print all its errors, and start nothing"),
    OPTION_PLAIN(OPTION_FLAG, 0, "drain", Values, drain, NULL, "end when the queues are empty"),
    OPTION_END,
};

/* Reads at most one byte more than the limit of a file, so that a longer file is noticed. */
static int read_text(const char *path, Buffer *to) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), r = fd < 0 ? -errno : 0;
    ssize_t n = 1;

    while (r == 0 && n > 0 && to->len <= PIPELINE_FILE_MAX) {
        uint8_t *at = buffer_reserve(to, 65536);

        n = at ? read(fd, at, 65536) : 0;
        if (!at || n < 0)
            r = at ? -errno : -ENOMEM;
        else
            to->len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    return r;
}

static int read_file(Cli *cli, const char *path, PipelineFile *file) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    char shown[TEXT_ESCAPED_MAX];
    int r = read_text(path, &text);

    text_escape(shown, path, strlen(path));
    if (r == 0)
        r = pipeline_file_read(file, text.data ? (const char *)text.data : "", text.len);
    else
        return cli_fail(cli, EXIT_OTHER, "cannot read %s: %s", shown, strerror(-r));
    if (r == 0)
        return EXIT_OK;
    if (file->n_errors == 0)
        return cli_fail(cli, EXIT_OTHER, "cannot read %s: %s", shown, strerror(-r));
    for (size_t i = 0; i < file->n_errors; i++) {
        const PipelineError *error = &file->errors[i];

        if (error->line > 0)
            cli_fail(cli, EXIT_USAGE, "%s:%d: %s", shown, error->line, error->text);
        else
            cli_fail(cli, EXIT_USAGE, "%s: %s", shown, error->text);
    }
    return EXIT_USAGE;
}

static void pipeline_file_freep(PipelineFile **file) {
    if (*file)
        pipeline_file_deinit(*file);
    free(*file);
}

static int run_pipeline(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(pipeline_file_free) PipelineFile *file = calloc(1, sizeof(*file));
    const Values *given = values;
    ferry_client *client = NULL;
    int status;

    if (!file)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    if (strcmp(argv[0], "run") != 0)
        status = cli_usage(cli, "'%s' is not a verb of pipeline: write 'ferry pipeline run FILE'",
                           argv[0]);
    else if (argc < 2)
        status = cli_usage(cli, "run needs a file");
    else
        status = read_file(cli, argv[1], file);
    if (status == EXIT_OK && given->check) {
        cli_note(cli, "%s has no errors: %zu stage%s", argv[1], file->n_stages,
                 file->n_stages == 1 ? "" : "s");
    } else if (status == EXIT_OK) {
        status = cli_open(cli, NULL, &client);
        if (status == EXIT_OK)
            status = supervisor_run(cli, client, file, given->drain);
    }
    return status;
}

const Command command_pipeline = {
    .name = "pipeline",
    .usage = "run FILE [--check] [--drain]",
    .summary = "run the stages of a pipeline of queues",
    .help =
        "The file has a section for each stage:\n"
        "\n"
        "  [stage resize]\n"
        "  queue = photos            the queue of its jobs (default: the name of the stage)\n"
        "  command = ./resize.sh     or: call = images.Resizer.resize\n"
        "  workers = 4               processes (default 1)\n"
        "  slots = 2                 jobs at once in each worker (default 1)\n"
        "  retries = 3               before a job is rejected (default 0)\n"
        "  delay = 5s                before a retry (default: the queue's back-off)\n"
        "  timeout = 1m              time limit of a command or call\n"
        "  next = upload             the stage of the results; or: then = QUEUE\n"
        "\n"
        "A job is settled and its result pushed to the next queue in one step. A worker that dies\n"
        "is started again after a pause, and its jobs are delivered again. Ctrl-C drains: the\n"
        "first stages stop, then each stage when its queue is empty. Counters are printed on\n"
        "standard error: a live table on a terminal, else lines.\n"
        "\n"
        "Examples:\n"
        "  ferry pipeline run photos.conf --check\n"
        "  ferry pipeline run photos.conf\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 1,
    .max_args = 2,
    .words = "run",
    .run = run_pipeline,
    .waits = true,
};
