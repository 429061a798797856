/* SPDX-License-Identifier: Apache-2.0 */
/* Copies values in C. See ferry_value_copy(). */

#include "base/error.h"
#include "rpc/schema/codec/arena.h"
#include "rpc/schema/codec/values.h"
#include "rpc/wire/reader.h"

typedef struct Copier {
    Arena arena;
    int depth;
    int code; /* code of the first failure */
} Copier;

static bool copy_value(Copier *c, const ferry_type *type, const void *from, void *to);

static void *take(Copier *c, size_t n, size_t size) {
    void *piece = size > 0 && n > SIZE_MAX / 4 / size ? NULL : arena_take(&c->arena, n * size);

    if (!piece)
        c->code = -ENOMEM;
    return piece;
}

static bool copy_text(Copier *c, const char *from, const char **to) {
    size_t size = from ? strlen(from) + 1 : 0;
    char *text = from ? take(c, 1, size) : NULL;

    *to = text;
    if (text)
        memcpy(text, from, size);
    return text || !from;
}

static bool copy_binary(Copier *c, const ferry_bytes *from, ferry_bytes *to) {
    void *data = from->data ? take(c, 1, from->len) : NULL;

    *to = (ferry_bytes){data, from->len, NULL};
    if (data && from->len > 0)
        memcpy(data, from->data, from->len);
    return data || !from->data;
}

static bool copy_items(Copier *c, const ferry_type *type, const ValueList *from, ValueList *to) {
    bool map = type->kind == FERRY_KIND_MAP, good = true;
    size_t size = map ? type->entry_size : type->item->size;
    const char *in = from->v;
    char *out = from->n > 0 ? take(c, from->n, size) : NULL;

    *to = (ValueList){from->n, out};
    if (!out)
        return from->n == 0;
    for (size_t i = 0; i < from->n && good; i++, in += size, out += size) {
        memcpy(out, in, size); /* also copies the padding between key and value */
        if (map)
            good = copy_value(c, type->key, in, out) &&
                   copy_value(c, type->item, in + type->value_offset, out + type->value_offset);
        else
            good = copy_value(c, type->item, in, out);
    }
    return good;
}

static bool copy_field(Copier *c, const ferry_field *field, const char *from, char *to) {
    const void *value = from + field->offset;
    void *slot = to + field->offset;

    if (field_is_pointer(field)) {
        value = *(const void *const *)value;
        if (!value)
            return true;
        *(void **)slot = take(c, 1, field->type->size);
        slot = *(void **)slot;
        if (!slot)
            return false;
    }
    return copy_value(c, field->type, value, slot);
}

static bool copy_fields(Copier *c, const ferry_type *type, const void *from, void *to) {
    bool good = true;

    memcpy(to, from, type->size);
    for (uint32_t i = 0; i < type->n && good; i++)
        good = copy_field(c, &type->fields[i], from, to);
    return good;
}

/* An unknown member is left out, since the type of its value is unknown. */
static bool copy_union(Copier *c, const ferry_type *type, const void *from, void *to) {
    int32_t which = *(const int32_t *)from;

    if (which <= 0 || (uint32_t)which > type->n) {
        memset(to, 0, type->size);
        return true;
    }
    memcpy(to, from, type->size);
    return copy_field(c, &type->fields[which - 1], from, to);
}

static bool copy_inside(Copier *c, const ferry_type *type, const void *from, void *to) {
    switch (type->kind) {
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
    case FERRY_KIND_MAP:
        return copy_items(c, type, from, to);
    case FERRY_KIND_UNION:
        return copy_union(c, type, from, to);
    default:
        return copy_fields(c, type, from, to);
    }
}

static bool copy_value(Copier *c, const ferry_type *type, const void *from, void *to) {
    bool good;

    if (type->kind == FERRY_KIND_STRING)
        return copy_text(c, *(const char *const *)from, to);
    if (type->kind == FERRY_KIND_BINARY)
        return copy_binary(c, from, to);
    if (type_is_scalar(type)) {
        memcpy(to, from, type->size);
        return true;
    }
    if (c->depth == WIRE_DEPTH_MAX) {
        c->code = -EINVAL;
        return false;
    }
    c->depth++;
    good = copy_inside(c, type, from, to);
    c->depth--;
    return good;
}

int ferry_value_copy(const ferry_type *type, const void *value, void *ret, ferry_error *reterr) {
    Copier c = {.code = 0};
    void *copy;

    *(void **)ret = NULL;
    arena_init(&c.arena, SIZE_MAX / 4);
    /* The block starts with the first piece. */
    copy = take(&c, 1, type->size);
    if (copy && copy_value(&c, type, value, copy)) {
        *(void **)ret = copy;
        return 0;
    }
    ferry_free(c.arena.block);
    if (c.code == -EINVAL)
        return error_set(reterr, "ferry.InvalidArgument", "%s: nested deeper than 32 levels",
                         type->name ? type->name : "value");
    return error_set_code(reterr, -ENOMEM, NULL);
}
