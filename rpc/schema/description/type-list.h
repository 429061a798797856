/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The named types of a service. Each type is listed once. */

#include <ferry/schema.h>

typedef struct TypeList {
    const ferry_type **v;
    size_t n, cap;
    struct TypeEntry *seen;
} TypeList;

/* 0 or -ENOMEM. */
int type_list_fill(TypeList *list, const ferry_service *service);
void type_list_deinit(TypeList *list);

static inline void type_list_deinitp(TypeList *list) {
    type_list_deinit(list);
}
