/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ferry completion prints the completion script of a shell. The script runs `ferry __complete
 * WORD...` at each Tab, which prints the candidates for the last word, one per line. It prints no
 * errors.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <ferry/schema.h>

#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"

/* completions/ferry.SHELL, embedded by the build. */
extern const char completions_ferry_bash[], completions_ferry_fish[], completions_ferry_zsh[];

enum { LIVE_TIMEOUT_MS = 300 }; /* without --wait */

static void offer(const char *prefix, const char *word) {
    if (strncmp(prefix, word, strlen(prefix)) == 0)
        out_format(stdout, "%s\n", word);
}

static void offer_words(const char *prefix, const char *words) {
    while (words && *words) {
        char word[64];
        size_t n = strcspn(words, "|");

        snprintf(word, sizeof(word), "%.*s", (int)n, words);
        offer(prefix, word);
        words += n + (words[n] == '|');
    }
}

static void offer_commands(const char *prefix) {
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            offer(prefix, commands[i]->name);
}

static void offer_options(const char *prefix, const Option *table) {
    for (const Option *option = table; option && option->name; option++) {
        char word[64];

        snprintf(word, sizeof(word), "--%s", option->name);
        offer(prefix, word);
    }
}

static int open_live(Cli *cli, ferry_client **ret) {
    uint32_t timeout_ms = cli->wait_ms ? (uint32_t)cli->wait_ms : LIVE_TIMEOUT_MS;

    return cli_open(cli, &(ferry_options){.timeout_ms = timeout_ms}, ret);
}

/* Offers the names that the broker at --url (or the default) knows now. */
static void offer_live(Cli *cli, const char *prefix, Names kind) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(json_decref) json_t *names = NULL;
    json_t *name;
    size_t index;

    if (kind == NAMES_COMMANDS) {
        offer_commands(prefix);
        return;
    }
    if (kind == NAMES_NONE || open_live(cli, &client) != EXIT_OK)
        return;
    names = cli_live_names(cli, client, kind);
    json_array_foreach(names, index, name) offer(prefix, json_string_value(name));
}

/* ---- services that describe themselves ---- */

static ferry_description *describe(ferry_client *client, const char *service) {
    ferry_description *found = NULL;

    if (ferry_describe(client, service, &found, NULL) == 0 && !found->service)
        found = ferry_free(found);
    return found;
}

/* False: the service has no description. */
static bool offer_methods(ferry_client *client, const char *prefix, const char *service) {
    CLEANUP(ferry_free) ferry_description *found = describe(client, service);

    for (uint32_t i = 0; found && i < found->service->n_methods; i++) {
        char name[600];

        snprintf(name, sizeof(name), "%s.%s", service, found->service->methods[i].name);
        offer(prefix, name);
    }
    return found != NULL;
}

/* Offers services; after a complete name, or when only one service fits, its methods. */
static void offer_calls(Cli *cli, const char *prefix) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(json_decref) json_t *names = NULL;
    const char *only = NULL;
    size_t index, n = 0;
    json_t *name;

    if (open_live(cli, &client) != EXIT_OK)
        return;
    names = cli_live_names(cli, client, NAMES_SERVICES);
    json_array_foreach(names, index, name) {
        const char *text = json_string_value(name);
        size_t len = strlen(text);

        if (strncmp(prefix, text, len) == 0 && prefix[len] == '.')
            offer_methods(client, prefix, text);
        if (strncmp(prefix, text, strlen(prefix)) == 0) {
            only = text;
            n++;
        }
    }
    if (n == 1 && offer_methods(client, prefix, only))
        return;
    json_array_foreach(names, index, name) offer(prefix, json_string_value(name));
}

/* Offers "NAME=" for each argument of the method. */
static void offer_arguments(Cli *cli, const char *prefix, const char *method) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(ferry_free) ferry_description *found = NULL;
    const char *dot = strrchr(method, '.');
    const ferry_method *declared = NULL;
    char text[300];

    if (!dot || (size_t)(dot - method) >= sizeof(text) || open_live(cli, &client) != EXIT_OK)
        return;
    snprintf(text, sizeof(text), "%.*s", (int)(dot - method), method);
    found = describe(client, text);
    if (found)
        declared = ferry_method_find(found->service, dot + 1);
    for (uint32_t i = 0; declared && declared->args && i < declared->args->n; i++) {
        snprintf(text, sizeof(text), "%s=", declared->args->fields[i].name);
        offer(prefix, text);
    }
}

