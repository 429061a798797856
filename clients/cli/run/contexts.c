/* SPDX-License-Identifier: Apache-2.0 */
/* Names for URLs and keys. See contexts.h. */

#include "clients/cli/run/contexts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *variable(const char *name) {
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* The path of the file below the user's folder for settings; false: the user has no such folder. */
static bool file_path(char to[PATH_MAX], const char *name) {
    const char *config = variable("XDG_CONFIG_HOME"), *home = variable("HOME");
    int n = -1;

    /* The XDG Base Directory Specification says to ignore a relative path. */
    if (config && *config == '/')
        n = snprintf(to, PATH_MAX, "%s/ferry/%s", config, name);
    else if (home)
        n = snprintf(to, PATH_MAX, "%s/.config/ferry/%s", home, name);
    return n > 0 && n < PATH_MAX;
}

int contexts_read(Cli *cli, json_t **ret) {
    CLEANUP(json_decref) json_t *contexts = NULL;
    char path[PATH_MAX];
    json_error_t error;

    if (!file_path(path, "contexts.json") || access(path, F_OK) < 0) {
        *ret = json_pack("{s:{}}", "contexts");
        return *ret ? EXIT_OK : cli_fail(cli, EXIT_OTHER, "out of memory");
    }
    contexts = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!contexts)
        return cli_fail(cli, EXIT_OTHER, "cannot read the contexts in %s: %s", path, error.text);
    if (!json_is_object(json_object_get(contexts, "contexts")))
        return cli_fail(cli, EXIT_OTHER, "%s is not a file of contexts", path);
    *ret = steal(&contexts);
    return EXIT_OK;
}

/* Makes the folders above the file. */
static void make_folders(char *path) {
    for (char *at = path + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
}

int contexts_write(Cli *cli, const json_t *contexts) {
    char path[PATH_MAX], next[PATH_MAX];
    bool is_written;
    FILE *file;
    int fd;

    if (!file_path(path, "contexts.json") || !file_path(next, "contexts.json.XXXXXX"))
        return cli_fail(cli, EXIT_OTHER, "there is no folder for contexts: HOME is not set");
    make_folders(next);
    fd = mkstemp(next);
    file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        return cli_fail(cli, EXIT_OTHER, "cannot write %s: %s", next, strerror(errno));
    is_written = json_dumpf(contexts, file, JSON_INDENT(2) | JSON_SORT_KEYS) == 0;
    is_written &= putc('\n', file) != EOF;
    is_written &= fclose(file) == 0;
    if (is_written && rename(next, path) == 0)
        return EXIT_OK;
    cli_fail(cli, EXIT_OTHER, "cannot write %s: %s", path, strerror(errno));
    unlink(next);
    return EXIT_OTHER;
}

json_t *contexts_find(const json_t *contexts, const char *name) {
    return json_object_get(json_object_get(contexts, "contexts"), name);
}

/* The value lives as long as the Cli. */
static const char *text_of(Cli *cli, const json_t *context, const char *key, const char *given) {
    const char *text = json_string_value(json_object_get(context, key));

    if (given || !text)
        return given;
    text = strdup(text);
    if (text)
        cli->owned[cli->n_owned++] = (char *)(uintptr_t)text;
    return text;
}

int contexts_apply(Cli *cli) {
    const char *name = cli->context, *chosen_by = "--context";
    CLEANUP(json_decref) json_t *contexts = NULL;
    const json_t *context;
    int status;

    if (cli->context_is_applied || (!name && (cli->url || variable("FERRY_URL"))))
        return EXIT_OK;
    if (!name) {
        name = variable("FERRY_CONTEXT");
        chosen_by = "$FERRY_CONTEXT";
    }
    status = contexts_read(cli, &contexts);
    if (status != EXIT_OK)
        return status;
    if (!name) {
        name = json_string_value(json_object_get(contexts, "current"));
        chosen_by = "'ferry context use'";
    }
    if (!name)
        return EXIT_OK;
    context = contexts_find(contexts, name);
    if (!context)
        return cli_fail(cli, EXIT_USAGE,
                        "there is no context '%s', which %s chooses: 'ferry "
                        "context list' lists them",
                        name, chosen_by);
    cli->context_is_applied = true;
    cli->url = text_of(cli, context, "url", cli->url);
    cli->key_file = text_of(cli, context, "key", cli->key_file);
    cli->server_key = text_of(cli, context, "server_key", cli->server_key);
    return EXIT_OK;
}
