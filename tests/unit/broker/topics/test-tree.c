/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/topics/tree.h"

#include <stdio.h>
#include <stdlib.h>

#include "rpc/wire/name.h"
#include "support/suite.h"

enum { FOUND_MAX = 4096 };

typedef struct Found {
    const char *at[FOUND_MAX];
    size_t n;
} Found;

static void note(void *value, void *ctx) {
    Found *found = ctx;

    if (found->n < FOUND_MAX)
        found->at[found->n++] = value;
}

static size_t n_of(const Found *found, const char *text) {
    size_t n = 0;

    for (size_t i = 0; i < found->n; i++)
        n += strcmp(found->at[i], text) == 0;
    return n;
}

static TopicNode *put(TopicTree *tree, const char *text) {
    TopicNode *node = NULL;

    CU_ASSERT_EQUAL(topic_tree_put(tree, text, strlen(text), &node), 0);
    if (node)
        topic_node_set(node, (void *)(uintptr_t)text);
    return node;
}

static Found match(const TopicTree *tree, const char *name) {
    Found found = {.n = 0};

    topic_tree_match(tree, name, strlen(name), note, &found);
    return found;
}

static void each_matching_pattern_is_found_once(void) {
    TopicTree tree;
    Found found;

    topic_tree_init(&tree);
    put(&tree, "a.b.c");
    put(&tree, "a.*.c");
    put(&tree, "a.>");
    put(&tree, ">");
    put(&tree, "*.*.*");
    put(&tree, "a.b");
    put(&tree, "a.b.c.>");
    put(&tree, "*");
    found = match(&tree, "a.b.c");
    CU_ASSERT_EQUAL(found.n, 5);
    CU_ASSERT_EQUAL(n_of(&found, "a.b.c"), 1);
    CU_ASSERT_EQUAL(n_of(&found, "a.*.c"), 1);
    CU_ASSERT_EQUAL(n_of(&found, "a.>"), 1);
    CU_ASSERT_EQUAL(n_of(&found, ">"), 1);
    CU_ASSERT_EQUAL(n_of(&found, "*.*.*"), 1);
    CU_ASSERT_EQUAL(match(&tree, "x").n, 2);
    CU_ASSERT_EQUAL(match(&tree, "x.y").n, 1);
    topic_tree_deinit(&tree);
}

static void a_node_without_a_value_is_not_found(void) {
    TopicTree tree;

    topic_tree_init(&tree);
    put(&tree, "a.b.c");
    CU_ASSERT_EQUAL(match(&tree, "a.b").n, 0);
    CU_ASSERT_PTR_NULL(topic_tree_get(&tree, "a.b", 3));
    CU_ASSERT_PTR_NULL(topic_tree_get(&tree, "a.b.c.d", 7));
    CU_ASSERT_PTR_NOT_NULL(topic_tree_get(&tree, "a.b.c", 5));
    topic_tree_deinit(&tree);
}

static void dropped_patterns_leave_no_nodes_behind(void) {
    TopicTree tree;
    TopicNode *a, *b, *c;

    topic_tree_init(&tree);
    a = put(&tree, "a.b.c.d");
    b = put(&tree, "a.b");
    c = put(&tree, "a.*.>");
    CU_ASSERT_EQUAL(tree.n_nodes, 7);
    topic_tree_drop(&tree, a);
    CU_ASSERT_EQUAL(tree.n_nodes, 5);
    CU_ASSERT_PTR_NOT_NULL(topic_tree_get(&tree, "a.b", 3));
    topic_tree_drop(&tree, b);
    topic_tree_drop(&tree, c);
    CU_ASSERT_EQUAL(tree.n_nodes, 1);
    topic_tree_deinit(&tree);
}

/* Makes a pattern of n tokens; token i is '*' if bit i % 32 of stars is set. */
static void make_deep(char *to, int n, unsigned stars, const char *end) {
    *to = '\0';
    for (int i = 0; i < n; i++)
        strcat(strcat(to, i ? "." : ""), stars >> (i % 32) & 1 ? "*" : "a");
    strcat(to, end);
}

