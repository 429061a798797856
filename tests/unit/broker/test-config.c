/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "support/suite.h"

static Config config;

/* Reads this text as a file named ferry.conf. */
static int read_text(const char *text) {
    char path[] = "/tmp/ferry-config-XXXXXX";
    int fd = mkstemp(path), r;

    CU_ASSERT_FATAL(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    config_deinit(&config);
    config_init(&config);
    r = config_read(&config, path);
    unlink(path);
    return r;
}

static const char *error_text(size_t i) {
    static char text[1024];

    *text = '\0';
    if (i < config.n_errors)
        config_error_format(&config, i, text, sizeof(text));
    return text;
}

static void has_error(size_t i, const char *said) {
    if (!strstr(error_text(i), said))
        printf("\n    error %zu of %zu: %s\n", i, config.n_errors, error_text(i));
    CU_ASSERT_PTR_NOT_NULL(strstr(error_text(i), said));
}

static void refused(const char *text, const char *said) {
    CU_ASSERT_EQUAL(read_text(text), -EINVAL);
    CU_ASSERT_EQUAL(config.n_errors, 1);
    has_error(0, said);
}

static void an_empty_file_leaves_the_defaults(void) {
    CU_ASSERT_EQUAL(read_text(""), 0);
    CU_ASSERT_EQUAL(read_text("# nothing\n\n[broker]\n; at all\n"), 0);
    CU_ASSERT_EQUAL(memcmp(&config.limits, &limits_default, sizeof(Limits)), 0);
    CU_ASSERT_EQUAL(config.n_binds, 0);
    CU_ASSERT_EQUAL(config.log_level, -1);
    CU_ASSERT_EQUAL(config.ipc_mode, 0600);
}

static void settings_are_read(void) {
    CU_ASSERT_EQUAL(read_text("[broker]\n"
                              "bind = ipc:///run/ferry\n"
                              "bind = tcp://127.0.0.1:1\n"
                              "data = /var/lib/ferry\n"
                              "ipc_mode = 0660\n"
                              "log_level = debug\n"
                              "drain_timeout = 5s\n"
                              "web = [::1]:5878\n"
                              "max_body = 16M\n"
                              "max_calls = 12\n"
                              "max_handshakes_per_address = 50/s\n"
                              "max_unfinished_per_address = 9\n"
                              "max_total_bytes = 5G\n"
                              "retry = 250ms\n"),
                    0);
    CU_ASSERT_EQUAL(config.n_binds, 2);
    CU_ASSERT_STRING_EQUAL(config.binds[1], "tcp://127.0.0.1:1");
    CU_ASSERT_STRING_EQUAL(config.data, "/var/lib/ferry");
    CU_ASSERT_EQUAL(config.ipc_mode, 0660);
    CU_ASSERT_STRING_EQUAL(config.web, "[::1]:5878");
    CU_ASSERT_EQUAL(config.log_level, 3);
    CU_ASSERT_EQUAL(config.drain_timeout_ms, 5000);
    CU_ASSERT_EQUAL(config.limits.max_body, 16 << 20);
    CU_ASSERT_EQUAL(config.limits.max_calls, 12);
    CU_ASSERT_EQUAL(config.limits.max_handshakes_per_address, 50);
    CU_ASSERT_EQUAL(config.limits.max_unfinished_per_address, 9);
    CU_ASSERT_EQUAL(config.limits.max_total_bytes, UINT64_C(5) << 30);
    CU_ASSERT_EQUAL(config.limits.retry_ms, 250);
}

static void mistakes_are_reported_with_their_line(void) {
    refused("[broker]\n\nmax_cals = 3\n", ":3: [broker] has no setting 'max_cals'; did you mean "
                                          "'max_calls'?");
    refused("[broker]\nmax_calls = many\n", ":2: max_calls = many: expected a number");
    refused("[broker]\nmax_calls = -1\n", "max_calls = ");
    refused("[broker]\nmax_calls = 4294967296\n", "max_calls = ");
    refused("[broker]\nmax_body = 16 potatoes\n", "max_body = ");
    refused("[broker]\nmax_body = 4G\n", "max_body = ");
    refused("[broker]\nmax_handshakes_per_address = 5/m\n", "expected a rate such as 100/s");
    refused("[broker]\nmax_handshakes_per_address = 1000001\n", "out of range: 0 to 1000000/s");
    refused("[broker]\nretry = soon\n", "retry = soon: expected a time such as");
    refused("[broker]\nlog_level = loud\n", "log_level must be error, warning");
    refused("[broker]\ndrain_timeout = x\n", "drain_timeout = x: expected a time such as");
    refused("[broker]\nipc_mode = 888\n", "ipc_mode must be three octal digits");
    refused("[broker]\nipc_mode = 0\n", "ipc_mode must be three octal digits");
    refused("[broker]\nweb = 5878\n", "web = 5878: it is not an address with a port");
    refused("[broker]\nweb = 127.0.0.1:65536\n", "it is not an address with a port");
    refused("[broker]\nweb = 127.0.0.1:*\n", "it is not an address with a port");
    refused("[broker]\nweb = 0.0.0.0:5878\n", "web = 0.0.0.0:5878: other machines can reach it");
    refused("[broker]\nwebb = 127.0.0.1:0\n", "did you mean 'web'?");
    refused("[broker]\nlog_levle = info\n", "did you mean 'log_level'?");
    refused("[brokr]\nmax_calls = 1\n", "unknown section [brokr]");
    refused("max_calls = 1\n", "unknown section []");
    refused("[broker]\nthis is not a setting\n", ":2:");
    refused("[queue a..b]\nmax_attempts = 1\n", "not a valid pattern of names");
    refused("[topic a.>.b]\nkeep = 1\n", "not a valid pattern of names");
}

static void the_number_of_bind_lines_is_limited(void) {
    char text[2048] = "[broker]\n";

    for (int i = 0; i < BINDS_MAX; i++)
        strcat(text, "bind = ipc:///a\n");
    CU_ASSERT_EQUAL(read_text(text), 0);
    strcat(text, "bind = ipc:///a\n");
    refused(text, "more than 16 bind lines");
}

static void all_errors_are_reported_with_their_lines(void) {
    char many[4096] = "[broker]\n";

    CU_ASSERT_EQUAL(read_text("[broker]\nmax_cals = 3\nmax_body = x\nnot a setting\n[bro\n"
                              "[queue a..b]\nttl = 1s\n[topic t]\nkeep = 5\n[q]\nx = 1\n"),
                    -EINVAL);
    CU_ASSERT_EQUAL(config.n_errors, 6);
    has_error(0, ":2: ");
    has_error(1, ":3: ");
    has_error(2, ":4: expected 'name = value'");
    has_error(3, ":5: expected 'name = value'");
    has_error(4, ":7: 'a..b'");
    has_error(5, ":11: unknown section [q]");
    /* The rule with the invalid pattern is kept, so that its value is checked, too. */
    CU_ASSERT_STRING_EQUAL(config.rules->pattern, ">");
    CU_ASSERT_STRING_EQUAL(config.rules->name, "ttl");
    for (int i = 0; i < CONFIG_ERRORS_MAX + 5; i++)
        strcat(many, "max_calls = many\n");
    CU_ASSERT_EQUAL(read_text(many), -EINVAL);
    CU_ASSERT_EQUAL(config.n_errors, CONFIG_ERRORS_MAX);
}

static void a_long_line_is_one_line(void) {
    char text[1024] = "[broker]\ndata = ";

    memset(text + strlen(text), 'x', 500);
    strcat(text, "\nmax_calls = many\n");
    CU_ASSERT_EQUAL(read_text(text), -EINVAL);
    has_error(0, ":2: the line is longer than");
    has_error(config.n_errors - 1, ":3: max_calls");
}

static void a_missing_file_is_an_error(void) {
    config_deinit(&config);
    config_init(&config);
    CU_ASSERT_EQUAL(config_read(&config, "/nowhere/ferry.conf"), -ENOENT);
    has_error(0, "cannot read /nowhere/ferry.conf");
}

static void patterns_have_their_sections(void) {
    CU_ASSERT_EQUAL(read_text("[queue mail.>]\nmax_attempts = 5\n[topic prices.*]\nkeep = 100\n"),
                    0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config.rules);
    CU_ASSERT_TRUE(config.rules->is_queue);
    CU_ASSERT_EQUAL(config.rules->line, 2);
    CU_ASSERT_STRING_EQUAL(config.rules->pattern, "mail.>");
    CU_ASSERT_STRING_EQUAL(config.rules->name, "max_attempts");
    CU_ASSERT_STRING_EQUAL(config.rules->value, "5");
    CU_ASSERT_PTR_NOT_NULL_FATAL(config.rules->next);
    CU_ASSERT_STRING_EQUAL(config.rules->next->pattern, "prices.*");
}

static void users_and_groups_have_their_sections(void) {
    CU_ASSERT_EQUAL(read_text("[broker]\nmax_calls = 1\n"), 0);
    CU_ASSERT_PTR_NULL(config.rights);
    CU_ASSERT_EQUAL(read_text("[user w]\nuid = 1003 ; the worker\nmay = work a.*\n  push b.*\n"
                              "groups = ops\n[group ops]\nmay = peek >\n"),
                    0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config.rights);
    CU_ASSERT_STRING_EQUAL(rights_user_of_uid(config.rights, 1003)->name, "w");
    CU_ASSERT_TRUE(user_may(rights_user(config.rights, "w"), ACTION_PUSH, span_text("b.x")));
    CU_ASSERT_TRUE(user_may(rights_user(config.rights, "w"), ACTION_PEEK, span_text("c")));
    refused("[user w]\n\nmay = wrk a\n", ":3: may: 'wrk' is not an action");
    refused("[user w]\ngroups = ops\n", ":2: groups: there is no section [group ops]");
    refused("[broker]\n\n[user]\nmay = call x\n", "unknown section [user]");
}

/* inih keeps the first 49 bytes of a section's name. */
static void a_long_name_of_a_section_is_kept_whole(void) {
    static const char user[] = "a-user-with-a-name-of-more-than-forty-nine-bytes-in-all";
    char text[200];

    CU_ASSERT_EQUAL(read_text("[queue a.queue.with.a.name.of.more.than.forty-nine.bytes.in.all]\n"
                              "ttl = 1s\n"),
                    0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config.rules);
    CU_ASSERT_STRING_EQUAL(config.rules->pattern,
                           "a.queue.with.a.name.of.more.than.forty-nine.bytes.in.all");
    snprintf(text, sizeof(text), "[user %s]\nuid = 1003\n", user);
    CU_ASSERT_EQUAL(read_text(text), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config.rights);
    CU_ASSERT_STRING_EQUAL(rights_user_of_uid(config.rights, 1003)->name, user);
}

/* A line that begins with a space continues a setting. Without a setting, it may be a section. */
static void a_section_may_be_indented(void) {
    CU_ASSERT_EQUAL(read_text("[broker]\n  [user w]\nuid = 1003\n"), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config.rights);
    CU_ASSERT_STRING_EQUAL(rights_user_of_uid(config.rights, 1003)->name, "w");
    CU_ASSERT_EQUAL(read_text("[user w]\nuid = 1003\n  [user x]\n"), -EINVAL);
    has_error(0, ":3: uid: '[user' is not the number");
}

/* A section without settings could be overlooked, and the broker would be open. */
static void an_empty_user_section_counts(void) {
    CU_ASSERT_EQUAL(read_text("[user nobody]\n"), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(config.rights);
    CU_ASSERT_PTR_NOT_NULL(rights_user(config.rights, "nobody"));
}

static void cleanup(void) {
    config_deinit(&config);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(an_empty_file_leaves_the_defaults),
        TEST(settings_are_read),
        TEST(mistakes_are_reported_with_their_line),
        TEST(the_number_of_bind_lines_is_limited),
        TEST(all_errors_are_reported_with_their_lines),
        TEST(a_long_line_is_one_line),
        TEST(a_missing_file_is_an_error),
        TEST(patterns_have_their_sections),
        TEST(users_and_groups_have_their_sections),
        TEST(a_long_name_of_a_section_is_kept_whole),
        TEST(a_section_may_be_indented),
        TEST(an_empty_user_section_counts),
        TESTS_END,
    };
    int r = run_suite("broker configuration", tests);

    cleanup();
    return r;
}
