/* SPDX-License-Identifier: Apache-2.0 */

/* Users, groups, their rights, and the decisions that a session remembers. */

#include "broker/rights/rights.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/rights/decisions.h"
#include "rpc/wire/message.h"
#include "rpc/wire/name.h"
#include "support/random.h"
#include "support/suite.h"

static Rights *rights;
static char problem[RIGHTS_PROBLEM_MAX];
static int problem_line;

enum { OWN_UID = 900 };

/* Reads "[user a]\nmay = call x\n…" without a file. 0, or the first error. */
static int read_rights(const char *text) {
    char copy[4096], section[100] = "", *at = copy, *line;
    bool is_group = false;
    int n = 0, r;

    rights_free(rights);
    rights = rights_new();
    problem_line = 0;
    snprintf(copy, sizeof(copy), "%s", text);
    while ((line = strsep(&at, "\n"))) {
        char *value = strstr(line, " = ");

        n++;
        r = 0;
        if (sscanf(line, "[user %99[^]]", section) == 1) {
            is_group = false;
            r = rights_section(rights, false, section, n, problem);
        } else if (sscanf(line, "[group %99[^]]", section) == 1) {
            is_group = true;
            r = rights_section(rights, true, section, n, problem);
        } else if (value) {
            *value = '\0';
            r = rights_set(rights, is_group, section, line, value + 3, n, problem);
        }
        if (r < 0) {
            problem_line = n;
            return r;
        }
    }
    return rights_complete(rights, OWN_UID, &problem_line, problem);
}

static void end(void) {
    rights = rights_free(rights);
}

static bool may(const char *user, Action action, const char *name) {
    User *found = rights_user(rights, user);

    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    return user_may(found, action, span_text(name));
}

static void refused(const char *text, int line, const char *said) {
    CU_ASSERT_EQUAL(read_rights(text), -EINVAL);
    CU_ASSERT_EQUAL(problem_line, line);
    if (!strstr(problem, said))
        printf("\n    %s\n", problem);
    CU_ASSERT_PTR_NOT_NULL(strstr(problem, said));
}

static void a_user_may_do_what_the_file_allows_and_nothing_else(void) {
    CU_ASSERT_EQUAL(read_rights("[user w]\n"
                                "may = serve calc.* call log.* work resize publish images.>\n"
                                "may = subscribe orders.>\n"),
                    0);
    CU_ASSERT_TRUE(may("w", ACTION_SERVE, "calc.Calc"));
    CU_ASSERT_TRUE(may("w", ACTION_CALL, "log.Log"));
    CU_ASSERT_TRUE(may("w", ACTION_WORK, "resize"));
    CU_ASSERT_TRUE(may("w", ACTION_PUBLISH, "images.a.b"));
    CU_ASSERT_TRUE(may("w", ACTION_SUBSCRIBE, "orders.eu"));
    CU_ASSERT_FALSE(may("w", ACTION_CALL, "calc.Calc"));
    CU_ASSERT_FALSE(may("w", ACTION_SERVE, "log.Log"));
    CU_ASSERT_FALSE(may("w", ACTION_PUSH, "resize"));
    CU_ASSERT_FALSE(may("w", ACTION_PEEK, "resize"));
    CU_ASSERT_FALSE(may("w", ACTION_PUBLISH, "images"));
    CU_ASSERT_FALSE(may("w", ACTION_ADMIN, ">"));
    end();
}

