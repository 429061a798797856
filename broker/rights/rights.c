/* SPDX-License-Identifier: Apache-2.0 */
/* Users, groups and their rights. See rights.h. */

#include "broker/rights/rights.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/setting.h"
#include "base/text.h"
#include "rpc/wire/message.h"
#include "rpc/wire/name.h"

static const char *const action_names[N_ACTIONS] = {
    [ACTION_CALL] = "call",           [ACTION_SERVE] = "serve",   [ACTION_PUBLISH] = "publish",
    [ACTION_SUBSCRIBE] = "subscribe", [ACTION_PUSH] = "push",     [ACTION_WORK] = "work",
    [ACTION_PEEK] = "peek",           [ACTION_MANAGE] = "manage", [ACTION_WATCH] = "watch",
    [ACTION_ADMIN] = "admin",
};

/* A name in the setting `groups`, until rights_complete() finds the group. */
typedef struct Membership {
    struct Membership *next;
    const Section *group; /* NULL: the group is not found yet */
    int line;
    char name[];
} Membership;

typedef struct Uid {
    struct Uid *next;
    uid_t uid;
    int line;
} Uid;

typedef struct PublicKey {
    struct PublicKey *next;
    uint8_t key[KEY_SIZE];
} PublicKey;

struct Section {
    Section *prev, *next; /* in rights->sections */
    bool is_group, has_members;
    int line;
    char name[USER_NAME_MAX + 1];
    Grant *grants[N_ACTIONS]; /* in the order of the file */
    Membership *groups;
    Uid *uids;
    PublicKey *keys;
    User *user; /* NULL: the section is a group */
};

struct Rights {
    Section *sections; /* utlist */
    uid_t own_uid;
};

/* ---- actions ---- */

const char *action_name(Action action) {
    return action_names[action];
}

bool action_parse(const char *text, Action *ret) {
    for (Action action = 0; action < N_ACTIONS; action++)
        if (strcmp(text, action_names[action]) == 0) {
            *ret = action;
            return true;
        }
    return false;
}

/* ---- sections ---- */

