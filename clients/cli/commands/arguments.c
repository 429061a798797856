/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of a call. See arguments.h. */

#include "clients/cli/commands/arguments.h"

#include <assert.h>
#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/cli/terminal/print.h"

enum { FILE_MAX = 64 * 1024 * 1024, READ_SIZE = 64 * 1024 };

static int read_all(int fd, const char *name, Buffer *to, ferry_error *reterr) {
    for (;;) {
        uint8_t *room = buffer_reserve(to, READ_SIZE);
        ssize_t n = room ? read(fd, room, READ_SIZE) : 0;

        if (!room)
            return error_set_code(reterr, -ENOMEM, NULL);
        if (n < 0 && errno != EINTR)
            return error_set(reterr, "ferry.InvalidArgument", "cannot read '%s': %s", name,
                             strerror(errno));
        if (n == 0)
            return 0;
        to->len += n > 0 ? (size_t)n : 0;
        if (to->len > FILE_MAX)
            return error_set(reterr, "ferry.TooBig", "'%s' is larger than 64 MiB", name);
    }
}

static int read_file(const char *path, Buffer *to, ferry_error *reterr) {
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    if (fd < 0)
        return error_set(reterr, "ferry.InvalidArgument", "cannot open '%s': %s", path,
                         strerror(errno));
    r = read_all(fd, path, to, reterr);
    close(fd);
    return r;
}

/* True for "name=…": a word for the parameter of that name. */
static bool is_named(const char *word) {
    const char *at = word;

    while (isalnum((unsigned char)*at) || *at == '_')
        at++;
    return at > word && *at == '=' && !isdigit((unsigned char)*word);
}

/* ---- words ---- */

/* Parses a value for a field (NULL: unknown). A text that is not JSON becomes a string where the
 * field takes text; names of enum values, numbers in other bases and uuids are texts, too. */
static int parse_value(const char *text, size_t len, const char *what, const ferry_field *field,
                       json_t **ret, ferry_error *reterr) {
    bool is_text = field && field->type->kind <= FERRY_KIND_BINARY;
    bool is_string = is_text && field->type->kind >= FERRY_KIND_STRING;
    json_t *json = NULL;

    assert(text);
    if (!is_text)
        return value_parse(text, len, what, ret, reterr);
    if (value_parse(text, len, what, &json, NULL) == 0 &&
        (!is_string || json_is_string(json) || (json_is_object(json) && strstr(text, "{\"$")) ||
         (json_is_null(json) && field->flags & FERRY_OPTIONAL))) {
        *ret = json;
        return 0;
    }
    json_decref(json);
    *ret = json_stringn(text, len);
    return *ret ? 0 : error_set(reterr, "ferry.InvalidArgument", "%s this is not UTF-8", what);
}

/* Reads the text of a word: the word itself, the content of a file, or standard input. Appends a
 * NUL. */
static int read_text(const char *word, Buffer *to, ferry_error *reterr) {
    int r = 0;

    if (strcmp(word, "-") == 0)
        r = read_all(STDIN_FILENO, "standard input", to, reterr);
    else if (word[0] == '@')
        r = read_file(word + 1, to, reterr);
    else
        buffer_append(to, word, strlen(word));
    if (r < 0)
        return r;
    buffer_append(to, "", 1);
    to->len -= !to->failed;
    return to->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
}

static int read_value(const char *word, int number, const ferry_field *field, json_t **ret,
                      ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    char what[32];
    int r = read_text(word, &text, reterr);

    snprintf(what, sizeof(what), "argument %d:", number);
    return r < 0 ? r : parse_value((const char *)text.data, text.len, what, field, ret, reterr);
}

/* ---- without a description: JSON, in order ---- */

