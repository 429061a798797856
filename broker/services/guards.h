/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Guards: methods that only some users may call, as the description of a server says,
 * (may = "admins, joe"): a user of this name, a member of a group of this name, or an
 * administrator. If the servers of a service differ, a caller must satisfy all of them. A broker
 * without users has no one to ask.
 */

#include <ferry/schema.h>

#include "broker/services/services-private.h"

enum { GUARDS_MAX = 1000 }; /* of one service, over all its servers */

/* Takes the guards of a server's description (NULL: it has none), in place of its earlier ones.
 * -ENOBUFS: the service would have more than GUARDS_MAX; -ENOMEM. */
int guards_set(Server *server, const ferry_service *described);

/* May this user call the method? */
bool guards_allow(const Service *service, Span method, const User *user);
