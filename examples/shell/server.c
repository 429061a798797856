/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: here.c runs them on this machine, ssh.c and telnet.c on others. */

#include <signal.h>

#include "server.h"
#include "shell-server.h"

static int commands(ferry_request *request, void *ctx) {
    shell_command list[COMMANDS_MAX];
    Allowed allowed;
    int r;

    (void)ctx;
    allowed_load(&allowed);
    for (size_t i = 0; i < allowed.n; i++)
        list[i] = (shell_command){allowed.commands[i].name, allowed.commands[i].line,
                                  allowed.commands[i].takes_arguments};
    r = shell_commands_return(request, &(shell_list_command){allowed.n, list});
    allowed_free(&allowed);
    return r;
}

int shell_start(ferry_client *client, ferry_error *reterr) {
    static const shell_handlers handlers = {
        .commands = commands, .run = run_here, .ssh = run_by_ssh, .telnet = run_by_telnet};

    signal(SIGPIPE, SIG_IGN); /* a command may end before it has read its input */
    return shell_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
