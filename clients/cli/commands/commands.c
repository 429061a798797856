/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the overview that help prints. */

#include "clients/cli/commands/commands.h"
#include "base/text.h"
#include "clients/cli/terminal/out.h"

const Command *const commands[] = {
    &command_broker,   &command_serve,    &command_call,
    &command_pub,      &command_sub,      &command_gather,
    &command_push,     &command_work,     &command_queue,
    &command_services, &command_describe, &command_topics,
    &command_sessions, &command_shards,   &command_caches,
    &command_stats,    &command_ping,     &command_tap,
    &command_top,      &command_auth,     &command_session,
    &command_reload,   &command_key,      &command_context,
    &command_pipeline, &command_job,      &command_schedule,
    &command_gateway,
#ifdef FERRY_WITH_CACHE
    &command_cache,
#endif
    &command_store,    &command_bench,    &command_completion,

#ifdef FERRY_WITH_WEB
    &command_web,
#endif

    &command_help,     &command_complete, NULL,
};

const Command *commands_find(const char *name) {
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const char *commands_nearest(const char *name) {
    /* Names of commands in other tools. */
    static const char *const aliases[][2] = {
        {"publish", "pub"},  {"subscribe", "sub"}, {"request", "call"},  {"req", "call"},
        {"enqueue", "push"}, {"pull", "work"},     {"worker", "work"},   {"queues", "queue"},
        {"reply", "serve"},  {"server", "broker"}, {"daemon", "broker"}, {"ls", "services"},
    };
    const char *names[sizeof(commands) / sizeof(*commands)];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
        if (strcmp(aliases[i][0], name) == 0)
            return aliases[i][1];
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            names[n++] = commands[i]->name;
    return text_nearest(name, names, n);
}

void commands_print(FILE *to) {
    fputs("ferry: remote procedure calls, topics and queues\n\n"
          "usage: ferry COMMAND [ARGUMENT...] [OPTION...]\n\n",
          to);
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            out_format(to, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nEverywhere:\n", to);
    options_print(cli_options, to);
    fputs("\n'ferry help COMMAND' has the options of a command, and examples.\n"
          "Times are written 250ms, 5s or 2m; a bare number is seconds. Data goes to standard "
          "output,\n"
          "messages about it to standard error.\n"
          "Exit status: 0 success, 1 other error, 2 usage, 3 no connection, 4 not allowed,\n"
          "5 timeout, 6 no such service or queue, 7 the service failed, 8 refused or full, 130 "
          "Ctrl-C.\n",
          to);
}

void command_print_usage(const Command *command, FILE *to) {
    const char *line = command->usage;

    for (const char *before = "usage:"; *line; before = "      ") {
        size_t n = strcspn(line, "\n");

        out_format(to, "%s ferry %s%s%.*s\n", before, command->name, n > 0 ? " " : "", (int)n,
                   line);
        line += n + (line[n] == '\n');
    }
    if (!*command->usage)
        out_format(to, "usage: ferry %s\n", command->name);
}

void command_print(const Command *command, FILE *to) {
    out_format(to, "ferry %s: %s\n\n", command->name, command->summary);
    command_print_usage(command, to);
    if (command->options && command->options->name) {
        fputs("\nOptions:\n", to);
        options_print(command->options, to);
    }
    fputs("\nEverywhere:\n", to);
    options_print(cli_options, to);
    if (command->help)
        out_format(to, "\n%s", command->help);
}
