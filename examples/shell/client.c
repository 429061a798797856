/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs an allowed command, and ends with its exit status.
 *
 *     shell-client                                            what is allowed
 *     shell-client COMMAND [ARGUMENT...]                      on the server's machine
 *     shell-client -s USER@HOST:PORT COMMAND [ARGUMENT...]    by SSH
 *     shell-client -t USER@HOST:PORT COMMAND                  by Telnet: everything on the wire
 *
 *     -p PASSWORD   without it SSH uses the server's key
 *     -l MS         the time limit (10000)
 *
 * Input is read from the standard input, unless that is a terminal.
 */

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "shell.h"

typedef struct Wish {
    const char *password, *command;
    ferry_list_string arguments;
    shell_login login;
    int32_t limit_ms;
    bool ssh, telnet;
} Wish;

static int send_input(ferry_stream *stream, bool ssh, ferry_error *error) {
    char piece[16384];
    ssize_t n = 0;
    int r = 0;

    while (r == 0 && !isatty(STDIN_FILENO) && (n = read(STDIN_FILENO, piece, sizeof(piece))) > 0)
        r = ssh ? shell_ssh_send(stream, ferry_bytes_of(piece, (size_t)n), error)
                : shell_run_send(stream, ferry_bytes_of(piece, (size_t)n), error);
    if (r < 0)
        return r;
    return ssh ? shell_ssh_end(stream, error) : shell_run_end(stream, error);
}

/* The exit status, or a negative errno. */
static int show(ferry_stream *stream, bool ssh, ferry_error *error) {
    shell_output *output;
    int r, status = 1;

    while ((r = ssh ? shell_ssh_next(stream, &output, error)
                    : shell_run_next(stream, &output, error)) > 0) {
        if (output->which == SHELL_OUTPUT_OUT)
            fwrite(output->out.data, 1, output->out.len, stdout);
        else if (output->which == SHELL_OUTPUT_ERR)
            fwrite(output->err.data, 1, output->err.len, stderr);
        else if (output->which == SHELL_OUTPUT_EXIT && output->exit.status)
            status = *output->exit.status;
        else if (output->which == SHELL_OUTPUT_EXIT)
            printf("%s\n", output->exit.text);
        ferry_free(output);
    }
    return r < 0 ? r : status;
}

static int execute(ferry_client *client, const Wish *wish, ferry_error *error) {
    FERRY_AUTO(ferry_stream_close) ferry_stream *stream = NULL;
    int r = wish->ssh ? shell_ssh(client, &wish->login, wish->command, &wish->arguments,
                                  wish->limit_ms, &stream, error)
                      : shell_run(client, wish->command, &wish->arguments, wish->limit_ms, &stream,
                                  error);

    if (r == 0)
        r = send_input(stream, wish->ssh, error);
    if (r == 0 || r == -EPIPE)
        r = show(stream, wish->ssh, error);
    return r;
}

static void print_bytes(const ferry_bytes *bytes) {
    const unsigned char *data = bytes->data;

    for (size_t i = 0; i < bytes->len; i++)
        if (isprint(data[i]))
            putchar(data[i]);
        else
            printf(data[i] == '\n' ? "\\n" : data[i] == '\r' ? "\\r" : "\\x%02x", data[i]);
}

static int telnet(ferry_client *client, const Wish *wish, ferry_error *error) {
    FERRY_AUTO(ferry_free) shell_list_said *said = NULL;
    int r = shell_telnet(client, wish->login.host, wish->login.port, wish->login.user,
                         wish->password ? wish->password : "", wish->command, &said, error);

    for (size_t i = 0; r == 0 && i < said->n; i++) {
        printf(said->v[i].by_us ? "> " : "< ");
        print_bytes(&said->v[i].bytes);
        putchar('\n');
    }
    return r;
}

static int list(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) shell_list_command *commands = NULL;
    int r = shell_commands(client, &commands, error);

    for (size_t i = 0; r == 0 && i < commands->n; i++)
        printf("%-10s %s%s\n", commands->v[i].name, commands->v[i].line,
               commands->v[i].takes_arguments ? " ARGUMENT..." : "");
    return r;
}

/* USER@HOST:PORT, cut into pieces. */
static void take_login(Wish *wish, char *text) {
    char *host = strchr(text, '@'), *colon = strrchr(text, ':');

    if (colon)
        *colon = '\0';
    if (host)
        *host++ = '\0';
    wish->login = (shell_login){host ? host : text,
                                colon       ? atoi(colon + 1)
                                : wish->ssh ? 22
                                            : 23,
                                host ? text : "", NULL};
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Wish wish = {.limit_ms = 10000};
    int option, r;

    while ((option = getopt(argc, argv, "+s:t:p:l:")) != -1) {
        if (option == '?')
            return 2;
        wish.ssh = wish.ssh || option == 's';
        wish.telnet = wish.telnet || option == 't';
        if (option == 's' || option == 't')
            take_login(&wish, optarg);
        if (option == 'p')
            wish.password = optarg;
        if (option == 'l')
            wish.limit_ms = atoi(optarg);
    }
    wish.login.password = wish.password;
    wish.command = optind < argc ? argv[optind] : NULL;
    wish.arguments.n = optind < argc ? (size_t)(argc - optind - 1) : 0;
    wish.arguments.v = (const char *const *)argv + optind + 1;
    r = ferry_open(NULL, &(ferry_options){.name = "shell-client"}, &client, &error);
    if (r == 0)
        r = !wish.command ? list(client, &error)
            : wish.telnet ? telnet(client, &wish, &error)
                          : execute(client, &wish, &error);
    if (r < 0) {
        ferry_error_print(&error, stderr);
        return 255;
    }
    return r;
}
