/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Guards: methods that only some users may call, because the description of a server says so, as in
 * (may = "admins, joe"). The caller must be a user of this name, a member of a group of this name,
 * or an administrator. If the servers of a service differ, a caller must satisfy all of them. A
 * broker without users checks no guards.
 */

#include <ferry/schema.h>

#include "broker/services/services-private.h"

enum { GUARDS_MAX = 1000 }; /* guards of one service, over all its servers */

/* Replaces the guards of a server by those in its description (NULL: it has no description).
 * -ENOBUFS: the service would have more than GUARDS_MAX; -ENOMEM. */
int guards_set(Server *server, const ferry_service *described);

/* True: this user may call the method. */
bool guards_allow(const Service *service, Span method, const User *user);
