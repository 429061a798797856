/* SPDX-License-Identifier: Apache-2.0 */
/* ferry: one binary, many commands. Finds the command, parses its options, runs it. */

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "clients/cli/commands/commands.h"
#include "clients/cli/run/brokers.h"
#include "clients/cli/terminal/out.h"

/* Commands with a loop handle signals there. Other commands end here; the broker cleans up after
 * them. */
static void on_interrupt(int signal) {
    (void)signal;
    _exit(EXIT_INTERRUPTED);
}

static void look_around(Cli *cli) {
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    bool may_colour = !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;

    cli->terminal_out = isatty(STDOUT_FILENO);
    cli->terminal_err = isatty(STDERR_FILENO);
    cli->colour_out = cli->terminal_out && may_colour;
    cli->colour_err = cli->terminal_err && may_colour;
}

static int check_arguments(Cli *cli, int argc) {
    const Command *command = cli->command;

    if (argc == 0 && command->min_args > 0)
        return cli_usage(cli, "missing: %.*s", (int)strcspn(command->usage, " "), command->usage);
    if (argc < command->min_args)
        return cli_usage(cli, "too few arguments");
    if (command->max_args >= 0 && argc > command->max_args)
        return cli_usage(cli, "too many arguments");
    return EXIT_OK;
}

static int run_parsed(Cli *cli, const void *values, const Parsed *parsed) {
    int status;

    if (cli->help) {
        command_print(cli->command, stdout);
        return EXIT_OK;
    }
    if (cli->version) {
        out_format(stdout, "ferry %s\n", ferry_version());
        return EXIT_OK;
    }
    status = check_arguments(cli, parsed->argc);
    return status != EXIT_OK ? status : cli->command->run(cli, values, parsed->argc, parsed->argv);
}

/* Runs a command: at is the place of its name. Before the name, only the options of all commands
 * are known: in `ferry --key FILE push` the key is the user's, in `ferry push --key K` the job's.
 */
static int run_command(Cli *cli, int at, int argc, char **argv) {
    void *values = calloc(1, cli->command->values_size + 1);
    OptionSet sets[] = {{cli->command->options, values}, {cli_options, cli}};
    char problem[OPTIONS_PROBLEM_MAX] = "";
    Parsed before = {0}, parsed = {0};
    int status, r;

    if (!values)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    r = options_parse(sets + 1, 1, at, argv, &before, problem);
    if (r == 0)
        r = options_parse(sets, 2, argc - at, argv + at, &parsed, problem);
    if (r == -EINVAL)
        status = cli_usage(cli, "%s", problem);
    else if (r < 0)
        status = cli_fail(cli, EXIT_OTHER, "out of memory");
    else
        status = run_parsed(cli, values, &parsed);
    parsed_deinit(&before);
    parsed_deinit(&parsed);
    brokers_close(cli);
    free(cli->header_names);
    for (size_t i = 0; i < cli->n_owned; i++)
        free(cli->owned[i]);
    free(values);
    return status;
}

static int no_command(Cli *cli, const char *name) {
    const char *near = commands_nearest(name);

    cli_fail(cli, EXIT_USAGE, "there is no command '%s'", name);
    if (near)
        out_format(stderr, "    did you mean 'ferry %s'?\n", near);
    else
        fputs("    'ferry help' lists the commands\n", stderr);
    return EXIT_USAGE;
}

/* Finds the command; common options may stand before its name. */
static int find_command(int argc, char **argv) {
    int at = 1;

    while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
        bool has_value = false;

        for (const Option *option = cli_options; option->name; option++) {
            size_t n = strlen(option->name);

            if (option->kind != OPTION_FLAG &&
                ((argv[at][1] == option->letter && argv[at][2] == '\0') ||
                 (argv[at][1] == '-' && strncmp(argv[at] + 2, option->name, n) == 0 &&
                  argv[at][2 + n] == '\0')))
                has_value = true;
        }
        at += has_value ? 2 : 1;
    }
    return at < argc ? at : argc;
}

/* A closed standard descriptor ("<&-") would be reused by the next socket, which would then receive
 * the output. Occupy it with a descriptor that refuses reads or writes. */
static void occupy_standard_descriptors(void) {
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", modes[fd]);
}

/* Fails when standard output could not be written. */
static int end(Cli *cli, int status) {
    bool failed_before = ferror(stdout);

    errno = 0;
    if (fflush(stdout) == 0 && !failed_before)
        return status;
    if (status != EXIT_OK)
        return status;
    if (errno == EPIPE)
        return 128 + SIGPIPE;
    return cli_fail(cli, EXIT_OTHER, "cannot write: %s",
                    errno ? strerror(errno) : "standard output has failed");
}

/* Handles a call without a command: `ferry --help`, and errors. */
static int run_nothing(Cli *cli, int argc, char **argv) {
    const OptionSet set = {cli_options, cli};
    char problem[OPTIONS_PROBLEM_MAX] = "";
    Parsed parsed = {0};
    int r = options_parse(&set, 1, argc, argv, &parsed, problem);

    parsed_deinit(&parsed);
    if (r == -EINVAL) {
        cli_fail(cli, EXIT_USAGE, "%s", problem);
        fputs("    'ferry help' lists the commands and the options of all commands\n", stderr);
        return EXIT_USAGE;
    }
    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    if (cli->version) {
        out_format(stdout, "ferry %s\n", ferry_version());
        return EXIT_OK;
    }
    if (argc > 1 && !cli->help) {
        cli_fail(cli, EXIT_USAGE, "missing: COMMAND");
        fputs("    'ferry help' lists the commands\n", stderr);
        return EXIT_USAGE;
    }
    commands_print(cli->help ? stdout : stderr);
    return cli->help ? EXIT_OK : EXIT_USAGE;
}

int main(int argc, char **argv) {
    Cli cli = {0};
    int at = find_command(argc, argv);

    occupy_standard_descriptors();
    setlocale(LC_ALL, "");
    look_around(&cli);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_interrupt);
    if (at == argc)
        return end(&cli, run_nothing(&cli, argc, argv));
    cli.command = commands_find(argv[at]);
    if (!cli.command)
        return no_command(&cli, argv[at]);
    return end(&cli, run_command(&cli, at, argc, argv));
}