static int say(char *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int say(char *problem, const char *format, ...) {
    va_list args;

    va_start(args, format);
    vsnprintf(problem, RIGHTS_PROBLEM_MAX, format, args);
    va_end(args);
    return -EINVAL;
}

Rights *rights_new(void) {
    return calloc(1, sizeof(Rights));
}

static void section_free(Section *section) {
    Membership *group, *next_group;
    Grant *grant, *next_grant;
    Uid *uid, *next_uid;
    PublicKey *key, *next_key;

    for (Action action = 0; action < N_ACTIONS; action++)
        LL_FOREACH_SAFE(section->grants[action], grant, next_grant) {
            free(grant);
        }
    LL_FOREACH_SAFE(section->groups, group, next_group) {
        free(group);
    }
    LL_FOREACH_SAFE(section->uids, uid, next_uid) {
        free(uid);
    }
    LL_FOREACH_SAFE(section->keys, key, next_key) {
        free(key);
    }
    if (section->user) {
        section->user->section = NULL;
        user_unref(section->user);
    }
    free(section);
}

Rights *rights_free(Rights *rights) {
    Section *section, *next;

    if (!rights)
        return NULL;
    DL_FOREACH_SAFE(rights->sections, section, next) {
        section_free(section);
    }
    free(rights);
    return NULL;
}

static Section *find(const Rights *rights, bool is_group, const char *name) {
    Section *section;

    DL_FOREACH(rights->sections, section) {
        if (section->is_group == is_group && strcmp(section->name, name) == 0)
            return section;
    }
    return NULL;
}

static Section *section_new(Rights *rights, bool is_group, const char *name, int line) {
    Section *section = calloc(1, sizeof(*section));
    User *user = is_group ? NULL : calloc(1, sizeof(*user));

    if (!section || (!is_group && !user)) {
        free(section);
        free(user);
        return NULL;
    }
    section->is_group = is_group;
    section->line = line;
    section->user = user;
    snprintf(section->name, sizeof(section->name), "%s", name);
    if (user) {
        user->refs = 1;
        user->section = section;
        memcpy(user->name, section->name, sizeof(user->name));
    }
    DL_APPEND(rights->sections, section);
    return section;
}

int rights_section(Rights *rights, bool is_group, const char *name, int line,
                   char problem[RIGHTS_PROBLEM_MAX]) {
    size_t len = strlen(name);
    char escaped[TEXT_ESCAPED_MAX];

    if (!name_is_valid(name, len))
        return say(problem, "'%s' cannot be the name of a %s: %s", text_escape(escaped, name, len),
                   is_group ? "group" : "user", name_problem(name, len));
    if (len > USER_NAME_MAX)
        return say(problem, "the name of a %s has at most %d bytes", is_group ? "group" : "user",
                   USER_NAME_MAX);
    if (find(rights, is_group, name))
        return 0;
    return section_new(rights, is_group, name, line) ? 0 : -ENOMEM;
}

/* ---- settings ---- */

/* The next word of a value; NULL: there are no more. */
static char *next_word(char **at) {
    char *word = *at + strspn(*at, " \t,");

    if (!*word)
        return NULL;
    *at = word + strcspn(word, " \t,");
    if (**at)
        *(*at)++ = '\0';
    return word;
}

static int add_grant(Section *section, Action action, const char *pattern, int line) {
    size_t len = strlen(pattern);
    Grant *grant = malloc(sizeof(*grant) + len + 1);

    if (!grant)
        return -ENOMEM;
    *grant = (Grant){.section = section, .action = action, .line = line, .len = len};
    memcpy(grant->pattern, pattern, len + 1);
    LL_APPEND(section->grants[action], grant);
    return 0;
}

static bool is_of_queues(Action action) {
    return action >= ACTION_PUSH && action <= ACTION_MANAGE;
}

static bool ends_in_dead(Span name) {
    static const char end[] = ".dead";
    enum { LEN = sizeof(end) - 1 };

    return name.len > LEN && memcmp(name.data + name.len - LEN, end, LEN) == 0;
}

static int check_pattern(Action action, const char *pattern, char *problem) {
    size_t len = strlen(pattern);
    char escaped[TEXT_ESCAPED_MAX];

    if (!pattern_is_valid(pattern, len))
        return say(problem, "may: '%s' is not a valid pattern: %s",
                   text_escape(escaped, pattern, len), pattern_problem(pattern, len));
    if (is_of_queues(action) && ends_in_dead(span_text(pattern)))
        return say(problem,
                   "may: '%s' names a dead-letter queue: a right to '%.*s' includes its dead "
                   "letters",
                   pattern, (int)(len - strlen(".dead")), pattern);
    return 0;
}

/*
 * Reads "serve calc.* call log.* stat.* admin": an action, then patterns until the next action. The
 * word after an action is always a pattern, so `work call` is a right to the queue "call".
 */
static int set_may(Section *section, char *words, int line, char *problem) {
    Action action = ACTION_ADMIN, next;
    unsigned n_patterns = 1; /* patterns after the action */
    char escaped[TEXT_ESCAPED_MAX];
    char *word;
    int r = 0;

    while (r == 0 && (word = next_word(&words))) {
        if (n_patterns > 0 && action_parse(word, &next)) {
            action = next;
            n_patterns = action == ACTION_ADMIN;
            if (action == ACTION_ADMIN)
                r = add_grant(section, action, ">", line);
        } else if (action == ACTION_ADMIN) {
            return say(problem,
                       "may: '%s' is not an action: the actions are call, serve, publish, "
                       "subscribe, push, work, peek, manage, watch and admin",
                       text_escape(escaped, word, strlen(word)));
        } else {
            r = check_pattern(action, word, problem);
            if (r == 0)
                r = add_grant(section, action, word, line);
            n_patterns++;
        }
    }
    if (r == 0 && n_patterns == 0)
        return say(problem, "may: '%s' needs a pattern: '>' stands for all names",
                   action_names[action]);
    return r;
}

static int set_groups(Section *section, char *words, int line, char *problem) {
    char *word;

    while ((word = next_word(&words))) {
        size_t len = strlen(word);
        Membership *group;

        if (len > USER_NAME_MAX)
            return say(problem, "groups: a name has at most %d bytes", USER_NAME_MAX);
        group = malloc(sizeof(*group) + len + 1);
        if (!group)
            return -ENOMEM;
        *group = (Membership){.line = line};
        memcpy(group->name, word, len + 1);
        LL_APPEND(section->groups, group);
    }
    return 0;
}

static int set_uids(Rights *rights, Section *section, char *words, int line, char *problem) {
    char escaped[TEXT_ESCAPED_MAX];
    char *word;

    while ((word = next_word(&words))) {
        uint64_t number;
        Section *other;
        Uid *uid;

        if (setting_parse(SETTING_COUNT, word, 0, UINT32_MAX - 1, &number))
            return say(problem, "uid: '%s' is not the number of a user of this machine",
                       text_escape(escaped, word, strlen(word)));
        DL_FOREACH(rights->sections, other) {
            LL_SEARCH_SCALAR(other->uids, uid, uid, number);
            if (uid && other != section)
                return say(problem, "uid: [user %s] already has the uid %s", other->name, word);
        }
        uid = malloc(sizeof(*uid));
        if (!uid)
            return -ENOMEM;
        *uid = (Uid){.uid = (uid_t)number, .line = line};
        LL_APPEND(section->uids, uid);
    }
    return 0;
}

static PublicKey *find_key(const Section *section, const uint8_t key[KEY_SIZE]) {
    PublicKey *entry;

    LL_FOREACH(section->keys, entry) {
        if (memcmp(entry->key, key, KEY_SIZE) == 0)
            return entry;
    }
    return NULL;
}

/* The problem does not quote the text, which could be a secret key. */
static int set_keys(Rights *rights, Section *section, char *words, char *problem) {
    uint8_t key[KEY_SIZE];
    Section *other;
    char *word;

    while ((word = next_word(&words))) {
        PublicKey *entry;

        if (key_parse(word, key) < 0)
            return say(problem, "key: a public key is 64 hexadecimal digits: 'ferry key show FILE' "
                                "prints it");
        DL_FOREACH(rights->sections, other) {
            if (find_key(other, key))
                return say(problem, "key: [user %s] already has this key", other->name);
        }
        entry = malloc(sizeof(*entry));
        if (!entry)
            return -ENOMEM;
        memcpy(entry->key, key, KEY_SIZE);
        LL_APPEND(section->keys, entry);
    }
    return 0;
}

/* True: the setting is a limit, and *ret is the result of reading it. */
static bool set_limit(UserLimits *limits, const char *key, char *value, char *problem, int *ret) {
    const struct {
        const char *key;
        SettingKind kind;
        uint64_t *to;
    } known[] = {{"max_connections", SETTING_COUNT, &limits->connections},
                 {"max_memory", SETTING_BYTES, &limits->memory},
                 {"max_calls", SETTING_COUNT, &limits->calls},
                 {"max_queue_bytes", SETTING_BYTES, &limits->queue_bytes},
                 {"max_subscriptions", SETTING_COUNT, &limits->subscriptions},
                 {"max_publishes", SETTING_PER_SECOND, &limits->publishes}};
    static const char *const wanted[] = {[SETTING_COUNT] = "a number",
                                         [SETTING_BYTES] = "a size such as 64M",
                                         [SETTING_PER_SECOND] = "a rate such as 100/s"};
    static const uint64_t most[] = {
        [SETTING_COUNT] = UINT32_MAX, [SETTING_BYTES] = UINT64_MAX, [SETTING_PER_SECOND] = 1000000};
    char escaped[TEXT_ESCAPED_MAX];
    size_t i = 0, n = sizeof(known) / sizeof(*known);

    while (i < n && strcmp(key, known[i].key) != 0)
        i++;
    if (i == n)
        return false;
    *ret = 0;
    if (setting_parse(known[i].kind, value, 0, most[known[i].kind], known[i].to)) {
        *ret = say(problem, "%s: %s is expected, not '%s'", key, wanted[known[i].kind],
                   text_escape(escaped, value, strlen(value)));
        return true;
    }
    limits->any = true;
    return true;
}

static int refuse_setting(bool is_group, const char *key, char *problem) {
    static const char *const names[] = {"may",
                                        "key",
                                        "uid",
                                        "groups",
                                        "max_connections",
                                        "max_memory",
                                        "max_calls",
                                        "max_queue_bytes",
                                        "max_subscriptions",
                                        "max_publishes"};
    const char *nearest = text_nearest(key, names, is_group ? 1 : sizeof(names) / sizeof(*names));
    char escaped[TEXT_ESCAPED_MAX];

    return say(problem, "[%s] has no setting '%s'%s%s%s", is_group ? "group" : "user",
               text_escape(escaped, key, strlen(key)), nearest ? "; did you mean '" : "",
               nearest ? nearest : "", nearest ? "'?" : "");
}

/* Reads a setting; changes the text in `words`. */
static int set(Rights *rights, Section *section, const char *key, char *words, int line,
               char *problem) {
    int r;

    if (strcmp(key, "may") == 0)
        return set_may(section, words, line, problem);
    if (section->is_group)
        return refuse_setting(true, key, problem);
    if (strcmp(key, "uid") == 0)
        return set_uids(rights, section, words, line, problem);
    if (strcmp(key, "key") == 0)
        return set_keys(rights, section, words, problem);
    if (strcmp(key, "groups") == 0)
        return set_groups(section, words, line, problem);
    if (set_limit(&section->user->limits, key, words, problem, &r))
        return r;
    return refuse_setting(false, key, problem);
}

int rights_set(Rights *rights, bool is_group, const char *name, const char *key, const char *value,
               int line, char problem[RIGHTS_PROBLEM_MAX]) {
    Section *section = find(rights, is_group, name);
    char *words;
    int r;

    if (!section)
        return 0; /* the name of its section was refused */
    words = strdup(value);
    if (!words)
        return -ENOMEM;
    r = set(rights, section, key, words, line, problem);
    free(words);
    return r;
}

/* ---- all sections together ---- */

static int resolve_groups(Rights *rights, const Section *user, int *ret_line, char *problem) {
    char escaped[TEXT_ESCAPED_MAX];
    Membership *membership;
    Section *group;

    LL_FOREACH(user->groups, membership) {
        group = find(rights, true, membership->name);
        if (!group) {
            *ret_line = membership->line;
            return say(problem, "groups: there is no section [group %s]",
                       text_escape(escaped, membership->name, strlen(membership->name)));
        }
        group->has_members = true;
        membership->group = group;
    }
    return 0;
}

/* Adds a user that exists in all Rights, unless it has a section. */
static int add_built_in(Rights *rights, const char *name, bool is_admin) {
    Section *section;

    if (find(rights, false, name))
        return 0;
    section = section_new(rights, false, name, 0);
    if (!section)
        return -ENOMEM;
    return is_admin ? add_grant(section, ACTION_ADMIN, ">", 0) : 0;
}

int rights_complete(Rights *rights, uid_t own_uid, int *ret_line,
                    char problem[RIGHTS_PROBLEM_MAX]) {
    Section *section;
    int r = 0;

    rights->own_uid = own_uid;
    DL_FOREACH(rights->sections, section) {
        r = resolve_groups(rights, section, ret_line, problem);
        if (r < 0)
            return r;
    }
    /* This finds a mistyped [user], too. Without this check, a file with no other [user] would
     * leave the broker open. */
    DL_FOREACH(rights->sections, section) {
        if (section->is_group && !section->has_members) {
            *ret_line = section->line;
            return say(problem, "no [user] section has 'groups = %s'", section->name);
        }
    }
    *ret_line = 0;
    r = add_built_in(rights, USER_ROOT, true);
    if (r == 0)
        r = add_built_in(rights, USER_BROKER, true);
    return r == 0 ? add_built_in(rights, USER_ANONYMOUS, false) : r;
}

/* ---- users ---- */

User *rights_user(const Rights *rights, const char *name) {
    Section *section = find(rights, false, name);

    return section ? section->user : NULL;
}

User *rights_user_of_uid(const Rights *rights, uid_t uid) {
    Section *section;
    Uid *entry;

    DL_FOREACH(rights->sections, section) {
        LL_SEARCH_SCALAR(section->uids, entry, uid, uid);
        if (entry)
            return section->user;
    }
    return rights_user(rights, uid == 0                 ? USER_ROOT
                               : uid == rights->own_uid ? USER_BROKER
                                                        : USER_ANONYMOUS);
}

User *rights_user_of_key(const Rights *rights, const uint8_t key[KEY_SIZE]) {
    Section *section;

    DL_FOREACH(rights->sections, section) {
        if (find_key(section, key))
            return section->user;
    }
    return NULL;
}

bool rights_have_key(const Rights *rights) {
    Section *section;

    DL_FOREACH(rights->sections, section) {
        if (section->keys)
            return true;
    }
    return false;
}

User *user_ref(User *user) {
    if (user)
        user->refs++;
    return user;
}

User *user_unref(User *user) {
    if (user && --user->refs == 0)
        free(user);
    return NULL;
}

bool user_is_of(const User *user, const char *name, size_t len) {
    const Membership *membership;
    const Section *section = user->section;

    if (user_may(user, ACTION_ADMIN, span_text(">")) ||
        (strlen(user->name) == len && memcmp(user->name, name, len) == 0))
        return true;
    LL_FOREACH(section->groups, membership) {
        if (strlen(membership->name) == len && memcmp(membership->name, name, len) == 0)
            return true;
    }
    return false;
}

/* ---- decisions ---- */

static bool ends_in_rest(const void *pattern, size_t len) {
    return ((const char *)pattern)[len - 1] == '>';
}

/* True: the grant's pattern matches all names that `name` matches, which may itself be a
 * pattern. */
static bool covers(const Grant *grant, Span name) {
    /* Here '*' matches a last token '>', though it stands for one token only. */
    return pattern_matches(grant->pattern, grant->len, name.data, name.len) &&
           (!ends_in_rest(name.data, name.len) || ends_in_rest(grant->pattern, grant->len));
}

static const Grant *section_right(const Section *section, Action action, Span name) {
    const Grant *grant;

    if (section->grants[ACTION_ADMIN])
        return section->grants[ACTION_ADMIN];
    LL_FOREACH(section->grants[action], grant) {
        if (covers(grant, name))
            return grant;
    }
    return NULL;
}

static const Grant *right(const User *user, Action action, Span name) {
    const Grant *grant = section_right(user->section, action, name);
    const Membership *membership;

    if (grant)
        return grant;
    LL_FOREACH(user->section->groups, membership) {
        grant = section_right(membership->group, action, name);
        if (grant)
            return grant;
    }
    return NULL;
}

const Grant *user_right(const User *user, Action action, Span name) {
    if (!user->section || name.len == 0)
        return NULL;
    /* A right to a queue includes its dead letters, except that pushing a dead letter needs the
     * right to manage the queue. */
    if (is_of_queues(action) && ends_in_dead(name)) {
        do
            name.len -= strlen(".dead");
        while (ends_in_dead(name));
        if (action == ACTION_PUSH)
            action = ACTION_MANAGE;
    }
    return right(user, action, name);
}

bool user_may_any(const User *user, unsigned actions, Span name) {
    for (Action action = 0; action < N_ACTIONS; action++)
        if (actions & 1u << action && user_may(user, action, name))
            return true;
    return false;
}

static bool has_all_of(const User *now, const Section *before) {
    const Grant *grant;

    for (Action action = 0; action < N_ACTIONS; action++)
        LL_FOREACH(before->grants[action], grant) {
            if (!right(now, action, span_of(grant->pattern, grant->len)))
                return false;
        }
    return true;
}

bool user_has_rights_of(const User *now, const User *before) {
    const Membership *membership;

    if (!has_all_of(now, before->section))
        return false;
    LL_FOREACH(before->section->groups, membership) {
        if (!has_all_of(now, membership->group) ||
            !user_is_of(now, membership->name, strlen(membership->name)))
            return false;
    }
    return true;
}

const char *grant_text(const Grant *grant, char *to, size_t size) {
    const Section *section = grant->section;

    snprintf(to, size, "[%s %s] may = %s%s%s", section->is_group ? "group" : "user", section->name,
             action_names[grant->action], grant->action == ACTION_ADMIN ? "" : " ",
             grant->action == ACTION_ADMIN ? "" : grant->pattern);
    return to;
}
