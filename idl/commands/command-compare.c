/* SPDX-License-Identifier: Apache-2.0 */
/* ferry-idl check and diff: compare two files, or a file with running services. */

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "idl/commands/commands.h"
#include "idl/commands/compare.h"
#include "idl/emit/c-names.h"

/* Prints the reports. If there are no errors, prints the message `good`, which may be NULL. */
static int summary(const Program *program, const Options *options, const char *good) {
    reports_print(&program->reports, stderr, options->colour);
    if (program->reports.n_errors == 0 && good)
        print_line(stdout, good);
    return program->reports.n_errors > 0;
}

int command_check(Options *options) {
    Program program;
    File *old_file, *new_file = NULL;
    int r;

    if (options->n_files != 2) {
        fputs("ferry-idl: check needs two files: OLD and NEW\n", stderr);
        return 2;
    }
    program_init(&program);
    program.include_dirs = options->include_dirs;
    program.n_include_dirs = options->n_include_dirs;
    old_file = program_load(&program, options->files[0]);
    if (old_file)
        new_file = program_load(&program, options->files[1]);
    if (new_file && program.reports.n_errors == 0)
        compare_files(&program, old_file, new_file);
    r = summary(&program, options, "no breaking changes");
    program_deinit(&program);
    return r;
}

/* ---- a running service ---- */

extern char **environ;

/* The NUL-terminated output of a command. NULL: the command failed and has printed the reason. */
static char *output_of(char *const argv[], size_t *ret_len) {
    posix_spawn_file_actions_t actions;
    char *text = NULL;
    size_t len = 0, got;
    FILE *stream;
    int fds[2], status, r;
    pid_t pid;

    if (pipe(fds) < 0)
        return NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    posix_spawn_file_actions_addclose(&actions, fds[1]);
    r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    stream = fdopen(fds[0], "rb");
    text = calloc(1, SOURCE_MAX + 1);
    while (r == 0 && stream && text && len < SOURCE_MAX &&
           (got = fread(text + len, 1, SOURCE_MAX - len, stream)) > 0)
        len += got;
    if (stream)
        fclose(stream);
    if (r != 0)
        complain("cannot run '%s': %s", argv[0], strerror(r));
    if (r != 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        free(text);
        return NULL;
    }
    *ret_len = len;
    return text;
}

enum { NOT_COMPARED = 2 };

/* Compares a service of the file with the running one. Returns 0 or NOT_COMPARED. */
static int diff_service(Program *program, const Options *options, const File *file,
                        const Definition *service) {
    const char *name = wire_name(program, service);
    char *argv[] = {"ferry",    "--url", (char *)(uintptr_t)options->live,
                    "describe", "--idl", (char *)(uintptr_t)name,
                    NULL};
    size_t len = 0;
    char *text = output_of(argv, &len);
    File *live;

    if (!text)
        return NOT_COMPARED;
    live = program_load_text(program, region_printf(&program->region, "%s (running)", name), text,
                             len);
    free(text);
    if (program->reports.n_errors == 0)
        compare_services(program, live, file, service->name.text);
    return 0;
}

int command_diff(Options *options) {
    bool has_service = false;
    Program program;
    File *file;
    int r = 0;

    if (options->n_files != 1 || !options->live) {
        fputs("ferry-idl: diff needs one FILE and --live URL\n", stderr);
        return 2;
    }
    file = load_and_report(&program, options, options->files[0]);
    for (const Definition *d = file ? file->definitions : NULL; d; d = d->next)
        if (d->kind == DEFINITION_SERVICE) {
            has_service = true;
            r |= diff_service(&program, options, file, d);
        }
    if (file && !has_service) {
        complain("'%s' has no service to compare", options->files[0]);
        r = NOT_COMPARED;
    }
    /* summary() prints breaking changes also if a service was not compared. */
    if (summary(&program, options,
                r == 0 ? "callers of the running services can use this file" : NULL) != 0 &&
        r == 0)
        r = 1;
    program_deinit(&program);
    return r;
}
