/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs a shell command in the loop: a body goes to its standard input, its standard output is the
 * result, and the end of its standard error is the reason of a failure. Each command runs in a
 * process group of its own, so that all its processes can be ended; they also end when this process
 * dies.
 */

#include <sys/types.h>

#include "base/buffer.h"
#include "clients/cli/run/loop.h"

enum {
    EXEC_OUTPUT_MAX = 64 * 1024 * 1024, /* the default max_body of a broker */
    EXEC_REASON_MAX = 4096,             /* the last bytes of standard error */
    EXEC_KILL_MS = 2000,                /* from SIGTERM to SIGKILL */
    /* The exit status of a command that wants a retry: EX_TEMPFAIL of sysexits.h. */
    EXEC_RETRY = 75,
};

typedef struct Exec Exec;

/* A variable for the command's environment. */
typedef struct ExecVariable {
    const char *name;
    const char *value;
} ExecVariable;

typedef struct ExecResult {
    int status;         /* exit status; -1: ended by a signal, or could not be started */
    const char *reason; /* the error, for people; never NULL, "" on success */
    Buffer *output;     /* the callback may take it: leave it zero then */
} ExecResult;

/* Called once, unless exec_free() comes first. The Exec is freed when the function returns. */
typedef void (*ExecFn)(Exec *exec, const ExecResult *result, void *ctx);

typedef struct ExecOptions {
    const char *command; /* for /bin/sh -c */
    ferry_bytes input;   /* must live as long as the Exec */
    const ExecVariable *variables;
    size_t n_variables;
    size_t max_output; /* 0: EXEC_OUTPUT_MAX */
    bool show_errors;  /* also copy standard error to this process's standard error */
    ExecFn fn;
    void *ctx;
} ExecOptions;

/* A negative errno when the command cannot be started; fn is not called then. */
int exec_start(Loop *loop, const ExecOptions *options, Exec **ret);

/* Sends SIGTERM to the process group, and SIGKILL after EXEC_KILL_MS. fn is called at the end. */
void exec_cancel(Exec *exec);

/* Kills the process group at once and forgets it. Returns NULL. */
Exec *exec_free(Exec *exec);

DEFINE_CLEANUP(Exec *, exec_free);

/* Turns a header's name into a variable's: "trace-id" becomes FERRY_HEADER_TRACE_ID. Returns to. */
const char *exec_header_name(const char *header, char *to, size_t size);
