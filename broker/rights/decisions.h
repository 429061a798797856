/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The decisions that a session has met already: a small table by action and name, so that a message
 * costs one comparison however many rights its user has. A colliding entry is replaced; long names
 * are decided each time. Two kilobytes for each session that has asked.
 */

#include "broker/rights/rights.h"

enum { DECISIONS_MEMORY = 2048 };

typedef struct Decisions Decisions;

/* As user_may(), from the table where possible. *decisions may be NULL: the table is made when it
 * is needed first. All decisions of a table must be about the same user. */
bool decisions_may(Decisions **decisions, const User *user, Action action, Span name);

/* Forgets all decisions: the user's rights may have changed. Returns NULL. */
Decisions *decisions_free(Decisions *decisions);
