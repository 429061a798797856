/* SPDX-License-Identifier: Apache-2.0 */
/* The named types of a service. See type-list.h. */

#include "rpc/schema/description/type-list.h"

#include <stdlib.h>

#include "base/hash.h"

typedef struct TypeEntry {
    UT_hash_handle hh;
    const ferry_type *type;
} TypeEntry;

static int append(TypeList *list, const ferry_type *type) {
    TypeEntry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return -ENOMEM;
    entry->type = type;
    HASH_ADD_PTR(list->seen, type, entry);
    if (!hash_added(entry)) {
        free(entry);
        return -ENOMEM;
    }
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : 32;
        const ferry_type **v = realloc(list->v, cap * sizeof(ferry_type *));

        if (!v)
            return -ENOMEM;
        list->v = v;
        list->cap = cap;
    }
    list->v[list->n++] = type;
    return 0;
}

/* Adds the named types in a type. Lists and maps are only a few levels deep. The fields of a struct
 * are visited later, because a chain of structs can be long. */
static int add(TypeList *list, const ferry_type *type) {
    TypeEntry *entry;
    int r = 0;

    if (!type)
        return 0;
    if (type->kind == FERRY_KIND_LIST || type->kind == FERRY_KIND_SET)
        return add(list, type->item);
    if (type->kind == FERRY_KIND_MAP) {
        r = add(list, type->key);
        return r < 0 ? r : add(list, type->item);
    }
    if (!type->name)
        return 0;
    HASH_FIND_PTR(list->seen, &type, entry);
    return entry ? 0 : append(list, type);
}

static int add_fields(TypeList *list, const ferry_field *fields, size_t n) {
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = add(list, fields[i].type);
    return r;
}

static int add_method(TypeList *list, const ferry_method *method) {
    int r = method->args ? add_fields(list, method->args->fields, method->args->n) : 0;

    if (r == 0)
        r = add(list, method->result);
    if (r == 0)
        r = add(list, method->stream_in);
    if (r == 0)
        r = add(list, method->stream_out);
    return r < 0 ? r : add_fields(list, method->throws, method->n_throws);
}

int type_list_fill(TypeList *list, const ferry_service *service) {
    int r = 0;

    for (uint32_t i = 0; i < service->n_methods && r == 0; i++)
        r = add_method(list, &service->methods[i]);
    for (size_t i = 0; i < list->n && r == 0; i++)
        if (list->v[i]->kind != FERRY_KIND_ENUM)
            r = add_fields(list, list->v[i]->fields, list->v[i]->n);
    return r;
}

void type_list_deinit(TypeList *list) {
    TypeEntry *entry, *next;

    HASH_ITER(hh, list->seen, entry, next) {
        HASH_DEL(list->seen, entry);
        free(entry);
    }
    free(list->v);
    *list = (TypeList){0};
}
