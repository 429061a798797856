#pragma once

/*
 * A trie over the tokens of names or patterns. Filled with patterns it finds those that match a
 * name; filled with names it finds those that match a pattern. Each node that was put carries one
 * value of the owner's.
 *
 * What strangers choose cannot make it deep: the tokens beyond TOPIC_TREE_LEVELS stay together in
 * one node, and such nodes are compared one by one.
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
void topic_tree_deinit(TopicTree *tree); /* values are the owner's */

/* The node for this valid pattern or name: there already, or new with the value NULL. -ENOMEM. */
int topic_tree_put(TopicTree *tree, const void *pattern, size_t len, TopicNode **ret);

/* The value is gone: takes out what no longer leads anywhere. */
void topic_tree_drop(TopicTree *tree, TopicNode *node);

void *topic_node_value(const TopicNode *node);
void topic_node_set(TopicNode *node, void *value);

/* The value that was put for exactly this, or NULL. */
void *topic_tree_get(const TopicTree *tree, const void *pattern, size_t len);

/* Of a tree of patterns: each value whose pattern matches the valid name. Returns how many nodes
 * were looked at. */
size_t topic_tree_match(const TopicTree *tree, const void *name, size_t len, TopicTreeFn fn,
                        void *ctx);

/* Of a tree of names: each value whose name the valid pattern matches. Returns how many nodes were
 * looked at. */
size_t topic_tree_find(const TopicTree *tree, const void *pattern, size_t len, TopicTreeFn fn,
                       void *ctx);

/* Bytes that one more pattern of this length may cost at most. */
size_t topic_tree_cost(size_t len);