static void a_pattern_of_127_tokens_costs_few_nodes(void) {
    char deep[NAME_MAX_LEN + 1], name[NAME_MAX_LEN + 1];
    TopicTree tree;

    topic_tree_init(&tree);
    make_deep(deep, 127, 0xF0F0F0F0, ".>");
    make_deep(name, 128, 0, "");
    CU_ASSERT_TRUE(pattern_is_valid(deep, strlen(deep)));
    put(&tree, deep);
    CU_ASSERT_TRUE(tree.n_nodes <= TOPIC_TREE_LEVELS + 2);
    CU_ASSERT_EQUAL(match(&tree, name).n, 1);
    name[strlen(name) - 2] = '\0';
    CU_ASSERT_EQUAL(match(&tree, name).n, 0);
    topic_tree_deinit(&tree);
}

static void wildcards_work_around_the_last_level(void) {
    char pattern[64], name[64];
    TopicTree tree;

    for (int n = TOPIC_TREE_LEVELS - 2; n <= TOPIC_TREE_LEVELS + 2; n++) {
        topic_tree_init(&tree);
        make_deep(pattern, n, 0, ".>");
        make_deep(name, n, 0, ".x");
        put(&tree, pattern);
        CU_ASSERT_EQUAL(match(&tree, name).n, 1);
        make_deep(name, n, 0, ".x.y");
        CU_ASSERT_EQUAL(match(&tree, name).n, 1);
        make_deep(name, n, 0, "");
        CU_ASSERT_EQUAL(match(&tree, name).n, 0);
        topic_tree_deinit(&tree);

        topic_tree_init(&tree);
        make_deep(pattern, n, 0, ".*");
        make_deep(name, n, 0, ".x");
        put(&tree, pattern);
        CU_ASSERT_EQUAL(match(&tree, name).n, 1);
        make_deep(name, n, 0, ".x.y");
        CU_ASSERT_EQUAL(match(&tree, name).n, 0);
        topic_tree_deinit(&tree);
    }
}

static size_t n_visited;

static void count_visit(void *value, void *ctx) {
    (void)value;
    (void)ctx;
    n_visited++;
}

static void the_cost_of_hostile_patterns_grows_with_their_number(void) {
    static char patterns[1 << 12][40];
    char name[64];
    TopicTree tree;

    /* All mixtures of 'a' and '*' over 12 tokens match. */
    topic_tree_init(&tree);
    for (unsigned i = 0; i < 1 << 12; i++) {
        make_deep(patterns[i], 12, i, "");
        put(&tree, patterns[i]);
    }
    make_deep(name, 12, 0, "");
    n_visited = 0;
    topic_tree_match(&tree, name, strlen(name), count_visit, NULL);
    CU_ASSERT_EQUAL(n_visited, 1 << 12);
    CU_ASSERT_TRUE(tree.n_nodes < 1 << 13);
    topic_tree_deinit(&tree);
}

/* Deep patterns without a star are found by hash: one lookup, for any number of patterns. */
static void deep_names_cost_one_look(void) {
    char pattern[128], name[128];
    TopicTree tree;
    size_t looks;

    topic_tree_init(&tree);
    for (int i = 0; i < 1000; i++) {
        make_deep(pattern, TOPIC_TREE_LEVELS, 0, ".x.y");
        snprintf(pattern + strlen(pattern), 20, "%d", i);
        put(&tree, pattern);
    }
    make_deep(pattern, TOPIC_TREE_LEVELS, 0, ".*.y7");
    put(&tree, pattern);
    make_deep(name, TOPIC_TREE_LEVELS, 0, ".x.y7");
    n_visited = 0;
    looks = topic_tree_match(&tree, name, strlen(name), count_visit, NULL);
    CU_ASSERT_EQUAL(n_visited, 2);
    CU_ASSERT(looks < 3 * TOPIC_TREE_LEVELS);
    topic_tree_deinit(&tree);
}

/* ---- against pattern_matches() ---- */

static uint64_t state = 42;

static unsigned dice(unsigned sides) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % sides;
}

