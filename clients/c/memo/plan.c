/* SPDX-License-Identifier: Apache-2.0 */
/* The caching plan of a method, from its annotations, and keys. See plan.h. */

#include "clients/c/memo/plan.h"

#include "base/text.h"
#include "rpc/schema/codec/codec.h"

enum { SHAPE_TYPES_MAX = 2000, SHAPE_DEPTH_MAX = 8 };

static const char *annotation(const ferry_method *method, const char *name) {
    const ferry_notes *notes = method->notes;

    for (uint32_t i = 0; notes && i < notes->n_annotations; i++)
        if (strcmp(notes->annotations[i].name, name) == 0)
            return notes->annotations[i].value;
    return NULL;
}

static bool read_ms(const ferry_method *method, const char *name, uint64_t *ret_ms) {
    const char *text = annotation(method, name);

    *ret_ms = 0;
    return !text || text_parse_ms(text, ret_ms) == 0;
}

static const ferry_field *find_field(const ferry_type *type, const char *name, size_t len) {
    for (uint32_t i = 0; i < type->n; i++)
        if (type->fields[i].name_len == len && memcmp(type->fields[i].name, name, len) == 0)
            return &type->fields[i];
    return NULL;
}

/* "user.id" */
static bool read_path(const ferry_type *type, const char *text, size_t len, MemoPath *ret) {
    const char *end = text + len;

    ret->n = 0;
    for (;;) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        const ferry_field *field = find_field(type, text, (size_t)((dot ? dot : end) - text));

        if (!field || ret->n == MEMO_DEPTH_MAX)
            return false;
        ret->fields[ret->n++] = field;
        if (!dot)
            return true;
        type = field->type;
        if (type->kind != FERRY_KIND_STRUCT)
            return false;
        text = dot + 1;
    }
}

/* "user.id, language" */
static bool read_paths(const ferry_method *method, MemoPlan *plan) {
    const char *text = annotation(method, "cache.key");

    while (text && *text) {
        size_t len;

        text += strspn(text, " ,");
        len = strcspn(text, " ,");
        if (len == 0)
            break;
        if (!method->args || plan->n_paths == MEMO_FIELDS_MAX ||
            !read_path(method->args, text, len, &plan->paths[plan->n_paths]))
            return false;
        plan->n_paths++;
        text += len;
    }
    return true;
}

/* ---- the shape of answers ---- */

typedef struct Shape {
    uint64_t hash;
    int left; /* remaining types: a bound, because types can be recursive */
} Shape;

static void add_shape(Shape *shape, const ferry_type *type, unsigned depth);

/* FNV-1a: equal in all processes and on all machines. */
static void mix(Shape *shape, const void *data, size_t len) {
    const uint8_t *at = data;

    for (size_t i = 0; i < len; i++)
        shape->hash = (shape->hash ^ at[i]) * UINT64_C(0x100000001B3);
}

/* Kinds and flags fit into one byte. */
static void mix_number(Shape *shape, uint32_t number) {
    uint8_t byte = (uint8_t)number;

    mix(shape, &byte, 1);
}

static void add_fields(Shape *shape, const ferry_field *fields, uint32_t n, unsigned depth) {
    for (uint32_t i = 0; i < n; i++) {
        mix(shape, fields[i].name, fields[i].name_len);
        mix_number(shape, fields[i].flags & FERRY_OPTIONAL);
        add_shape(shape, fields[i].type, depth);
    }
}

static void add_shape(Shape *shape, const ferry_type *type, unsigned depth) {
    if (!type || depth == 0 || shape->left-- <= 0)
        return;
    mix_number(shape, type->kind);
    if (type->name)
        mix(shape, type->name, strlen(type->name));
    if (type->fields)
        add_fields(shape, type->fields, type->n, depth - 1);
    add_shape(shape, type->key, depth - 1);
    add_shape(shape, type->item, depth - 1);
}

/* The shape is part of the key, so that programs with different versions of the interface use
 * different entries. */
static void read_shape(const ferry_method *method, MemoPlan *plan) {
    Shape shape = {.hash = UINT64_C(0xCBF29CE484222325), .left = SHAPE_TYPES_MAX};
    const char *key = annotation(method, "cache.key");

    /* Programs with different cache.key annotations use different entries, too. */
    if (key)
        mix(&shape, key, strlen(key));
    add_shape(&shape, method->result, SHAPE_DEPTH_MAX);
    add_fields(&shape, method->throws, method->n_throws, SHAPE_DEPTH_MAX);
    snprintf(plan->shape, sizeof(plan->shape), "%08x", (unsigned)(shape.hash ^ shape.hash >> 32));
}

bool memo_plan_read(const ferry_method *method, MemoPlan *ret) {
    *ret = (MemoPlan){
        .method = method, .ttl_ms = method->cache_ttl_ms, .tags = annotation(method, "cache.tags")};
    read_shape(method, ret);
    return read_ms(method, "cache.stale", &ret->stale_ms) &&
           read_ms(method, "cache.negative", &ret->negative_ms) && read_paths(method, ret);
}

/* Returns the value at the end of a path. NULL: a field on the path is absent. */
static const void *value_at(const MemoPath *path, const void *args) {
    const void *at = args;

    for (uint32_t i = 0; at && i < path->n; i++) {
        const ferry_field *field = path->fields[i];
        const void *slot = (const char *)at + field->offset;
        bool is_text = field->type->kind == FERRY_KIND_STRING;

        if (is_text)
            at = *(const char *const *)slot ? slot : NULL;
        else if (field->flags & (FERRY_OPTIONAL | FERRY_POINTER))
            at = *(const void *const *)slot;
        else
            at = slot;
    }
    return at;
}

bool memo_key(const MemoPlan *plan, Span service, const void *args, ferry_bytes packed,
              Buffer *to) {
    static const uint8_t nil = 0xC0;

    buffer_reset(to);
    buffer_append(to, service.data, service.len);
    buffer_append(to, ".", 1);
    buffer_append(to, plan->method->name, strlen(plan->method->name));
    buffer_append(to, "#", 1);
    buffer_append(to, plan->shape, strlen(plan->shape));
    buffer_append(to, " ", 1);
    if (plan->n_paths == 0)
        buffer_append(to, packed.data, packed.len);
    for (uint32_t i = 0; i < plan->n_paths; i++) {
        const MemoPath *path = &plan->paths[i];
        const void *value = value_at(path, args);

        if (!value)
            buffer_append(to, &nil, 1);
        else if (schema_pack(path->fields[path->n - 1]->type, value, "cache.key", to, NULL) < 0)
            return false;
    }
    return !to->failed && to->len <= MEMO_KEY_MAX;
}
