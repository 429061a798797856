/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A trie over the tokens of names or patterns. A trie of patterns finds the patterns that match a
 * name; a trie of names finds the names that match a pattern. Each name or pattern has one value.
 *
 * The trie has at most TOPIC_TREE_LEVELS levels, so clients cannot make it deeper. Further tokens
 * stay together in one node of the last level, and the wild nodes of that level are compared one by
 * one.
 */

#include <stddef.h>

#include "base/hash.h"

enum { TOPIC_TREE_LEVELS = 16 };

typedef struct TopicNode TopicNode;

typedef struct TopicTree {
    TopicNode *edges; /* all nodes with a token of their own, by parent and token */
    TopicNode *root;
    size_t n_nodes;
} TopicTree;

typedef void (*TopicTreeFn)(void *value, void *ctx);

int topic_tree_init(TopicTree *tree);
void topic_tree_deinit(TopicTree *tree); /* Frees the tree; the values belong to the caller. */

/* Finds the node for this valid pattern or name, or adds it with the value NULL. -ENOMEM. */
int topic_tree_put(TopicTree *tree, const void *pattern, size_t len, TopicNode **ret);

/* Forgets the node's value. Removes the node if it has no children, and then its parents that have
 * neither a value nor children. */
void topic_tree_drop(TopicTree *tree, TopicNode *node);

void topic_node_set(TopicNode *node, void *value);

/* The value of exactly this pattern or name, or NULL. */
void *topic_tree_get(const TopicTree *tree, const void *pattern, size_t len);

/* In a tree of patterns: calls fn for each pattern that matches the valid name. Returns the
 * number of visited nodes. */
size_t topic_tree_match(const TopicTree *tree, const void *name, size_t len, TopicTreeFn fn,
                        void *ctx);

/* In a tree of names: calls fn for each name that the valid pattern matches. Returns the number
 * of visited nodes. */
size_t topic_tree_find(const TopicTree *tree, const void *pattern, size_t len, TopicTreeFn fn,
                       void *ctx);

/* The most bytes that one more pattern of this length can cost. */
size_t topic_tree_cost(size_t len);
