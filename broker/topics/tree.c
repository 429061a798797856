/* SPDX-License-Identifier: Apache-2.0 */

/* The trie of topics or patterns. See tree.h. */

#include "broker/topics/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "rpc/wire/name.h"

struct TopicNode {
    TopicNode *star, *rest; /* the children `*` and `>` */
    /* uthash: all other children; on the last level they have several tokens each. */
    TopicNode *children;
    TopicNode *prev, *next; /* in the list of the parent's children */
    void *value;
    UT_hash_handle hh;
    uint16_t len;
    uint8_t level;
    bool wild; /* on the last level: its tokens contain `*` or `>`; wild nodes come first */
    /* The key of an edge: these two fields, without padding between them. */
    TopicNode *parent;
    uint8_t token[];
};

typedef struct EdgeKey {
    TopicNode *parent;
    uint8_t token[NAME_MAX_LEN];
} EdgeKey;

static TopicNode *node_new(TopicTree *tree, TopicNode *parent, const void *token, size_t len) {
    TopicNode *node = calloc(1, sizeof(*node) + len);

    if (!node)
        return NULL;
    node->parent = parent;
    node->level = parent ? (uint8_t)(parent->level + 1) : 0;
    node->len = (uint16_t)len;
    memcpy(node->token, token, len);
    tree->n_nodes++;
    return node;
}

int topic_tree_init(TopicTree *tree) {
    *tree = (TopicTree){0};
    tree->root = node_new(tree, NULL, "", 0);
    return tree->root ? 0 : -ENOMEM;
}

static void free_below(TopicNode *node) {
    TopicNode *child, *next;

    if (!node)
        return;
    free_below(node->star);
    free_below(node->rest);
    DL_FOREACH_SAFE(node->children, child, next) {
        free_below(child);
    }
    free(node);
}

void topic_tree_deinit(TopicTree *tree) {
    HASH_CLEAR(hh, tree->edges);
    free_below(tree->root);
    *tree = (TopicTree){0};
}

size_t topic_tree_cost(size_t len) {
    /* A level has at least two bytes, with its dot. */
    size_t nodes = len / 2 + 1 < TOPIC_TREE_LEVELS + 1 ? len / 2 + 1 : TOPIC_TREE_LEVELS + 1;

    return len + nodes * sizeof(TopicNode);
}

void topic_node_set(TopicNode *node, void *value) {
    node->value = value;
}

/* ---- down one level ---- */

static bool is_token(const uint8_t *token, size_t len, uint8_t wild) {
    return len == 1 && *token == wild;
}

static const uint8_t *token_end(const uint8_t *at, const uint8_t *end) {
    const uint8_t *dot = memchr(at, '.', (size_t)(end - at));

    return dot ? dot : end;
}

static TopicNode *child_of(const TopicTree *tree, const TopicNode *node, const uint8_t *token,
                           size_t len) {
    TopicNode *child;
    EdgeKey key;

    key.parent = (TopicNode *)(uintptr_t)node;
    memcpy(key.token, token, len);
    HASH_FIND(hh, tree->edges, &key, sizeof(key.parent) + len, child);
    return child;
}

/* The child for the first token from `at` on. On the last level: the child for all tokens up to
 * `end`. */
static TopicNode *step(const TopicTree *tree, TopicNode *node, const uint8_t *at,
                       const uint8_t **end) {
    if (node->level < TOPIC_TREE_LEVELS) {
        *end = token_end(at, *end);
        if (is_token(at, (size_t)(*end - at), '*'))
            return node->star;
        if (is_token(at, (size_t)(*end - at), '>'))
            return node->rest;
    }
    return child_of(tree, node, at, (size_t)(*end - at));
}

static TopicNode *add_child(TopicTree *tree, TopicNode *node, const uint8_t *token, size_t len) {
    TopicNode *child = node_new(tree, node, token, len);

    if (!child)
        return NULL;
    if (node->level < TOPIC_TREE_LEVELS && is_token(token, len, '*'))
        return node->star = child;
    if (node->level < TOPIC_TREE_LEVELS && is_token(token, len, '>'))
        return node->rest = child;
    HASH_ADD_KEYPTR(hh, tree->edges, &child->parent, sizeof(child->parent) + len, child);
    if (!hash_added(child)) {
        tree->n_nodes--;
        free(child);
        return NULL;
    }
    child->wild = pattern_is_wild(token, len);
    if (child->wild)
        DL_PREPEND(node->children, child);
    else
        DL_APPEND(node->children, child);
    return child;
}

/* Removes the node and its parents, up to a node that has a value or children. */
static void prune(TopicTree *tree, TopicNode *node) {
    while (node->parent && !node->value && !node->star && !node->rest && !node->children) {
        TopicNode *parent = node->parent;

        if (parent->star == node) {
            parent->star = NULL;
        } else if (parent->rest == node) {
            parent->rest = NULL;
        } else {
            DL_DELETE(parent->children, node);
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): links that uthash set */
            HASH_DEL(tree->edges, node);
        }
        tree->n_nodes--;
        free(node);
        node = parent;
    }
}

