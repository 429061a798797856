/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A cache of the decisions for one session, by action and name. With it the check of a message
 * costs one comparison, for any number of rights of its user. A colliding entry is replaced;
 * decisions about long names are not cached. A session has a cache of two kilobytes once it has
 * needed a decision.
 */

#include "broker/rights/rights.h"

enum { DECISIONS_MEMORY = 2048 };

typedef struct Decisions Decisions;

/* Like user_may(), from the table where possible. *decisions may be NULL: the table is made at the
 * first decision. All decisions of a table must be about the same user. */
bool decisions_may(Decisions **decisions, const User *user, Action action, Span name);

/* Forgets all decisions: the user's rights may have changed. Returns NULL. */
Decisions *decisions_free(Decisions *decisions);
