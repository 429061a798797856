/* The arguments of a call. See arguments.h. */

#include "clients/cli/arguments.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"

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

/* "name=…": a word that is meant for a parameter of that name. */
static bool is_named(const char *word) {
    const char *at = word;

    while (isalnum((unsigned char)*at) || *at == '_')
        at++;
    return at > word && *at == '=' && !isdigit((unsigned char)*word);
}

static int parse_word(const char *word, int number, const char *method, json_t **ret,
                      ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    char what[32];
    int r = 0;

    snprintf(what, sizeof(what), "argument %d:", number);
    if (strcmp(word, "-") == 0)
        r = read_all(STDIN_FILENO, "standard input", &text, reterr);
    else if (word[0] == '@')
        r = read_file(word + 1, &text, reterr);
    else if (is_named(word))
        return error_set(
            reterr, "ferry.InvalidArgument",
            "argument %d: '%.60s' names a parameter, but '%s' has no description: give "
            "the arguments in order, as JSON",
            number, word, method);
    else
        return value_parse(word, strlen(word), what, ret, reterr);
    return r < 0 ? r : value_parse((const char *)text.data, text.len, what, ret, reterr);
}

int arguments_pack(char *const *words, int n, const char *method, Buffer *to, ferry_error *reterr) {
    CLEANUP(json_decref) json_t *list = json_array();

    if (!list)
        return error_set_code(reterr, -ENOMEM, NULL);
    for (int i = 0; i < n; i++) {
        json_t *one = NULL;
        int r = parse_word(words[i], i + 1, method, &one, reterr);

        if (r < 0)
            return r;
        if (json_array_append_new(list, one) < 0)
            return error_set_code(reterr, -ENOMEM, NULL);
    }
    return value_from_json(list, to, reterr);
}

int arguments_template(Cli *cli, ferry_client *client, const char *method) {
    CLEANUP(json_decref) json_t *found = NULL;
    char service[256];
    int status;

    snprintf(service, sizeof(service), "%.*s", (int)(strrchr(method, '.') - method), method);
    status = cli_manage(cli, client, false, &found, "describe", "s", service);
    if (status != EXIT_OK)
        return status;
    return cli_fail(cli, EXIT_OTHER, "'%s' does not describe its methods: no template", service);
}
