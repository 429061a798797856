/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Converts a pointer to a member into a pointer to the struct that contains it. */

#include <stddef.h>

/* container_of(timer, Call, deadline): the Call whose member `deadline` timer points to. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