/* ---- words ---- */

/* Returns the option whose value comes after this word; NULL: the word takes no value. */
static const Option *option_before(const Command *command, const char *word) {
    const Option *tables[] = {command->options, cli_options};

    for (size_t i = 0; i < 2; i++)
        for (const Option *option = tables[i]; option && option->name; option++)
            if (option->kind != OPTION_FLAG &&
                ((word[0] == '-' && word[1] == '-' && strcmp(word + 2, option->name) == 0) ||
                 (word[0] == '-' && word[1] == option->letter && word[1] && !word[2])))
                return option;
    return NULL;
}

/* Counts the arguments before the last word and returns the first one; reads --url from the
 * options. */
static int count_arguments(Cli *cli, const Command *command, int argc, char **argv,
                           const char **ret_first) {
    int n = 0;

    for (int i = 1; i < argc - 1; i++) {
        const Option *option = option_before(command, argv[i]);

        if (option) {
            if (strcmp(option->name, "url") == 0 && i + 1 < argc - 1)
                cli->url = argv[i + 1];
            i++;
        } else if (argv[i][0] != '-') {
            if (n++ == 0)
                *ret_first = argv[i];
        }
    }
    return n;
}

/* The kind of names to complete. `ferry queue VERB QUEUE` is the only command whose first argument
 * is a verb. */
static Names completes(const Command *command, int n) {
    if (command->words)
        return n > 0 && command == &command_queue ? NAMES_QUEUES : NAMES_NONE;
    return n == 0 || command == &command_sub ? command->completes : NAMES_NONE;
}

static void complete(Cli *cli, int argc, char **argv) {
    const char *prefix = argv[argc - 1], *first = NULL;
    const Command *command = argc > 1 ? commands_find(argv[0]) : NULL;
    const Option *before;
    int n;

    if (argc == 1) {
        offer_commands(prefix);
        return;
    }
    if (!command)
        return;
    n = count_arguments(cli, command, argc, argv, &first);
    before = argc > 2 ? option_before(command, argv[argc - 2]) : NULL;
    if (before) {
        offer_words(prefix, before->words);
        if (strcmp(before->name, "then") == 0)
            offer_live(cli, prefix, NAMES_QUEUES);
    } else if (prefix[0] == '-') {
        offer_options(prefix, command->options);
        offer_options(prefix, cli_options);
    } else if (command == &command_call) {
        if (n == 0)
            offer_calls(cli, prefix);
        else
            offer_arguments(cli, prefix, first);
    } else {
        if (n == 0)
            offer_words(prefix, command->words);
        offer_live(cli, prefix, completes(command, n));
    }
}

static int run_complete(Cli *cli, const void *values, int argc, char **argv) {
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)values;
    if (null >= 0)
        dup2(null, STDERR_FILENO);
    if (argc > 0)
        complete(cli, argc, argv);
    fflush(stdout);
    /* Not ferry_close(), which would wait for a broker that does not answer. */
    _exit(EXIT_OK);
}

const Command command_complete = {
    .name = "__complete",
    .usage = "-- WORD...",
    .summary = "words for the shell",
    .max_args = -1,
    .run = run_complete,
    .hidden = true,
};

static int run_completion(Cli *cli, const void *values, int argc, char **argv) {
    static const struct {
        const char *shell, *script;
    } scripts[] = {{"bash", completions_ferry_bash},
                   {"fish", completions_ferry_fish},
                   {"zsh", completions_ferry_zsh}};
    const char *shell = argc > 0 ? argv[0] : "bash";

    (void)values;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++)
        if (strcmp(shell, scripts[i].shell) == 0) {
            out_raw(stdout, ferry_str(scripts[i].script));
            return EXIT_OK;
        }
    return cli_usage(cli, "'%s' is not a supported shell: write bash, fish or zsh", shell);
}

const Command command_completion = {
    .name = "completion",
    .usage = "[bash|fish|zsh]",
    .summary = "print the completion script for a shell",
    .help =
        "Completes commands, options, and the names of existing services, topics and queues; for\n"
        "services that describe themselves, also their methods and the names of the arguments.\n"
        "\n"
        "Examples:\n"
        "  source <(ferry completion bash)\n"
        "  ferry completion fish | source\n",
    .max_args = 1,
    .words = "bash|fish|zsh",
    .run = run_completion,
};
