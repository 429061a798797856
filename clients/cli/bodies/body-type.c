/* SPDX-License-Identifier: Apache-2.0 */
/* Packed bodies as JSON. See body-type.h. */

#include "clients/cli/bodies/body-type.h"

#include <stdlib.h>

#include "idl/emit/tables.h"

static int load(BodyType *type, Cli *cli, const char *option, const char *path, const char *name) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    Program program;
    File *file;
    int r = 0, status = EXIT_OK;

    program_init(&program);
    file = program_load(&program, path);
    reports_print(&program.reports, stderr, cli->colour_err);
    if (!file || program.reports.n_errors > 0)
        status = cli_fail(cli, EXIT_USAGE, "--%s: '%s' has errors", option, path);
    else
        r = tables_of_type(&program, file, name, &type->owner, &type->type, &error);
    program_deinit(&program);
    if (r == -ENOENT)
        return cli_usage(cli, "--%s: '%s' has no type '%s'", option, path, name);
    return r < 0 ? cli_error(cli, &error) : status;
}

int body_type_open(BodyType *type, Cli *cli, const char *option, const char *spec) {
    const char *colon = spec ? strrchr(spec, ':') : NULL;
    char *path;
    int status;

    if (!spec)
        return EXIT_OK;
    type->is_set = true;
    if (strcmp(spec, "any") == 0)
        return EXIT_OK;
    if (!colon || colon == spec || !colon[1])
        return cli_usage(cli, "--%s '%s': FILE:NAME, as in orders.thrift:Order, or 'any'", option,
                         spec);
    path = strndup(spec, (size_t)(colon - spec));
    if (!path)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    status = load(type, cli, option, path, colon + 1);
    free(path);
    return status;
}

void body_type_close(BodyType *type) {
    ferry_free(type->owner);
    *type = (BodyType){0};
}

int body_type_pack(const BodyType *type, ferry_bytes text, Buffer *to, ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer loose = {0};
    CLEANUP(json_decref) json_t *json = NULL;
    ferry_bytes packed = {NULL, 0, NULL};
    int r = value_parse(text.data, text.len, "the body", &json, reterr);

    if (r == 0)
        r = value_from_json(json, type->type ? &loose : to, reterr);
    if (r < 0 || !type->type)
        return r;
    r = ferry_value_convert(type->type, ferry_bytes_of(loose.data, loose.len), "body", &packed,
                            reterr);
    if (r < 0)
        return r;
    buffer_append(to, packed.data, packed.len);
    ferry_free(packed.block);
    return to->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
}

int body_type_unpack(const BodyType *type, ferry_bytes body, json_t **ret, ferry_error *reterr) {
    ferry_bytes shown = body;
    int r = type->type ? ferry_value_format(type->type, body, &shown, reterr) : 0;

    if (r < 0)
        return r;
    r = value_to_json(shown, ret, reterr);
    if (type->type)
        ferry_free(shown.block);
    return r;
}

int body_type_text(const BodyType *type, ferry_bytes body, Buffer *to, ferry_error *reterr) {
    CLEANUP(json_decref) json_t *json = NULL;
    int r = body_type_unpack(type, body, &json, reterr);
    char *text = r == 0 ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

    if (text) {
        buffer_append(to, text, strlen(text));
        buffer_append(to, "\n", 1);
    }
    free(text);
    return r < 0 ? r : !text || to->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
}
