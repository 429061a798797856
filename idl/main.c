/* SPDX-License-Identifier: Apache-2.0 */
/* ferry-idl: the compiler of interface files, from the command line. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "idl/commands/commands.h"

#ifndef FERRY_VERSION
#define FERRY_VERSION "0.1"
#endif

static const char usage[] =
    "Usage: ferry-idl [OPTION]… FILE…            compile interface files to C\n"
    "       ferry-idl check OLD NEW              report changes that break callers or servers\n"
    "       ferry-idl diff FILE --live URL       compare a file with the running services\n"
    "       ferry-idl format [--check|-i] FILE…  print, check or rewrite the canonical text\n"
    "\n"
    "Options:\n"
    "  -I DIR           also look for included files in DIR; repeat it for more\n"
    "  -o DIR           write to DIR (default: the current folder)\n"
    "  --name NAME      write NAME.h and NAME.c, if the header would hide a system header\n"
    "  --depfile FILE   write the dependencies of the written files, for make and ninja\n"
    "  --stdout         write to standard output instead of files\n"
    "  --tables         write types and tables without functions for callers and servers\n"
    "  --version        print the version\n"
    "  --help           print this text\n";

typedef struct IdlCommand {
    const char *name;
    int (*run)(Options *options);
} IdlCommand;

static const IdlCommand commands[] = {
    {"check", command_check},
    {"diff", command_diff},
    {"format", command_format},
    {"generate", command_generate},
};

enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static int misuse(const char *problem, const char *what) {
    complain("%s%s", problem, what);
    fputs("Try 'ferry-idl --help'.\n", stderr);
    return 2;
}

/* The value of an option: the rest of the argument, or the next argument. */
static const char *option_value(const char *arg, const char *name, int *i, int argc, char **argv) {
    size_t len = strlen(name);

    if (strncmp(arg, name, len) != 0)
        return NULL;
    if (arg[len] == '=' && arg[1] == '-')
        return arg + len + 1;
    if (arg[len] && arg[1] != '-')
        return arg + len;
    if (arg[len] || *i + 1 >= argc)
        return NULL;
    return argv[++*i];
}

static int parse(Options *options, int argc, char **argv, int first) {
    bool only_files = false;

    for (int i = first; i < argc; i++) {
        const char *arg = argv[i], *value;

        if (only_files || arg[0] != '-' || !arg[1])
            options->files[options->n_files++] = arg;
        else if (strcmp(arg, "--") == 0)
            only_files = true;
        else if (strcmp(arg, "--check") == 0)
            options->check = true;
        else if (strcmp(arg, "-i") == 0)
            options->in_place = true;
        else if (strcmp(arg, "--stdout") == 0)
            options->to_stdout = true;
        else if (strcmp(arg, "--tables") == 0)
            options->tables = true;
        else if ((value = option_value(arg, "--depfile", &i, argc, argv)))
            options->depfile = value;
        else if ((value = option_value(arg, "--name", &i, argc, argv)))
            options->name = value;
        else if ((value = option_value(arg, "--live", &i, argc, argv)))
            options->live = value;
        else if ((value = option_value(arg, "-I", &i, argc, argv)))
            options->include_dirs[options->n_include_dirs++] = value;
        else if ((value = option_value(arg, "-o", &i, argc, argv)))
            options->out_dir = value;
        else
            return misuse("unknown option, or option without its value: ", arg);
    }
    return 0;
}

int main(int argc, char **argv) {
    Options options = {.out_dir = ".", .version = FERRY_VERSION};
    const IdlCommand *command = &commands[N_COMMANDS - 1];
    int first = 1, r;

    for (int i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fwrite(usage, 1, sizeof(usage) - 1, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("ferry-idl " FERRY_VERSION);
            return 0;
        }
    }
    for (size_t i = 0; i < N_COMMANDS && argc > 1; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            command = &commands[i];
            first = 2;
        }
    options.files = calloc((size_t)argc + 1, sizeof(*options.files));
    options.include_dirs = calloc((size_t)argc + 1, sizeof(*options.include_dirs));
    if (!options.files || !options.include_dirs)
        return misuse("out of memory", "");
    options.colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
    r = parse(&options, argc, argv, first);
    if (r == 0 && options.n_files == 0)
        r = misuse("missing FILE", "");
    if (r == 0 && options.name && options.n_files > 1)
        r = misuse("--name needs exactly one file", "");
    if (r == 0 && options.name && (!*options.name || strchr(options.name, '/')))
        r = misuse("--name needs a file name without a folder: ", options.name);
    if (r == 0)
        r = command->run(&options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("cannot write standard output: %s", strerror(errno));
        r = 1;
    }
    free(options.files);
    free(options.include_dirs);
    return r;
}
