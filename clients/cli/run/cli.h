#pragma once

/*
 * What every command shares: the table they stand in, the options they all take, how they connect,
 * and how they fail: one message that says what is wrong and what to do, and an exit status.
 */

#include <ferry/ferry.h>
#include <ferry/schema.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "clients/cli/json/value.h"
#include "clients/cli/terminal/options.h"

/* Documented in ferry(1). Those of errors that have a type stand in its table, base/error.c. */
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

/* What an argument names: for completion, and for 'did you mean'. */
typedef enum Names {
    NAMES_NONE,
    NAMES_SERVICES,
    NAMES_TOPICS,
    NAMES_QUEUES,
    NAMES_COMMANDS,
} Names;

typedef struct Command {
    const char *name;
    const char *usage;   /* "QUEUE [BODY | -]", one synopsis a line */
    const char *summary; /* a line */
    const char *help;    /* what else there is to say, and examples; for `ferry help NAME` */
    const Option *options;
    size_t values_size; /* of the struct that options point into */
    int min_args, max_args;
    Names completes;                                                 /* its first argument */
    const char *words;                                               /* or these, "list|show|…" */
    int (*run)(Cli *cli, const void *values, int argc, char **argv); /* an exit status */
    bool hidden;
    bool runs_on; /* also without a connection: it tells when that is lost, and back */
} Command;

struct Cli {
    const Command *command;
    const char *url; /* NULL: $FERRY_URL, else the default */
    bool json, quiet, help, version;
    Texts header_texts;

    size_t n_headers;
    ferry_header headers[TEXTS_MAX];
    char *header_names; /* owned */
    bool colour_out, colour_err, terminal_out, terminal_err;
    bool was_down; /* the connection was lost, and is not back */
};

extern const Option cli_options[]; /* the ones that every command takes */

/* Where the broker is, for messages. */
const char *cli_url(const Cli *cli);

/* Opens a client with the headers of the command line. An exit status; the problem was told. */
int cli_open(Cli *cli, const ferry_options *options, ferry_client **ret);

/* Tells what is wrong on standard error: "ferry call: …". Returns status. */
int cli_fail(Cli *cli, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for wrong usage: names the command's help. Returns EXIT_USAGE. */
int cli_usage(Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells an error with its causes, trace and a hint; returns the exit status that belongs to it. */
int cli_error(Cli *cli, const ferry_error *error);

/* The same for one that may be a declared exception: type is its table, or NULL. */
int cli_exception(Cli *cli, const ferry_error *error, const ferry_type *type);
int cli_status(const ferry_error *error);

/* Before anything is begun for a queue's name that no broker takes. An exit status. */
int cli_check_queue(Cli *cli, const char *name);

/* Talk, on standard error; nothing with --quiet. */
void cli_note(const Cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Calls a method of ferry.Broker; format and arguments as of ferry_callf(). The result as JSON. An
 * exit status; the problem was told, unless quiet. */
int cli_manage(Cli *cli, ferry_client *client, bool quiet, json_t **ret, const char *method,
               const char *format, ...);

/* Asks the broker for names and tells the one that name was meant to be, if any. */
void cli_did_you_mean(Cli *cli, ferry_client *client, Names kind, const char *name);

/* The names of a kind that the broker knows: an array of strings. NULL: could not be had. */
json_t *cli_live_names(Cli *cli, ferry_client *client, Names kind);

DEFINE_CLEANUP(ferry_client *, ferry_close);
static inline void ferry_freep(void *pointer) {
    ferry_free(*(void **)pointer);
}

/* ---- commands.c ---- */

extern const Command *const commands[]; /* NULL at the end */
const Command *commands_find(const char *name);
const char *commands_nearest(const char *name); /* NULL: none is near */
void commands_print(FILE *to);                  /* `ferry help` */
void command_print(const Command *command, FILE *to);
