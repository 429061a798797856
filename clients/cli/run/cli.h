/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The common part of all commands: their table, the common options, connecting, and failing with an
 * exit status and one message that names the problem and the remedy.
 */

#include <ferry/ferry.h>
#include <ferry/schema.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "clients/cli/terminal/options.h"
#include "clients/json/value.h"

/* Documented in ferry(1). The exit statuses of standard errors are in base/error.c. */
enum {
    EXIT_OK = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_CONNECT = 3,
    EXIT_REMOTE = 7,
    EXIT_REFUSED = 8,
    EXIT_INTERRUPTED = 130,
};

typedef struct Cli Cli;

/* The kind of object that an argument names, for completion and suggestions. */
typedef enum Names {
    NAMES_NONE,
    NAMES_SERVICES,
    NAMES_TOPICS,
    NAMES_QUEUES,
    NAMES_COMMANDS,
} Names;

/* Advice for people about an error of this type. */
typedef struct Hint {
    const char *type, *hint;
} Hint;

typedef struct Command {
    const char *name;
    const char *usage;   /* "QUEUE [BODY | -]", one synopsis per line */
    const char *summary; /* one line */
    const char *help;    /* details and examples, for `ferry help NAME` */
    const Option *options;
    size_t values_size; /* size of the struct that options write to */
    int min_args, max_args;
    Names completes;   /* the kind of the first argument */
    const char *words; /* the words of the first argument, "list|show|…" */
    int (*run)(Cli *cli, const void *values, int argc, char **argv); /* an exit status */
    bool hidden;
    bool runs_on;      /* runs on without a connection and reports disconnects and reconnects */
    bool waits;        /* waits for the broker at its start, without limit */
    const Hint *hints; /* before the usual ones; ends with NULL. For ferry.NotConnected: all */
} Command;

struct Cli {
    const Command *command;
    /* NULL: not given. Then the environment, the context (run/contexts.h) or the default counts. */
    const char *url, *key_file, *server_key;
    const char *context; /* --context */
    bool context_is_applied;
    struct CliBrokers *brokers; /* see run/brokers.h; NULL: not needed yet */
    char *owned[3];             /* texts of the context */
    size_t n_owned;
    uint64_t wait_ms; /* --wait; 0: not given */
    bool json, quiet, help, version;
    Texts header_texts;

    size_t n_headers;
    ferry_header headers[TEXTS_MAX];
    char *header_names; /* owned */
    bool colour_out, colour_err, terminal_out, terminal_err;
    bool is_up;        /* connected at least once */
    bool was_down;     /* the connection is lost */
    unsigned n_lost;   /* times that a connection was lost */
    unsigned n_failed; /* attempts to connect that failed */
    char problem[256]; /* the reason why the latest attempt to connect failed; "": no attempt has
                          failed */
};

extern const Option cli_options[]; /* the options of all commands */

/* The broker's URL, for messages. */
const char *cli_url(const Cli *cli);

/* Opens a client with the headers of the command line, and waits for the broker. Returns an exit
 * status; the error was reported. */
int cli_open(Cli *cli, const ferry_options *options, ferry_client **ret);

/* Prints an error on standard error: "ferry call: …". Returns status. */
int cli_fail(Cli *cli, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As cli_fail() for wrong usage: refers to the command's help. Returns EXIT_USAGE. */
int cli_usage(Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints an error with its causes, trace and a hint; returns its exit status. */
int cli_error(Cli *cli, const ferry_error *error);

/* As cli_error() for an error that may be a declared exception: type is its table, or NULL. */
int cli_exception(Cli *cli, const ferry_error *error, const ferry_type *type);
int cli_status(const ferry_error *error);

/* Refuses an invalid queue name before the command begins. Returns an exit status. */
int cli_check_queue(Cli *cli, const char *name);

/* Prints a note on standard error, except with --quiet. */
void cli_note(const Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls a method of ferry.Broker; format and arguments as in ferry_callf(). Returns the result as
 * JSON, and an exit status; unless quiet, the error was reported. */
int cli_manage(Cli *cli, ferry_client *client, bool quiet, json_t **ret, const char *method,
               const char *format, ...);

/* Asks the broker for names and prints the most similar one, if any. */
void cli_did_you_mean(Cli *cli, ferry_client *client, Names kind, const char *name);

/* The names of a kind that the broker knows: an array of strings. NULL: not available. */
json_t *cli_live_names(Cli *cli, ferry_client *client, Names kind);

DEFINE_CLEANUP(ferry_client *, ferry_close);
static inline void ferry_freep(void *pointer) {
    ferry_free(*(void **)pointer);
}

/* ---- commands.c ---- */

extern const Command *const commands[]; /* ends with NULL */
const Command *commands_find(const char *name);
const char *commands_nearest(const char *name); /* NULL: no command is similar */
void commands_print(FILE *to);                  /* `ferry help` */
void command_print(const Command *command, FILE *to);
void command_print_usage(const Command *command, FILE *to); /* all its lines */
