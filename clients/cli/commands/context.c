/* SPDX-License-Identifier: Apache-2.0 */
/* ferry context: names for a broker's URL and the keys for it. */

#include <limits.h>
#include <stdlib.h>

#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/run/contexts.h"
#include "clients/cli/terminal/out.h"

#define VERBS "add|use|list|show|remove"

static const Column columns[] = {
    {"NAME", "name", COLUMN_TEXT},       {"URL", "url", COLUMN_TEXT},
    {"KEY", "key", COLUMN_TEXT},         {"SERVER KEY", "server_key", COLUMN_TEXT},
    {"CURRENT", "current", COLUMN_FLAG}, {NULL, NULL, COLUMN_TEXT},
};

static const char *current_of(const json_t *contexts) {
    const char *name = json_string_value(json_object_get(contexts, "current"));

    return name ? name : "";
}

/* Checks the URL and the keys: the library does it when a client is opened. */
static int check_values(Cli *cli, const char *key_file) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(ferry_close) ferry_client *client = NULL;
    ferry_options options = {.key_file = key_file, .server_key = cli->server_key};

    if (!cli->url)
        return cli_usage(cli, "a context needs a URL: --url URL");
    if (ferry_open(cli->url, &options, &client, &error) < 0)
        return cli_error(cli, &error);
    return EXIT_OK;
}

static int add(Cli *cli, json_t *contexts, const char *name) {
    char key_path[PATH_MAX];
    const char *key_file = cli->key_file;
    json_t *context;
    int status;

    if (ferry_name_problem(name))
        return cli_usage(cli, "'%s' cannot be the name of a context: %s", name,
                         ferry_name_problem(name));
    if (contexts_find(contexts, name))
        return cli_fail(cli, EXIT_REFUSED,
                        "there is a context '%s' already: 'ferry context remove "
                        "%s' removes it",
                        name, name);
    /* Store an absolute path: the context may be used from any folder. */
    if (key_file && realpath(key_file, key_path))
        key_file = key_path;
    status = check_values(cli, key_file);
    if (status != EXIT_OK)
        return status;
    context = json_pack("{s:s, s:s*, s:s*}", "url", cli->url, "key", key_file, "server_key",
                        cli->server_key);
    if (json_object_set_new(json_object_get(contexts, "contexts"), name, context) < 0)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    return contexts_write(cli, contexts);
}

/* name NULL: no context is in use. */
static int use(Cli *cli, json_t *contexts, const char *name) {
    if (name)
        json_object_set_new(contexts, "current", json_string(name));
    else
        json_object_del(contexts, "current");
    return contexts_write(cli, contexts);
}

static int remove_one(Cli *cli, json_t *contexts, const char *name) {
    if (strcmp(current_of(contexts), name) == 0)
        json_object_del(contexts, "current");
    json_object_del(json_object_get(contexts, "contexts"), name);
    return contexts_write(cli, contexts);
}

static int list(Cli *cli, const json_t *contexts) {
    CLEANUP(json_decref) json_t *rows = json_array();
    json_t *context;
    const char *name;

    json_object_foreach(json_object_get(contexts, "contexts"), name, context) {
        json_t *row = json_copy(context);

        json_object_set_new(row, "name", json_string(name));
        json_object_set_new(row, "current", json_boolean(strcmp(current_of(contexts), name) == 0));
        json_array_append_new(rows, row);
    }
    show_rows(cli, rows, columns);
    return EXIT_OK;
}

static int show(Cli *cli, const json_t *contexts, const char *name) {
    if (cli->json)
        show_json(cli, contexts_find(contexts, name));
    else
        show_fields(cli, contexts_find(contexts, name));
    return EXIT_OK;
}

static int run_context(Cli *cli, const void *values, int argc, char **argv) {
    const char *verb = argv[0], *name = argc > 1 ? argv[1] : NULL;
    CLEANUP(json_decref) json_t *contexts = NULL;
    bool is_list = strcmp(verb, "list") == 0, is_use = strcmp(verb, "use") == 0;
    bool is_add = strcmp(verb, "add") == 0, is_show = strcmp(verb, "show") == 0;
    int status;

    (void)values;
    if (!is_list && !is_use && !is_add && !is_show && strcmp(verb, "remove") != 0)
        return cli_usage(cli, "'%s' is not " VERBS, verb);
    status = contexts_read(cli, &contexts);
    if (status != EXIT_OK)
        return status;
    if (is_list)
        return name ? cli_usage(cli, "too many arguments") : list(cli, contexts);
    if (is_show && !name && *current_of(contexts))
        name = current_of(contexts);
    if (!name && !is_use)
        return cli_usage(cli, "missing: NAME");
    if (is_add)
        return add(cli, contexts, name);
    if (name && !contexts_find(contexts, name))
        return cli_fail(cli, 6, "there is no context '%s'", name);
    return is_use    ? use(cli, contexts, name)
           : is_show ? show(cli, contexts, name)
                     : remove_one(cli, contexts, name);
}

const Command command_context = {
    .name = "context",
    .usage = "add NAME --url URL [--key FILE --server-key KEY]\n"
             "use [NAME]\n"
             "list\n"
             "show [NAME]\n"
             "remove NAME",
    .summary = "names for a broker's URL and keys",
    .help =
        "A context is one name for a URL and the keys for it. --context NAME chooses one for a\n"
        "command, $FERRY_CONTEXT for a shell, 'use' for all commands; 'use' without a name ends "
        "this\n"
        "choice. --url and $FERRY_URL override the context in use; --key and --server-key "
        "override\n"
        "its keys. Contexts are stored in ~/.config/ferry/contexts.json (or $XDG_CONFIG_HOME), "
        "with\n"
        "the path of the key file, not the key.\n"
        "\n"
        "Examples:\n"
        "  ferry context add shop --url tcp://broker:5877 --key ~/shop.key --server-key 5f1c…\n"
        "  ferry context use shop\n",
    .min_args = 1,
    .max_args = 2,
    .words = VERBS,
    .run = run_context,
};
