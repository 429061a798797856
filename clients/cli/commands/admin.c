/* SPDX-License-Identifier: Apache-2.0 */
/* ferry auth, session, reload: what users may do, their sessions, and the broker's configuration.
 */

#include "base/text.h"
#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"

static int check_verb(Cli *cli, const char *verb, const char *only) {
    return strcmp(verb, only) == 0
               ? EXIT_OK
               : cli_usage(cli, "'%s' is not a verb of this command: write '%s'", verb, only);
}

/* ---- auth ---- */

static int show_decision(Cli *cli, const json_t *decision, char **argv) {
    const char *rule = json_string_value(json_object_get(decision, "rule"));
    bool is_allowed = json_is_true(json_object_get(decision, "allowed"));
    json_int_t line = json_integer_value(json_object_get(decision, "line"));

    if (cli->json)
        show_json(cli, decision);
    else if (!is_allowed)
        out_format(stdout, "denied: no line allows '%s' to %s '%s'\n", argv[1], argv[2], argv[3]);
    else if (line > 0)
        out_format(stdout, "allowed by line %lld: %s\n", (long long)line, rule ? rule : "");
    else
        out_format(stdout, "allowed: %s\n",
                   rule && *rule ? "the user is an administrator"
                                 : "the broker has no users, so everybody may do everything");
    return is_allowed ? EXIT_OK : 4;
}

static int run_auth(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(json_decref) json_t *decision = NULL;
    int status = check_verb(cli, argv[0], "check");

    (void)argc;
    (void)values;
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK)
        status =
            cli_manage(cli, client, false, &decision, "check", "sss", argv[1], argv[2], argv[3]);
    return status == EXIT_OK ? show_decision(cli, decision, argv) : status;
}

const Command command_auth = {
    .name = "auth",
    .usage = "check USER ACTION NAME",
    .summary = "explain what a user may do",
    .help =
        "ACTION is call, serve, publish, subscribe, push, work, peek, manage, watch or admin; "
        "NAME\n"
        "is a service, a topic, a queue or a pattern. Prints the line of the configuration that\n"
        "allows it. The exit status is 0 if it is allowed, and 4 if not. An administrator may ask\n"
        "about every user.\n"
        "\n"
        "Examples:\n"
        "  ferry auth check worker work resize\n"
        "  ferry auth check shop publish 'orders.>'\n",
    .min_args = 4,
    .max_args = 4,
    .words = "check",
    .run = run_auth,
};

/* ---- session ---- */

static int run_session(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(json_decref) json_t *nothing = NULL;
    int status = check_verb(cli, argv[0], "kick");
    uint64_t number;

    (void)argc;
    (void)values;
    if (status == EXIT_OK && (text_parse_count(argv[1], &number) < 0 || number > INT64_MAX))
        status =
            cli_usage(cli, "'%s' is not the number of a session: see 'ferry sessions'", argv[1]);
    if (status == EXIT_OK)
        status = cli_open(cli, NULL, &client);
    if (status == EXIT_OK)
        status = cli_manage(cli, client, false, &nothing, "kick", "u", number);
    if (status == EXIT_OK)
        cli_note(cli, "session %s has ended", argv[1]);
    return status;
}

const Command command_session = {
    .name = "session",
    .usage = "kick NUMBER",
    .summary = "end the session of a client",
    .help = "'ferry sessions' shows the NUMBER. The program of the session may connect again; to "
            "keep\n"
            "a user out, change the broker's configuration.\n"
            "\n"
            "Example:\n  ferry session kick 17\n",
    .min_args = 2,
    .max_args = 2,
    .words = "kick",
    .run = run_session,
};

/* ---- reload ---- */

static int run_reload(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_close) ferry_client *client = NULL;
    CLEANUP(json_decref) json_t *nothing = NULL;
    int status = cli_open(cli, NULL, &client);

    (void)values;
    (void)argc;
    (void)argv;
    if (status == EXIT_OK)
        status = cli_manage(cli, client, false, &nothing, "reload", "");
    if (status == EXIT_OK)
        cli_note(cli, "the broker has read its configuration again");
    return status;
}

const Command command_reload = {
    .name = "reload",
    .usage = "",
    .summary = "make the broker read its configuration again",
    .help = "If the file has an error, nothing changes, and the first error is printed; the "
            "broker's log\n"
            "has all errors. A session ends if its user was removed or has lost a right.\n"
            "\n"
            "Example:\n  ferry reload\n",
    .run = run_reload,
};