static int pack_in_order(char *const *words, int n, const char *name, Buffer *to,
                         ferry_error *reterr) {
    CLEANUP(json_decref) json_t *list = json_array();

    if (!list)
        return error_set_code(reterr, -ENOMEM, NULL);
    for (int i = 0; i < n; i++) {
        json_t *one = NULL;
        int r;

        if (is_named(words[i]))
            return error_set(
                reterr, "ferry.InvalidArgument",
                "argument %d: '%.60s' names a parameter, but '%s' has no description: give "
                "the arguments in order, as JSON",
                i + 1, words[i], name);
        r = read_value(words[i], i + 1, NULL, &one, reterr);
        if (r < 0 && isalpha((unsigned char)*words[i]) && strlen(words[i]) < 60)
            return error_set(reterr, "ferry.InvalidArgument",
                             "argument %d: '%s' is not JSON: a text needs its quotes, '\"%s\"'",
                             i + 1, words[i], words[i]);
        if (r < 0)
            return r;
        if (json_array_append_new(list, one) < 0)
            return error_set_code(reterr, -ENOMEM, NULL);
    }
    return value_from_json(list, to, reterr);
}

/* ---- with a description ---- */

static const ferry_field *field_named(const ferry_type *args, const char *name, size_t len) {
    for (uint32_t i = 0; i < args->n; i++)
        if (strlen(args->fields[i].name) == len && memcmp(args->fields[i].name, name, len) == 0)
            return &args->fields[i];
    return NULL;
}

static int convert(const ferry_type *type, const json_t *json, const char *root, Buffer *to,
                   ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer loose = {0};
    ferry_bytes bytes = {NULL, 0, NULL};
    int r = value_from_json(json, &loose, reterr);

    if (r == 0)
        r = ferry_value_convert(type, ferry_bytes_of(loose.data, loose.len), root, &bytes, reterr);
    if (r < 0)
        return r;
    buffer_append(to, bytes.data, bytes.len);
    ferry_free(bytes.block);
    return to->failed ? error_set_code(reterr, -ENOMEM, NULL) : 0;
}

/* Refuses a word for which the method has no parameter. If the text before '=' is similar to a
 * parameter's name, suggests the name. */
static int too_many(const char *word, int i, const char *name, const ferry_type *args,
                    ferry_error *reterr) {
    const char *names[TEXTS_MAX], *near = NULL;
    char start[64], hint[300] = "";

    snprintf(start, sizeof(start), "%.*s", (int)strcspn(word, "=:"), word);
    for (uint32_t n = 0; n < args->n && n < TEXTS_MAX; n++)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): n is the number of fields */
        names[n] = args->fields[n].name;
    if (strlen(start) < strlen(word))
        near = text_nearest(start, names, args->n < TEXTS_MAX ? args->n : TEXTS_MAX);
    if (near)
        snprintf(hint, sizeof(hint), ": did you mean '%.200s='?", near);
    return error_set(reterr, "ferry.InvalidArgument",
                     "argument %d: '%.60s' is one too many: '%s' takes %u argument%s%s", i + 1,
                     word, name, args->n, args->n == 1 ? "" : "s", hint);
}

/* Adds a word's value to the arguments by name. */
static int add_word(json_t *by_name, const char *word, int i, const char *name,
                    const ferry_type *args, ferry_error *reterr) {
    const char *equals = is_named(word) ? strchr(word, '=') : NULL;
    const ferry_field *field = equals             ? field_named(args, word, (size_t)(equals - word))
                               : i < (int)args->n ? &args->fields[i]
                                                  : NULL;
    CLEANUP(json_decref) json_t *value = NULL;
    char key[256];
    int r;

    if (!field && !equals)
        return too_many(word, i, name, args, reterr);
    /* An unknown name is added, too: the type check suggests a name. */
    snprintf(key, sizeof(key), "%.*s", equals ? (int)(equals - word) : 255,
             equals ? word : field->name);
    if (json_object_get(by_name, key))
        return error_set(reterr, "ferry.InvalidArgument", "args.%s: given twice", key);
    if (!field)
        value = json_null();
    r = field ? read_value(equals ? equals + 1 : word, i + 1, field, &value, reterr) : 0;
    if (r == 0 && json_object_set(by_name, key, value) < 0)
        r = error_set_code(reterr, -ENOMEM, NULL);
    return r;
}

static bool all_are_parameters(const json_t *object, const ferry_type *args) {
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key,
                        value) if (!field_named(args, key, strlen(key))) return false;
    return json_object_size(object) > 0;
}

/* A single object may be all arguments by name (as --template prints them), or the first argument.
 * The function tries which one fits the types. */
