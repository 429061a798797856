/* SPDX-License-Identifier: Apache-2.0 */
/* ferry help: lists the commands, and explains one. */

#include "clients/cli/commands/commands.h"

static int run_help(Cli *cli, const void *values, int argc, char **argv) {
    const Command *command;

    (void)values;
    if (argc == 0) {
        commands_print(stdout);
        return EXIT_OK;
    }
    command = commands_find(argv[0]);
    if (!command) {
        const char *near = commands_nearest(argv[0]);

        return cli_fail(cli, EXIT_USAGE, "there is no command '%s'%s%s%s", argv[0],
                        near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    command_print(command, stdout);
    return EXIT_OK;
}

const Command command_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .summary = "explain a command, with examples",
    .max_args = 1,
    .completes = NAMES_COMMANDS,
    .run = run_help,
};