static void random_text(char *to, bool wild) {
    unsigned n = dice(20) == 0 ? 14 + dice(8) : 1 + dice(5);
    char *end = to;

    for (unsigned i = 0; i < n; i++) {
        unsigned what = wild ? dice(10) : 9;

        end += sprintf(end, "%s%s", i ? "." : "",
                       what == 0 && i + 1 == n ? ">"
                       : what <= 2             ? "*"
                       : dice(4)               ? (const char *[]){"a", "b", "c"}[dice(3)]
                                               : "longer-token");
    }
}

enum { N_RANDOM = 1500 };

static void the_tree_agrees_with_the_plain_matcher(void) {
    static char texts[N_RANDOM][320];
    static TopicNode *nodes[N_RANDOM];
    TopicTree tree;
    int wrong = 0;

    topic_tree_init(&tree);
    for (int i = 0; i < N_RANDOM; i++) {
        random_text(texts[i], true);
        topic_tree_put(&tree, texts[i], strlen(texts[i]), &nodes[i]);
        /* If a pattern comes twice, the first one stays. */
        if (topic_tree_get(&tree, texts[i], strlen(texts[i])))
            nodes[i] = NULL;
        else
            topic_node_set(nodes[i], texts[i]);
    }
    for (int round = 0; round < 2000; round++) {
        char name[320];
        Found found;
        size_t n = 0;

        /* Remove some patterns, and check the remaining ones, too. */
        if (round % 4 == 0) {
            int i = (int)dice(N_RANDOM);

            if (nodes[i]) {
                topic_tree_drop(&tree, nodes[i]);
                nodes[i] = NULL;
            }
        }
        random_text(name, false);
        found = match(&tree, name);
        for (int i = 0; i < N_RANDOM; i++)
            n += nodes[i] && pattern_matches(texts[i], strlen(texts[i]), name, strlen(name));
        wrong += n != found.n;
        for (size_t i = 0; i < found.n; i++)
            wrong += !pattern_matches(found.at[i], strlen(found.at[i]), name, strlen(name));
    }
    CU_ASSERT_EQUAL(wrong, 0);
    for (int i = 0; i < N_RANDOM; i++)
        if (nodes[i])
            topic_tree_drop(&tree, nodes[i]);
    CU_ASSERT_EQUAL(tree.n_nodes, 1);
    topic_tree_deinit(&tree);
}

static void names_found_by_a_pattern_agree_with_the_plain_matcher(void) {
    static char texts[N_RANDOM][320];
    static bool there[N_RANDOM];
    TopicTree tree;
    int wrong = 0;

    topic_tree_init(&tree);
    for (int i = 0; i < N_RANDOM; i++) {
        TopicNode *node;

        random_text(texts[i], false);
        topic_tree_put(&tree, texts[i], strlen(texts[i]), &node);
        there[i] = !topic_tree_get(&tree, texts[i], strlen(texts[i]));
        if (there[i])
            topic_node_set(node, texts[i]);
    }
    for (int round = 0; round < 1000; round++) {
        Found found = {.n = 0};
        char pattern[320];
        size_t n = 0;

        random_text(pattern, true);
        topic_tree_find(&tree, pattern, strlen(pattern), note, &found);
        for (int i = 0; i < N_RANDOM; i++)
            n += there[i] && pattern_matches(pattern, strlen(pattern), texts[i], strlen(texts[i]));
        wrong += n != found.n;
        for (size_t i = 0; i < found.n; i++)
            wrong += !pattern_matches(pattern, strlen(pattern), found.at[i], strlen(found.at[i]));
    }
    CU_ASSERT_EQUAL(wrong, 0);
    topic_tree_deinit(&tree);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(each_matching_pattern_is_found_once),
        TEST(a_node_without_a_value_is_not_found),
        TEST(dropped_patterns_leave_no_nodes_behind),
        TEST(a_pattern_of_127_tokens_costs_few_nodes),
        TEST(wildcards_work_around_the_last_level),
        TEST(the_cost_of_hostile_patterns_grows_with_their_number),
        TEST(deep_names_cost_one_look),
        TEST(the_tree_agrees_with_the_plain_matcher),
        TEST(names_found_by_a_pattern_agree_with_the_plain_matcher),
        TESTS_END,
    };

    return run_suite("broker topic tree", tests);
}
