/* SPDX-License-Identifier: Apache-2.0 */

/* Printing of a call's result, for people and programs. See call.h. */

#include <stdlib.h>

#include "clients/cli/commands/call.h"
#include "clients/cli/terminal/out.h"
#include "clients/cli/terminal/print.h"

/* Converts a value to JSON, with the names of enum values where the type is known. A value that
 * does not fit its type is converted without the type. */
static int to_json(CallRun *run, const ferry_type *type, ferry_bytes body, json_t **ret,
                   ferry_error *reterr) {
    ferry_bytes shown;
    int r;

    if (!type)
        return value_to_json(body, ret, reterr);
    if (ferry_value_format(type, body, &shown, reterr) < 0) {
        cli_note(run->cli, "the server's answer does not match its interface: %s", reterr->message);
        ferry_error_clear(reterr);
        return value_to_json(body, ret, reterr);
    }
    r = value_to_json(shown, ret, reterr);
    ferry_free(shown.block);
    return r;
}

int call_show(CallRun *run, const ferry_type *type, ferry_bytes value) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(json_decref) json_t *json = NULL;

    if (run->values->raw) {
        out_raw(stdout, value);
        return EXIT_OK;
    }
    /* A method without a result answers with an empty body. */
    if (value.len == 0)
        json = json_null();
    else if (to_json(run, type, value, &json, &error) < 0)
        return cli_error(run->cli, &error);
    print_json(json, (PrintStyle){run->cli->terminal_out && !run->cli->json, run->cli->colour_out},
               stdout);
    putchar('\n');
    return EXIT_OK;
}

int call_tell(CallRun *run, const ferry_error *error) {
    const ferry_type *type = NULL;
    int status;

    for (uint32_t i = 0; error->type && run->declared && i < run->declared->n_throws; i++)
        if (strcmp(run->declared->throws[i].type->name, error->type) == 0)
            type = run->declared->throws[i].type;
    status = cli_exception(run->cli, error, type);
    if (!error->type || run->cli->quiet || run->cli->json)
        return status;
    if (strcmp(error->type, "ferry.NoSuchMethod") == 0 ||
        (strcmp(error->type, "ferry.NoSuchService") == 0 && run->values->instance))
        out_format(stderr, "    see 'ferry describe %s'\n", run->service);
    else if (strcmp(error->type, "ferry.NoSuchService") == 0)
        cli_did_you_mean(run->cli, run->client, NAMES_SERVICES, run->service);
    return status;
}
