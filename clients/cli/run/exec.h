#pragma once

/*
 * A shell command run in the loop: a body goes to its standard input, what it prints is the result,
 * the end of what it says on standard error the reason when it fails. Each runs in a process group
 * of its own, so that all of it can be ended.
 */

#include <sys/types.h>

#include "base/buffer.h"
#include "clients/cli/run/loop.h"

enum {
    EXEC_OUTPUT_MAX = 64 * 1024 * 1024, /* max_body of a broker, by default */
    EXEC_REASON_MAX = 4096,             /* the last of standard error */
    EXEC_KILL_MS = 2000,                /* from SIGTERM to SIGKILL */
    EXEC_RETRY = 75, /* the exit status that asks to be tried again: EX_TEMPFAIL of sysexits.h */
};

typedef struct Exec Exec;

/* A variable for the command's environment. */
typedef struct ExecVariable {
    const char *name;
    const char *value;
} ExecVariable;

typedef struct ExecResult {
    int status;         /* of the exit; -1: it did not exit by itself, or could not be run */
    const char *reason; /* what went wrong, for people; never NULL, "" on success */
    Buffer *output;     /* may be taken: leave it zero */
} ExecResult;

/* Called once, unless exec_free() comes first. The Exec is freed when fn returns. */
typedef void (*ExecFn)(Exec *exec, const ExecResult *result, void *ctx);

typedef struct ExecOptions {
    const char *command; /* for /bin/sh -c */
    ferry_bytes input;   /* must live as long as the Exec */
    const ExecVariable *variables;
    size_t n_variables;
    size_t max_output; /* 0: EXEC_OUTPUT_MAX */
    bool show_errors;  /* standard error goes to ours as well */
    ExecFn fn;
    void *ctx;
} ExecOptions;

/* -errno when the command cannot be started; fn is not called then. */
int exec_start(Loop *loop, const ExecOptions *options, Exec **ret);

/* Asks the process group to end, and ends it by force after EXEC_KILL_MS. fn hears of it. */
void exec_cancel(Exec *exec);

/* Kills the process group at once and forgets it. Returns NULL. */
Exec *exec_free(Exec *exec);

DEFINE_CLEANUP(Exec *, exec_free);

/* A header's name as a variable's: "trace-id" becomes FERRY_HEADER_TRACE_ID. Returns to. */
const char *exec_header_name(const char *header, char *to, size_t size);