static int pack_alone(const char *word, const char *name, const ferry_type *args, Buffer *to,
                      ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    CLEANUP(json_decref) json_t *all = NULL, *first = NULL, *by_name = json_object();
    bool may_be_all;
    int r = by_name ? read_text(word, &text, reterr) : error_set_code(reterr, -ENOMEM, NULL);

    if (r < 0)
        return r;
    may_be_all = value_parse((const char *)text.data, text.len, "", &all, NULL) == 0 &&
                 json_is_object(all) && all_are_parameters(all, args);
    if (may_be_all && (args->n == 0 || args->fields[0].type->kind < FERRY_KIND_MAP))
        return convert(args, all, "args", to, reterr);
    if (may_be_all && convert(args, all, "args", to, NULL) == 0)
        return 0;
    if (args->n == 0)
        return error_set(reterr, "ferry.InvalidArgument", "args: '%s' takes no arguments", name);
    r = parse_value((const char *)text.data, text.len, "argument 1:", &args->fields[0], &first,
                    reterr);
    if (r == 0 && json_object_set(by_name, args->fields[0].name, first) < 0)
        r = error_set_code(reterr, -ENOMEM, NULL);
    return r < 0 ? r : convert(args, by_name, "args", to, reterr);
}

int arguments_pack(char *const *words, int n, const char *name, const ferry_method *method,
                   Buffer *to, ferry_error *reterr) {
    CLEANUP(json_decref) json_t *by_name = NULL;

    if (!method || !method->args)
        return pack_in_order(words, n, name, to, reterr);
    if (n == 1 && !is_named(words[0]))
        return pack_alone(words[0], name, method->args, to, reterr);
    by_name = json_object();
    if (!by_name)
        return error_set_code(reterr, -ENOMEM, NULL);
    for (int i = 0; i < n; i++) {
        int r = add_word(by_name, words[i], i, name, method->args, reterr);

        if (r < 0)
            return r;
    }
    return convert(method->args, by_name, "args", to, reterr);
}

int arguments_item(ferry_bytes line, const ferry_type *type, Buffer *to, ferry_error *reterr) {
    CLEANUP(json_decref) json_t *json = NULL;
    CLEANUP(buffer_deinit) Buffer text = {0};
    ferry_field field = {.name = "item", .type = type};
    int r;

    buffer_append(&text, line.data, line.len);
    buffer_append(&text, "", 1);
    if (text.failed)
        return error_set_code(reterr, -ENOMEM, NULL);
    r = parse_value((const char *)text.data, line.len, "item:", type ? &field : NULL, &json,
                    reterr);
    if (r < 0)
        return r;
    return type ? convert(type, json, "item", to, reterr) : value_from_json(json, to, reterr);
}

/* Sets optional fields to null, at every depth: in a request an optional field is often a filter,
 * and the example's value would find nothing. */
static void leave_out_optional(const ferry_type *type, json_t *json) {
    size_t index;
    json_t *item;

    if (type->kind == FERRY_KIND_LIST || type->kind == FERRY_KIND_SET) {
        json_array_foreach(json, index, item) leave_out_optional(type->item, item);
        return;
    }
    if (type->kind == FERRY_KIND_MAP || type->kind < FERRY_KIND_STRUCT)
        return;
    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];

        item = json_object_get(json, field->name);
        if (!item)
            continue;
        if (field->flags & FERRY_OPTIONAL && type->kind != FERRY_KIND_UNION)
            json_object_set_new(json, field->name, json_null());
        else
            leave_out_optional(field->type, item);
    }
}

int arguments_template(Cli *cli, const ferry_method *method) {
    CLEANUP(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    CLEANUP(json_decref) json_t *json = NULL;
    ferry_bytes example;
    int r;

    if (ferry_value_example(method->args, &example) < 0)
        return cli_fail(cli, EXIT_OTHER, "out of memory");
    r = value_to_json(example, &json, &error);
    ferry_free(example.block);
    if (r < 0)
        return cli_error(cli, &error);
    leave_out_optional(method->args, json);
    print_json(json, (PrintStyle){cli->terminal_out && !cli->json, cli->colour_out}, stdout);
    putchar('\n');
    return EXIT_OK;
}
