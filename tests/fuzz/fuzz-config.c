/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration file, mainly users and rights: the broker reads the file, or each
 * error has a line and a text. After that, every right of a user is given by a line of the file;
 * the decision names this line; and a file with only this line gives the same right.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/config.h"
#include "rpc/wire/name.h"

enum { NAMES_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static int read_bytes(Config *config, const uint8_t *data, size_t size) {
    int fd = memfd_create("ferry.conf", MFD_CLOEXEC), r;
    char path[64];

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = config_read(config, path);
    close(fd);
    return r;
}

/* A user with this right alone. */
static void check_line(const char *may, Action action, Span name) {
    char problem[RIGHTS_PROBLEM_MAX];
    Rights *rights = rights_new();
    int line;

    must(rights && rights_section(rights, false, "alone", 1, problem) == 0 &&
         rights_set(rights, false, "alone", "may", may, 2, problem) == 0 &&
         rights_complete(rights, 1, &line, problem) == 0);
    must(user_may(rights_user(rights, "alone"), action, name));
    must(!user_may(rights_user(rights, USER_ANONYMOUS), action, name));
    rights_free(rights);
}

static void check_decision(const User *user, Action action, Span name) {
    const Grant *grant = user_right(user, action, name);
    char text[USER_NAME_MAX + NAME_MAX_LEN + 64], *may;

    if (!grant)
        return;
    grant_text(grant, text, sizeof(text));
    may = strstr(text, "may = ");
    must(may != NULL);
    check_line(may + strlen("may = "), action, name);
}

static void check_user(const Rights *rights, const User *user, const Span *names, size_t n) {
    must(strcmp(user->name, rights_user(rights, user->name)->name) == 0);
    must(user_has_rights_of(user, user));
    must(user_is_of(user, user->name, strlen(user->name)));
    for (size_t i = 0; i < n; i++)
        for (Action action = 0; action < N_ACTIONS; action++)
            check_decision(user, action, names[i]);
}

/* The words of the file that can be names or patterns. */
static size_t words_of(const uint8_t *data, size_t size, Span names[NAMES_MAX]) {
    size_t n = 0;

    for (size_t at = 0, end; at < size && n < NAMES_MAX; at = end + 1) {
        for (end = at; end < size && !strchr(" \t\r\n,]=", data[end]); end++)
            continue;
        if (end > at && pattern_is_valid((const char *)data + at, end - at))
            names[n++] = span_of(data + at, end - at);
    }
    return n;
}

static void check_rights(const Rights *rights, const Span *names, size_t n) {
    static const char *const always[] = {USER_ROOT, USER_BROKER, USER_ANONYMOUS};
    char name[USER_NAME_MAX + 1];

    for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++) {
        must(rights_user(rights, always[i]) != NULL);
        check_user(rights, rights_user(rights, always[i]), names, n);
    }
    for (size_t i = 0; i < n; i++) {
        if (names[i].len > USER_NAME_MAX)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)names[i].len, (const char *)names[i].data);
        if (rights_user(rights, name))
            check_user(rights, rights_user(rights, name), names, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Span names[NAMES_MAX];
    char text[1024];
    Config config;
    int r;

    config_init(&config);
    r = read_bytes(&config, data, size);
    must(r == (config.n_errors > 0 ? -EINVAL : 0));
    config_fit(&config, UINT64_C(1) << 30);
    for (size_t i = 0; i < config.n_errors; i++) {
        must(i == 0 || config.errors[i - 1].line <= config.errors[i].line);
        config_error_format(&config, i, text, sizeof(text));
        must(*text != '\0');
    }
    if (r == 0 && config.rights)
        check_rights(config.rights, names, words_of(data, size, names));
    config_deinit(&config);
    return 0;
}
