/* SPDX-License-Identifier: Apache-2.0 */
/* ferry key: makes key pairs and shows their public part. */

#include <stdlib.h>

#include "clients/cli/bodies/show.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/terminal/out.h"
#include "rpc/keys/key.h"

typedef struct Values {
    const char *name;
} Values;

static const Option options[] = {
    OPTION_PLAIN(OPTION_TEXT, 'n', "name", Values, name, "N", "whose key it is, for people"),
    OPTION_END,
};

static int show_key(Cli *cli, const KeyPair *pair) {
    CLEANUP(json_decref) json_t *object = NULL;
    char text[KEY_TEXT_MAX];

    key_text(pair->public_key, text);
    if (!cli->json) {
        out_format(stdout, "%s\n", text);
        return EXIT_OK;
    }
    object = json_pack("{s:s, s:s}", "name", pair->name, "public", text);
    show_json(cli, object);
    return EXIT_OK;
}

static int make(Cli *cli, const char *path, const char *name) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(key_pair_free) KeyPair *pair = NULL;
    int r = key_pair_new(&pair);

    if (r < 0)
        return cli_fail(cli, EXIT_OTHER, "cannot make a key: %s", strerror(-r));
    if (name && (strlen(name) >= KEY_NAME_MAX || name[strcspn(name, "\r\n")]))
        return cli_usage(cli, "--name: a name has at most %d bytes, and one line",
                         KEY_NAME_MAX - 1);
    snprintf(pair->name, sizeof(pair->name), "%s", name ? name : "");
    if (key_file_write(path, pair, &error) < 0)
        return cli_error(cli, &error);
    return show_key(cli, pair);
}

static int run_key(Cli *cli, const void *values, int argc, char **argv) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(key_pair_free) KeyPair *pair = NULL;
    const Values *v = values;

    (void)argc;
    if (strcmp(argv[0], "new") == 0)
        return make(cli, argv[1], v->name);
    if (strcmp(argv[0], "show") != 0)
        return cli_usage(cli, "'%s' is not new|show", argv[0]);
    if (v->name)
        return cli_usage(cli, "--name is for 'ferry key new'");
    if (key_file_read(argv[1], &pair, &error) < 0)
        return cli_error(cli, &error);
    return show_key(cli, pair);
}

const Command command_key = {
    .name = "key",
    .usage = "new [--name N] FILE\n"
             "show FILE",
    .summary = "make a key pair, show its public part",
    .help =
        "A key pair is the identity of a broker or of a user. 'new' writes one to a new file that\n"
        "only its owner can read, and prints the public part; 'show' prints the public part "
        "again.\n"
        "The public part of a broker is the --server-key of its clients. The public part of a "
        "user\n"
        "goes into the broker's configuration: key = PUBLIC in [user NAME].\n"
        "\n"
        "Examples:\n"
        "  ferry key new /etc/ferry/broker.key\n"
        "  ferry key show worker.key\n",
    .options = options,
    .values_size = sizeof(Values),
    .min_args = 2,
    .max_args = 2,
    .words = "new|show",
    .run = run_key,
};
