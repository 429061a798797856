/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Users, groups, and their rights, as the configuration file lists them:
 *
 *     [user worker-3]                                   [group operators]
 *     key = 5f1c…                                       may = peek > manage mail.>
 *     uid = 1003
 *     may = serve calc.* work resize publish images.>
 *     groups = operators
 *
 * A right is an action and a pattern of names. A file without a [user] section makes no Rights: the
 * broker allows everything, and its sessions have no user (NULL). With Rights, each session has a
 * user, and an action that no right allows is denied.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "rpc/keys/key.h"
#include "rpc/wire/reader.h"

enum { USER_NAME_MAX = 63, RIGHTS_PROBLEM_MAX = 400 };

/* Users that exist in all Rights. A section with one of these names sets the rights of its user.
 * Without a section, "root" and "broker" are administrators, and "anonymous" has no right. */
#define USER_ROOT      "root"      /* uid 0, unless another section has this uid */
#define USER_BROKER    "broker"    /* the broker's own uid, unless another section has this uid */
#define USER_ANONYMOUS "anonymous" /* connections that belong to no other user */

typedef enum Action {
    ACTION_CALL,      /* services */
    ACTION_SERVE,     /* services */
    ACTION_PUBLISH,   /* topics */
    ACTION_SUBSCRIBE, /* topics */
    ACTION_PUSH,      /* queues */
    ACTION_WORK,      /* queues: pull and settle jobs */
    ACTION_PEEK,      /* queues: read jobs without taking them */
    ACTION_MANAGE,    /* queues: purge, pause, move; with '>': end sessions of other users */
    ACTION_WATCH,     /* tap services, topics and queues; with '>': see sessions of other users, and
                       * counters */
    ACTION_ADMIN,     /* all actions; has no pattern */
    N_ACTIONS,
} Action;

const char *action_name(Action action);
bool action_parse(const char *text, Action *ret);

typedef struct Rights Rights;

/* A user or a group. */
typedef struct Section Section;

/* One right: "work resize" in line 12 of the file. */
typedef struct Grant {
    struct Grant *next;
    const Section *section;
    Action action;
    int line; /* 0: the right of a built-in administrator */
    size_t len;
    char pattern[];
} Grant;

/* Limits over all sessions of a user together; 0: no limit. See broker/sessions/quota.h. */
typedef struct UserLimits {
    uint64_t connections;
    uint64_t memory; /* bytes of the user that the broker holds: received, waiting to be sent,
                      * stored */
    uint64_t calls;  /* calls without an answer */
    uint64_t queue_bytes;
    uint64_t subscriptions;
    uint64_t publishes; /* publishes per second */
    bool any;
} UserLimits;

typedef struct User {
    unsigned refs;
    UserLimits limits;
    Section *section; /* NULL: the Rights of this user are freed */
    char name[USER_NAME_MAX + 1];
} User;

/* ---- reading the configuration ---- */

Rights *rights_new(void); /* NULL: out of memory */
Rights *rights_free(Rights *rights);

/* Begins the section "[user NAME]" or "[group NAME]". 0; -EINVAL: problem says why; -ENOMEM. */
int rights_section(Rights *rights, bool is_group, const char *name, int line,
                   char problem[RIGHTS_PROBLEM_MAX]);

/* Reads a setting of this section. Errors as above. */
int rights_set(Rights *rights, bool is_group, const char *name, const char *key, const char *value,
               int line, char problem[RIGHTS_PROBLEM_MAX]);

/* Call it after the last setting: resolves groups, and adds the users that exist in all Rights.
 * own_uid: the broker's. -EINVAL: *ret_line and problem say which line is wrong and why;
 * -ENOMEM. */
int rights_complete(Rights *rights, uid_t own_uid, int *ret_line, char problem[RIGHTS_PROBLEM_MAX]);

/* ---- users ---- */

User *rights_user(const Rights *rights, const char *name); /* NULL: no user has this name */
User *rights_user_of_uid(const Rights *rights, uid_t uid);
User *rights_user_of_key(const Rights *rights, const uint8_t key[KEY_SIZE]); /* NULL: no user has
                                                                              * this key */
bool rights_have_key(const Rights *rights); /* True: a user has a key */

/* A reference keeps the User and its name, even after rights_free(). user may be NULL. */
User *user_ref(User *user);
User *user_unref(User *user);

/* True: the user has this name, is in a group of this name, or is an administrator. */
bool user_is_of(const User *user, const char *name, size_t len);

/* ---- decisions ---- */

/* The right that allows the action on this name, or on all names that this pattern matches. NULL:
 * no right allows it. `name` must be a valid name or a valid pattern. */
const Grant *user_right(const User *user, Action action, Span name);

static inline bool user_may(const User *user, Action action, Span name) {
    return user_right(user, action, name) != NULL;
}

/* The actions that let a user see a name in lists, as bits. */
enum {
    SIGHT_OF_SERVICE = 1 << ACTION_CALL | 1 << ACTION_SERVE | 1 << ACTION_WATCH,
    SIGHT_OF_TOPIC = 1 << ACTION_PUBLISH | 1 << ACTION_SUBSCRIBE | 1 << ACTION_WATCH,
    SIGHT_OF_QUEUE = 1 << ACTION_PUSH | 1 << ACTION_WORK | 1 << ACTION_PEEK | 1 << ACTION_MANAGE |
                     1 << ACTION_WATCH,
};

/* True: the user has a right to one of these actions. */
bool user_may_any(const User *user, unsigned actions, Span name);

/* True: each right of `before` is also a right of `now`. */
bool user_has_rights_of(const User *now, const User *before);

/* Writes "[user worker-3] may = work resize". Returns to. */
const char *grant_text(const Grant *grant, char *to, size_t size);