static void a_pattern_is_allowed_if_all_its_names_are(void) {
    static const struct {
        const char *right, *wanted;
        bool is_allowed;
    } cases[] = {
        {"a.*", "a.*", true},    {"a.*", "a.b", true},    {"a.*", "a.>", false},
        {"a.>", "a.*", true},    {"a.>", "a.>", true},    {"a.>", "a.b.>", true},
        {"a.>", ">", false},     {"a.>", "*.b", false},   {"a.>", "a", false},
        {">", ">", true},        {">", "*", true},        {"*", ">", false},
        {"*", "*", true},        {"*.*", "*.>", false},   {"*.>", "*.>", true},
        {"*.>", "a.>", true},    {"*.>", ">", false},     {"a.b", "a.*", false},
        {"*.b", "a.b", true},    {"*.b", "*.b", true},    {"*.b", "*.*", false},
        {"*.*.>", "*.>", false}, {"*.>", "*.*.>", true},  {"a.*.c", "a.>", false},
        {"a.*", "a.*.*", false}, {"a.*.*", "a.*", false}, {"*", "a.>", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[200];

        snprintf(text, sizeof(text), "[user u]\nmay = subscribe %s", cases[i].right);
        CU_ASSERT_EQUAL(read_rights(text), 0);
        if (may("u", ACTION_SUBSCRIBE, cases[i].wanted) != cases[i].is_allowed)
            printf("\n    %s for %s\n", cases[i].right, cases[i].wanted);
        CU_ASSERT_EQUAL(may("u", ACTION_SUBSCRIBE, cases[i].wanted), cases[i].is_allowed);
    }
    end();
}

/* ---- against a reference ---- */

enum { TOKENS_MAX = 4, LETTERS = 3 };

typedef struct Tokens {
    int n;
    char of[TOKENS_MAX];
} Tokens;

static Tokens tokens_of(const char *text) {
    Tokens tokens = {0};

    for (; *text; text++)
        if (*text != '.')
            tokens.of[tokens.n++] = *text;
    return tokens;
}

/* Follows the definition of patterns, recursively. */
static bool reference_matches(const Tokens *pattern, int p, const Tokens *name, int n) {
    if (p == pattern->n)
        return n == name->n;
    if (pattern->of[p] == '>')
        return n < name->n;
    return n < name->n && (pattern->of[p] == '*' || pattern->of[p] == name->of[n]) &&
           reference_matches(pattern, p + 1, name, n + 1);
}

/* Tries all names of up to TOKENS_MAX tokens of the letters a to c. */
static bool reference_covers(const char *right, const char *wanted) {
    Tokens all = tokens_of(right), some = tokens_of(wanted);

    for (int len = 1; len <= TOKENS_MAX; len++) {
        int total = 1;

        for (int i = 0; i < len; i++)
            total *= LETTERS;
        for (int number = 0; number < total; number++) {
            Tokens name = {.n = len};

            for (int i = 0, left = number; i < len; i++, left /= LETTERS)
                name.of[i] = (char)('a' + left % LETTERS);
            if (reference_matches(&some, 0, &name, 0) && !reference_matches(&all, 0, &name, 0))
                return false;
        }
    }
    return true;
}

/* Patterns have the letters a and b; names also have c, which stands for all other tokens, so that
 * '*' covers more. */
static void random_pattern(Dice *dice, bool may_be_wild, char to[2 * TOKENS_MAX]) {
    int n = 1 + (int)dice_below(dice, TOKENS_MAX - 1);

    for (int i = 0; i < n; i++) {
        unsigned kind = (unsigned)dice_below(dice, 5);

        to[2 * i] = !may_be_wild || kind < 2  ? (char)('a' + dice_below(dice, 2))
                    : kind == 4 && i == n - 1 ? '>'
                                              : '*';
        to[2 * i + 1] = i == n - 1 ? '\0' : '.';
    }
}

static void decisions_agree_with_a_reference(void) {
    Dice dice = dice_new(15);
    unsigned n_allowed = 0;

    for (int round = 0; round < 3000; round++) {
        char right[2 * TOKENS_MAX], wanted[2 * TOKENS_MAX], text[100];
        bool is_allowed, expected;

        random_pattern(&dice, true, right);
        random_pattern(&dice, round % 2, wanted);
        snprintf(text, sizeof(text), "[user u]\nmay = subscribe %s", right);
        CU_ASSERT_EQUAL_FATAL(read_rights(text), 0);
        is_allowed = may("u", ACTION_SUBSCRIBE, wanted);
        expected = reference_covers(right, wanted);
        if (is_allowed != expected)
            printf("\n    the right %s, for %s: %d\n", right, wanted, is_allowed);
        CU_ASSERT_EQUAL_FATAL(is_allowed, expected);
        n_allowed += is_allowed;
    }
    /* Both decisions are frequent. */
    CU_ASSERT(n_allowed > 300 && n_allowed < 2700);
    end();
}

/* ---- users and groups ---- */

static void groups_give_their_rights_to_their_members(void) {
    const Grant *grant;
    char text[200];

    CU_ASSERT_EQUAL(read_rights("[user a]\ngroups = ops, readers\n"
                                "[user b]\nmay = call x\n"
                                "[group ops]\nmay = manage mail.>\n"
                                "[group readers]\nmay = peek >"),
                    0);
    CU_ASSERT_TRUE(may("a", ACTION_MANAGE, "mail.x"));
    CU_ASSERT_TRUE(may("a", ACTION_PEEK, "anything"));
    CU_ASSERT_FALSE(may("a", ACTION_CALL, "x"));
    CU_ASSERT_FALSE(may("b", ACTION_PEEK, "anything"));
    grant = user_right(rights_user(rights, "a"), ACTION_MANAGE, span_text("mail.x"));
    CU_ASSERT_EQUAL(grant->line, 6);
    CU_ASSERT_STRING_EQUAL(grant_text(grant, text, sizeof(text)),
                           "[group ops] may = manage mail.>");
    CU_ASSERT_TRUE(user_is_of(rights_user(rights, "a"), "ops", 3));
    CU_ASSERT_TRUE(user_is_of(rights_user(rights, "a"), "a", 1));
    CU_ASSERT_FALSE(user_is_of(rights_user(rights, "b"), "ops", 3));
    CU_ASSERT_TRUE(user_is_of(rights_user(rights, "root"), "ops", 3));
    end();
}

static const char *name_of_uid(uid_t uid) {
    return rights_user_of_uid(rights, uid)->name;
}

static void uids_tell_users(void) {
    CU_ASSERT_EQUAL(read_rights("[user a]\nuid = 1000 1001\nuid = 1002\n[user b]\nmay = call x"),
                    0);
    CU_ASSERT_STRING_EQUAL(name_of_uid(1000), "a");
    CU_ASSERT_STRING_EQUAL(name_of_uid(1001), "a");
    CU_ASSERT_STRING_EQUAL(name_of_uid(1002), "a");
    CU_ASSERT_STRING_EQUAL(name_of_uid(1003), "anonymous");
    CU_ASSERT_STRING_EQUAL(name_of_uid(0), "root");
    CU_ASSERT_STRING_EQUAL(name_of_uid(OWN_UID), "broker");
    CU_ASSERT_TRUE(may("root", ACTION_ADMIN, ">"));
    CU_ASSERT_TRUE(may("broker", ACTION_PUSH, "x"));
    CU_ASSERT_FALSE(may("anonymous", ACTION_CALL, "x"));

    CU_ASSERT_EQUAL(read_rights("[user a]\nuid = 0 900\n[user anonymous]\nmay = call x"), 0);
    CU_ASSERT_STRING_EQUAL(name_of_uid(0), "a");
    CU_ASSERT_STRING_EQUAL(name_of_uid(OWN_UID), "a");
    CU_ASSERT_TRUE(may("anonymous", ACTION_CALL, "x"));

    CU_ASSERT_EQUAL(read_rights("[user root]\nmay = peek >"), 0);
    CU_ASSERT_STRING_EQUAL(name_of_uid(0), "root");
    CU_ASSERT_FALSE(may("root", ACTION_ADMIN, ">"));
    CU_ASSERT_TRUE(may("root", ACTION_PEEK, "x"));
    end();
}

static void an_administrator_may_do_everything(void) {
    CU_ASSERT_EQUAL(read_rights("[user a]\nmay = call x admin push y"), 0);
    for (Action action = 0; action < N_ACTIONS; action++)
        CU_ASSERT_TRUE(may("a", action, "any.name"));
    end();
}

static void the_word_after_an_action_is_a_pattern(void) {
    CU_ASSERT_EQUAL(read_rights("[user a]\nmay = work call push work admin.x peek peek"), 0);
    CU_ASSERT_TRUE(may("a", ACTION_WORK, "call"));
    CU_ASSERT_TRUE(may("a", ACTION_PUSH, "work"));
    CU_ASSERT_TRUE(may("a", ACTION_PUSH, "admin.x"));
    CU_ASSERT_TRUE(may("a", ACTION_PEEK, "peek"));
    CU_ASSERT_FALSE(may("a", ACTION_CALL, "push"));
    end();
}

static void dead_letters_follow_their_queue(void) {
    CU_ASSERT_EQUAL(read_rights("[user a]\nmay = work mail.x push mail.x\n"
                                "[user b]\nmay = manage mail.x\n"
                                "[user c]\nmay = work mail.*"),
                    0);
    CU_ASSERT_TRUE(may("a", ACTION_WORK, "mail.x.dead"));
    CU_ASSERT_FALSE(may("a", ACTION_PUSH, "mail.x.dead"));
    CU_ASSERT_TRUE(may("b", ACTION_PUSH, "mail.x.dead"));
    CU_ASSERT_FALSE(may("b", ACTION_PUSH, "mail.x"));
    CU_ASSERT_TRUE(may("b", ACTION_MANAGE, "mail.x.dead.dead"));
    /* The dead letters of the queue "mail", to which this user has no right. */
    CU_ASSERT_FALSE(may("c", ACTION_WORK, "mail.dead"));
    CU_ASSERT_TRUE(may("c", ACTION_WORK, "mail.x.dead"));
    end();
}

static void mistakes_are_reported(void) {
    refused("[user a]\nmay = cal x", 2, "'cal' is not an action");
    refused("[user a]\nmay = call", 2, "'call' needs a pattern");
    refused("[user a]\nmay = call x push", 2, "'push' needs a pattern");
    refused("[user a]\nmay = admin x", 2, "'x' is not an action");
    refused("[user a]\nmay = call a..b", 2, "not a valid pattern");
    refused("[user a]\nmay = work mail.dead", 2, "a right to 'mail' includes its dead letters");
    refused("[user a]\nuid = joe", 2, "'joe' is not the number");
    refused("[user a]\nuid = -1", 2, "'-1' is not the number");
    refused("[user a]\nuid = 4294967295", 2, "is not the number");
    refused("[user a]\nuid = 5\n[user b]\nuid = 5", 4, "[user a] already has the uid 5");
    refused("[user a]\nmax_connections = x", 2, "a number is expected");
    refused("[user a]\nmaj = call x", 2, "did you mean 'may'?");
    refused("[group a]\nuid = 5", 2, "[group] has no setting 'uid'");
    refused("[user a]\ngroups = ops", 2, "there is no section [group ops]");
    refused("[user a]\nmay = call x\n[group ops]\nmay = call y", 3,
            "no [user] section has 'groups = ops'");
    refused("[user a b]\nmay = call x", 1, "cannot be the name of a user");
    end();
}

static void lost_rights_are_noticed(void) {
    static const struct {
        const char *before, *now;
        bool has_all;
    } cases[] = {
        {"[user u]\nmay = call a.b", "[user u]\nmay = call a.*", true},
        {"[user u]\nmay = call a.*", "[user u]\nmay = call a.b", false},
        {"[user u]\nmay = call a push b", "[user u]\nmay = push b call a c", true},
        {"[user u]\nmay = call a push b", "[user u]\nmay = push a call b", false},
        {"[user u]\nmay = admin", "[user u]\nmay = call >", false},
        {"[user u]\nmay = call >", "[user u]\nmay = admin", true},
        {"[user u]\ngroups = g\n[group g]\nmay = call a", "[user u]\nmay = call a", false},
        {"[user u]\nmay = call a", "[user u]\ngroups = g\n[group g]\nmay = call a", true},
        {"[user u]\ngroups = g\n[group g]\nmay = call a\nmay = push b",
         "[user u]\ngroups = g\n[group g]\nmay = call a", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        Rights *before;

        CU_ASSERT_EQUAL_FATAL(read_rights(cases[i].before), 0);
        before = rights;
        rights = NULL;
        CU_ASSERT_EQUAL_FATAL(read_rights(cases[i].now), 0);
        CU_ASSERT_EQUAL(user_has_rights_of(rights_user(rights, "u"), rights_user(before, "u")),
                        cases[i].has_all);
        rights_free(before);
    }
    end();
}

static void a_referenced_user_keeps_its_name_and_loses_its_rights(void) {
    User *user;

    CU_ASSERT_EQUAL(read_rights("[user u]\nmay = admin"), 0);
    user = user_ref(rights_user(rights, "u"));
    end();
    CU_ASSERT_STRING_EQUAL(user->name, "u");
    CU_ASSERT_FALSE(user_may(user, ACTION_CALL, span_text("x")));
    CU_ASSERT_PTR_NULL(user_unref(user));
}

/* ---- decisions ---- */

static void remembered_decisions_are_correct(void) {
    Decisions *decisions = NULL;
    Dice dice = dice_new(15);
    char name[NAME_MAX_LEN + 1];
    const User *user;

    CU_ASSERT_EQUAL(read_rights("[user u]\nmay = call a.* push a.> work *.b subscribe a.a"), 0);
    user = rights_user(rights, "u");
    for (int round = 0; round < 20000; round++) {
        Action action = (Action)dice_below(&dice, N_ACTIONS);
        size_t len = round % 50 == 0 ? 200 : 2 * (1 + dice_below(&dice, 6)) - 1;

        for (size_t i = 0; i < len; i++)
            name[i] = i % 2 ? '.' : (char)('a' + dice_below(&dice, 3));
        name[len] = '\0';
        if (name[len - 1] == '.')
            name[--len] = '\0';
        CU_ASSERT_EQUAL_FATAL(decisions_may(&decisions, user, action, span_of(name, len)),
                              user_may(user, action, span_of(name, len)));
    }
    CU_ASSERT_FALSE(decisions_may(&decisions, user, ACTION_CALL, span_text("")));
    CU_ASSERT_PTR_NULL(decisions_free(decisions));
    end();
}

/* One name of each length is allowed; a name that differs in one byte, at any place, is not. */
static void names_that_are_nearly_the_same_are_told_apart(void) {
    char text[128], name[71] = "";
    Decisions *decisions = NULL;

    for (size_t len = 1; len < sizeof(name); len++) {
        const User *user;

        memset(name, 'a', len);
        snprintf(text, sizeof(text), "[user u]\nmay = call %.*s", (int)len, name);
        CU_ASSERT_EQUAL_FATAL(read_rights(text), 0);
        user = rights_user(rights, "u");
        CU_ASSERT_TRUE(decisions_may(&decisions, user, ACTION_CALL, span_of(name, len)));
        for (size_t at = 0; at < len; at++) {
            name[at] = 'b';
            CU_ASSERT_FALSE(decisions_may(&decisions, user, ACTION_CALL, span_of(name, len)));
            name[at] = 'a';
            CU_ASSERT_TRUE(decisions_may(&decisions, user, ACTION_CALL, span_of(name, len)));
            CU_ASSERT_FALSE(decisions_may(&decisions, user, ACTION_PUSH, span_of(name, len)));
        }
        decisions = decisions_free(decisions);
    }
    end();
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_user_may_do_what_the_file_allows_and_nothing_else),
        TEST(a_pattern_is_allowed_if_all_its_names_are),
        TEST(decisions_agree_with_a_reference),
        TEST(groups_give_their_rights_to_their_members),
        TEST(uids_tell_users),
        TEST(an_administrator_may_do_everything),
        TEST(the_word_after_an_action_is_a_pattern),
        TEST(dead_letters_follow_their_queue),
        TEST(mistakes_are_reported),
        TEST(lost_rights_are_noticed),
        TEST(a_referenced_user_keeps_its_name_and_loses_its_rights),
        TEST(remembered_decisions_are_correct),
        TEST(names_that_are_nearly_the_same_are_told_apart),
        TESTS_END,
    };

    return run_suite("broker/rights", tests);
}