int topic_tree_put(TopicTree *tree, const void *pattern, size_t len, TopicNode **ret) {
    const uint8_t *at = pattern, *end = at + len;
    TopicNode *node = tree->root;

    for (;;) {
        const uint8_t *stop = end;
        TopicNode *child = step(tree, node, at, &stop);

        if (!child)
            child = add_child(tree, node, at, (size_t)(stop - at));
        if (!child) {
            prune(tree, node);
            return -ENOMEM;
        }
        node = child;
        if (stop == end)
            break;
        at = stop + 1;
    }
    *ret = node;
    return 0;
}

void *topic_tree_get(const TopicTree *tree, const void *pattern, size_t len) {
    const uint8_t *at = pattern, *end = at + len;
    TopicNode *node = tree->root;

    for (;;) {
        const uint8_t *stop = end;

        node = step(tree, node, at, &stop);
        if (!node)
            return NULL;
        if (stop == end)
            return node->value;
        at = stop + 1;
    }
}

void topic_tree_drop(TopicTree *tree, TopicNode *node) {
    node->value = NULL;
    prune(tree, node);
}

/* ---- patterns that match a name ---- */

typedef struct Walk {
    const TopicTree *tree;
    const uint8_t *end;
    TopicTreeFn fn;
    void *ctx;
} Walk;

static void give(const Walk *walk, const TopicNode *node) {
    if (node->value)
        walk->fn(node->value, walk->ctx);
}

/* Clients can add any number of nodes on this level, so only wild nodes are compared one by one. */
static size_t match_last(const Walk *walk, const TopicNode *node, const uint8_t *at) {
    const TopicNode *child = child_of(walk->tree, node, at, (size_t)(walk->end - at));
    size_t n = 1;

    if (child)
        give(walk, child);
    DL_FOREACH(node->children, child) {
        if (!child->wild)
            break;
        n++;
        if (pattern_matches(child->token, child->len, at, (size_t)(walk->end - at)))
            give(walk, child);
    }
    return n;
}

/* Matches the tokens from `at` on (at least one) below the node. Each node is visited at most
 * once. */
static size_t match_below(const Walk *walk, const TopicNode *node, const uint8_t *at) {
    const uint8_t *stop;
    const TopicNode *ways[2];
    size_t n = 1;

    if (node->level == TOPIC_TREE_LEVELS)
        return match_last(walk, node, at);
    if (node->rest)
        give(walk, node->rest);
    stop = token_end(at, walk->end);
    ways[0] = node->children ? child_of(walk->tree, node, at, (size_t)(stop - at)) : NULL;
    ways[1] = node->star;
    for (int i = 0; i < 2; i++) {
        if (!ways[i])
            continue;
        if (stop == walk->end)
            give(walk, ways[i]);
        else
            n += match_below(walk, ways[i], stop + 1);
    }
    return n;
}

size_t topic_tree_match(const TopicTree *tree, const void *name, size_t len, TopicTreeFn fn,
                        void *ctx) {
    Walk walk = {tree, (const uint8_t *)name + len, fn, ctx};

    return match_below(&walk, tree->root, name);
}

/* ---- names that a pattern matches ---- */

static size_t give_all(const Walk *walk, const TopicNode *node) {
    const TopicNode *child;
    size_t n = 0;

    DL_FOREACH(node->children, child) {
        give(walk, child);
        n += 1 + give_all(walk, child);
    }
    return n;
}

static size_t find_below(const Walk *walk, const TopicNode *node, const uint8_t *at) {
    const TopicNode *child;
    const uint8_t *stop;
    size_t n = 0;

    if (node->level == TOPIC_TREE_LEVELS) {
        DL_FOREACH(node->children, child) {
            n++;
            if (pattern_matches(at, (size_t)(walk->end - at), child->token, child->len))
                give(walk, child);
        }
        return n;
    }
    stop = token_end(at, walk->end);
    if (is_token(at, (size_t)(stop - at), '>'))
        return give_all(walk, node);
    if (!is_token(at, (size_t)(stop - at), '*')) {
        child = child_of(walk->tree, node, at, (size_t)(stop - at));
        if (child && stop == walk->end)
            give(walk, child);
        else if (child)
            n = find_below(walk, child, stop + 1);
        return n + 1;
    }
    DL_FOREACH(node->children, child) {
        n++;
        if (stop == walk->end)
            give(walk, child);
        else
            n += find_below(walk, child, stop + 1);
    }
    return n;
}

size_t topic_tree_find(const TopicTree *tree, const void *pattern, size_t len, TopicTreeFn fn,
                       void *ctx) {
    Walk walk = {tree, (const uint8_t *)pattern + len, fn, ctx};

    return find_below(&walk, tree->root, pattern);
}
