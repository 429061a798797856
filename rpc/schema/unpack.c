/* MessagePack to values in C. See codec.h. */

#include <inttypes.h>

#include "base/block.h"
#include "base/error.h"
#include "base/text.h"
#include "rpc/schema/arena.h"
#include "rpc/schema/codec.h"
#include "rpc/schema/text-copy.h"
#include "rpc/schema/trouble.h"
#include "rpc/schema/values.h"
#include "rpc/wire/writer.h"

/*
 * A body may not take more memory than this: a list of empty maps has a byte for each struct, which
 * may be hundreds of bytes in C.
 */
enum { MEMORY_MIN = 1024 * 1024, MEMORY_PER_BYTE = 64 };

typedef struct Unpacker {
    const uint8_t *end;
    Arena arena;
    size_t first; /* size of the arena's first chunk */
    int depth;
    Trouble trouble;
} Unpacker;

static const uint8_t *unpack_value(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                   void *to);

static const uint8_t *refuse(Unpacker *u, const char *text) {
    trouble_set(&u->trouble, NULL, "%s", text);
    return NULL;
}

static const char *type_at(const Unpacker *u, const uint8_t *at) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    if (at < u->end && *at == 0xC1)
        return "the byte 0xc1";
    return wire_type_name(reader_peek(&reader));
}

/* Nothing of this type is here. What is cut off, or claims to be longer than it is, is no type. */
static const uint8_t *expected(Unpacker *u, const uint8_t *at, const ferry_type *type) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    reader_value(&reader);
    if (reader.problem && at < u->end && *at != 0xC1)
        return refuse(u, reader.problem);
    trouble_set(&u->trouble, NULL, "expected %s, got %s", trouble_type_name(type), type_at(u, at));
    return NULL;
}

static void *take(Unpacker *u, size_t size) {
    void *piece = __builtin_expect(u->arena.block != NULL, 1)
                      ? arena_take(&u->arena, size)
                      : arena_grow(&u->arena, size, u->first);

    if (!piece && size <= u->arena.max - u->arena.total)
        trouble_set(&u->trouble, "ferry.OutOfMemory", "out of memory");
    else if (!piece)
        trouble_set(&u->trouble, "ferry.TooBig", "the value takes far more memory than its bytes");
    return piece;
}

static bool descend(Unpacker *u) {
    if (u->depth < WIRE_DEPTH_MAX) {
        u->depth++;
        return true;
    }
    refuse(u, "nested deeper than 32 levels");
    return false;
}

/* ---- scalars ---- */

static const uint8_t *out_of_range(Unpacker *u, const ferry_type *type, bool negative,
                                   uint64_t value) {
    if (negative)
        trouble_set(&u->trouble, NULL, "expected %s, got %" PRId64, trouble_type_name(type),
                    (int64_t)value);
    else
        trouble_set(&u->trouble, NULL, "expected %s, got %" PRIu64, trouble_type_name(type), value);
    return NULL;
}

/* Any integer form into *value, sign-extended when it is negative. NULL: it is no integer. */
static inline const uint8_t *read_int(const Unpacker *u, const uint8_t *at, bool *negative,
                                      uint64_t *value) {
    size_t left = (size_t)(u->end - at);
    unsigned bytes;
    uint64_t raw;
    uint8_t byte;

    *negative = false;
    if (left == 0)
        return NULL;
    byte = *at;
    if (byte < 0x80) {
        *value = byte;
        return at + 1;
    }
    if (byte >= 0xE0) {
        *negative = true;
        *value = (uint64_t)(int64_t)(int8_t)byte;
        return at + 1;
    }
    if (byte < 0xCC || byte > 0xD3)
        return NULL;
    bytes = 1u << (byte & 3);
    if (left < 1 + (size_t)bytes)
        return NULL;
    if (left >= 9) {
        memcpy(&raw, at + 1, 8);
        raw = __builtin_bswap64(raw) >> (64 - 8 * bytes);
    } else {
        raw = 0;
        for (unsigned i = 0; i < bytes; i++)
            raw = raw << 8 | at[1 + i];
    }
    if (byte >= 0xD0) {
        raw = (uint64_t)((int64_t)(raw << (64 - 8 * bytes)) >> (64 - 8 * bytes));
        *negative = (int64_t)raw < 0;
    }
    *value = raw;
    return at + 1 + bytes;
}

static const uint8_t *unpack_int(Unpacker *u, const uint8_t *at, const ferry_type *type, void *to) {
    bool negative;
    uint64_t raw;
    int64_t value;
    const uint8_t *after = read_int(u, at, &negative, &raw);

    if (!after)
        return expected(u, at, type);
    value = (int64_t)raw;
    if (!negative && raw > INT64_MAX)
        return out_of_range(u, type, negative, raw);
    switch (type->kind) {
    case FERRY_KIND_I8:
        *(int8_t *)to = (int8_t)value;
        return value == (int8_t)value ? after : out_of_range(u, type, negative, raw);
    case FERRY_KIND_I16:
        *(int16_t *)to = (int16_t)value;
        return value == (int16_t)value ? after : out_of_range(u, type, negative, raw);
    case FERRY_KIND_I64:
        *(int64_t *)to = value;
        return after;
    default:
        *(int32_t *)to = (int32_t)value;
        return value == (int32_t)value ? after : out_of_range(u, type, negative, raw);
    }
}

static const uint8_t *unpack_bool(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  bool *to) {
    if (at == u->end || (*at != 0xC2 && *at != 0xC3))
        return expected(u, at, type);
    *to = *at == 0xC3;
    return at + 1;
}

/* Integers too: other languages write 3.0 as 3. */
static const uint8_t *unpack_double(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                    double *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    uint64_t bits;

    if (reader_left(&reader) >= 9 && *at == 0xCB) {
        memcpy(&bits, at + 1, 8);
        bits = __builtin_bswap64(bits);
        memcpy(to, &bits, 8);
        return at + 9;
    }
    *to = reader_double(&reader);
    return reader.problem ? expected(u, at, type) : reader.at;
}

static const uint8_t *unpack_uuid(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  ferry_uuid *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    Span span = reader_bin(&reader);

    if (reader.problem)
        return expected(u, at, type);
    if (span.len != sizeof(to->bytes)) {
        trouble_set(&u->trouble, NULL, "expected uuid, got %zu bytes instead of 16", span.len);
        return NULL;
    }
    memcpy(to->bytes, span.data, sizeof(to->bytes));
    return reader.at;
}

/* ---- text and bytes ---- */

static const uint8_t *unpack_string(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                    const char **to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    Span span = reader_str(&reader);
    char *text;

    if (__builtin_expect(reader.problem != NULL, 0))
        return expected(u, at, type);
    if (!is_plain_text(span.data, span.len)) {
        if (memchr(span.data, 0, span.len))
            return refuse(u, "the string has a NUL inside: a binary may hold one");
        if (!text_is_utf8(span.data, span.len))
            return refuse(u, "the string is not UTF-8");
    }
    text = take(u, span.len + 1);
    if (!text)
        return NULL;
    copy_bytes((uint8_t *)text, span.data, span.len);
    text[span.len] = '\0';
    *to = text;
    return reader.at;
}

/* A str too: older peers know no bin. */
static const uint8_t *unpack_binary(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                    ferry_bytes *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    WireType there = reader_peek(&reader);
    Span span = {NULL, 0};
    void *data;

    if (there == WIRE_BIN)
        span = reader_bin(&reader);
    else if (there == WIRE_STR)
        span = reader_str(&reader);
    else
        return expected(u, at, type);
    if (reader.problem)
        return expected(u, at, type);
    data = take(u, span.len);
    if (!data)
        return NULL;
    if (span.len > 0)
        memcpy(data, span.data, span.len);
    *to = ferry_bytes_of(data, span.len);
    return reader.at;
}

/* ---- containers ---- */

static bool is_unique(Unpacker *u, const ferry_type *type, const ValueList *list, size_t stride,
                      const char *what) {
    ptrdiff_t i = values_duplicate(type, list->v, list->n, stride);

    if (i == VALUES_UNIQUE)
        return true;
    if (i == VALUES_NO_MEMORY) {
        trouble_set(&u->trouble, "ferry.OutOfMemory", "out of memory");
    } else {
        trouble_set(&u->trouble, NULL, "%s is there twice", what);
        trouble_in_item(&u->trouble, (size_t)i);
    }
    return false;
}

/* Memory for n items: NULL when there is none, or n is 0. */
static char *take_items(Unpacker *u, size_t n, size_t size) {
    if (n > 0 && size > SIZE_MAX / 2 / n) {
        trouble_set(&u->trouble, "ferry.TooBig", "the value takes far more memory than its bytes");
        return NULL;
    }
    return n > 0 ? take(u, n * size) : NULL;
}

static const uint8_t *unpack_list(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  ValueList *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    size_t n = reader_array(&reader), size = type->item->size;
    char *items;

    if (reader.problem)
        return expected(u, at, type);
    if (!descend(u))
        return NULL;
    at = reader.at;
    items = take_items(u, n, size);
    if (!items && n > 0)
        return NULL;
    *to = (ValueList){n, items};
    for (size_t i = 0; i < n; i++, items += size) {
        at = unpack_value(u, at, type->item, items);
        if (!at) {
            trouble_in_item(&u->trouble, i);
            return NULL;
        }
    }
    u->depth--;
    if (type->kind == FERRY_KIND_SET && !is_unique(u, type->item, to, size, "the element"))
        return NULL;
    return at;
}

static const uint8_t *unpack_map(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                 ValueList *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    size_t n = reader_map(&reader);
    char *entry;

    if (reader.problem)
        return expected(u, at, type);
    if (!descend(u))
        return NULL;
    at = reader.at;
    entry = take_items(u, n, type->entry_size);
    if (!entry && n > 0)
        return NULL;
    *to = (ValueList){n, entry};
    for (size_t i = 0; i < n; i++, entry += type->entry_size) {
        at = unpack_value(u, at, type->key, entry);
        if (!at)
            trouble_in_key(&u->trouble);
        else
            at = unpack_value(u, at, type->item, entry + type->value_offset);
        if (!at) {
            trouble_in_item(&u->trouble, i);
            return NULL;
        }
    }
    u->depth--;
    return is_unique(u, type->key, to, type->entry_size, "the key") ? at : NULL;
}

/* ---- structs ---- */

/* Into the field's place in the C struct at base. */
static const uint8_t *unpack_field(Unpacker *u, const uint8_t *at, const ferry_field *field,
                                   char *base) {
    void *to = base + field->offset;

    if (field_is_pointer(field)) {
        void *value = take(u, field->type->size);

        *(void **)to = value;
        to = value;
    }
    at = to ? unpack_value(u, at, field->type, to) : NULL;
    if (__builtin_expect(!at, 0))
        trouble_in_field(&u->trouble, field->name);
    return at;
}

/* What a field holds when nothing came for it. */
static bool fill_in(Unpacker *u, const ferry_field *field, char *base) {
    void *to = base + field->offset;

    if (field->flags & FERRY_OPTIONAL) {
        /* A string's default is a pointer to its pointer. */
        if (field->type->kind == FERRY_KIND_STRING)
            *(const char **)to = field->value ? *(const char *const *)field->value : NULL;
        else
            *(const void **)to = field->value;
        return true;
    }
    if (field->value && !(field->flags & FERRY_REQUIRED)) {
        if (field_is_pointer(field))
            *(const void **)to = field->value;
        else
            memcpy(to, field->value, field->type->size);
        return true;
    }
    refuse(u, "it is missing");
    trouble_in_field(&u->trouble, field->name);
    return false;
}

/* Senders write fields in the table's order: the next one is nearly always the one after the last.
 * SIZE_MAX: there is no such field. */
static inline size_t find_field(const ferry_type *type, size_t next, Span key) {
    size_t n = type->n;

    for (size_t tries = 0; tries < n; tries++, next++) {
        const ferry_field *field;

        if (next >= n)
            next = 0;
        field = &type->fields[next];
        if (field->name_len == key.len && bytes_equal(field->name, key.data, key.len))
            return next;
    }
    return SIZE_MAX;
}

static bool is_absent(const Unpacker *u, const uint8_t *at, const ferry_field *field) {
    return at < u->end && *at == 0xC0 && (field->flags & FERRY_OPTIONAL);
}

static const uint8_t *skip(Unpacker *u, const uint8_t *at) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    reader_value(&reader);
    return reader.problem ? refuse(u, reader.problem) : reader.at;
}

/* The head of a map that is a struct, a union or an exception. */
static const uint8_t *open_fields(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  size_t *n) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    *n = reader_map(&reader);
    if (reader.problem)
        return expected(u, at, type);
    return descend(u) ? reader.at : NULL;
}

static const uint8_t *read_key(Unpacker *u, const uint8_t *at, Span *key) {
    Reader reader = reader_of(at, (size_t)(u->end - at));

    *key = reader_str(&reader);
    if (reader.problem) {
        trouble_set(&u->trouble, NULL, "expected the name of a field, got %s", type_at(u, at));
        return NULL;
    }
    return reader.at;
}

static const uint8_t *twice(Unpacker *u, const ferry_field *field) {
    refuse(u, "it is there twice");
    trouble_in_field(&u->trouble, field->name);
    return NULL;
}

static const uint8_t *unpack_struct(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                    void *to) {
    uint64_t seen[VALUE_FIELDS_MAX / 64];
    size_t n, next = 0, n_seen = 0;
    Span key;

    at = open_fields(u, at, type, &n);
    if (!at)
        return NULL;
    if (type->n > VALUE_FIELDS_MAX)
        return refuse(u, "the table has too many fields");
    /* Looking up an unknown key takes time in proportion to the fields. */
    if (n > 4 * (size_t)type->n + 64)
        return refuse(u, "far more keys than fields");
    for (size_t i = 0; i * 64 < type->n; i++)
        seen[i] = 0;
    while (n-- > 0) {
        const ferry_field *field;
        size_t i;

        at = read_key(u, at, &key);
        if (!at)
            return NULL;
        i = find_field(type, next, key);
        if (i == SIZE_MAX) {
            at = skip(u, at);
        } else {
            field = &type->fields[i];
            if (seen[i / 64] & UINT64_C(1) << i % 64)
                return twice(u, field);
            if (is_absent(u, at, field)) {
                at++;
                continue;
            }
            seen[i / 64] |= UINT64_C(1) << i % 64;
            n_seen++;
            next = i + 1;
            at = unpack_field(u, at, field, to);
        }
        if (!at)
            return NULL;
    }
    for (size_t i = 0; n_seen < type->n && i < type->n; i++)
        if (!(seen[i / 64] & UINT64_C(1) << i % 64) && !fill_in(u, &type->fields[i], to))
            return NULL;
    u->depth--;
    return at;
}

/* Fewer than declared: the others are filled in, as the caller may be older than we are. More: he
 * is newer. */
static const uint8_t *unpack_args(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                  void *to) {
    Reader reader = reader_of(at, (size_t)(u->end - at));
    uint32_t n = reader_array(&reader);

    if (reader.problem)
        return expected(u, at, type);
    if (!descend(u))
        return NULL;
    at = reader.at;
    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];

        if (i < n && !is_absent(u, at, field)) {
            at = unpack_field(u, at, field, to);
            if (!at)
                return NULL;
            continue;
        }
        at += i < n;
        if (!fill_in(u, field, to))
            return NULL;
    }
    for (uint32_t i = type->n; i < n && at; i++)
        at = skip(u, at);
    u->depth--;
    return at;
}

static const uint8_t *unpack_union(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                   void *to) {
    size_t n, i;
    Span key;

    memset(to, 0, type->size);
    at = open_fields(u, at, type, &n);
    if (!at)
        return NULL;
    if (n != 1) {
        trouble_set(&u->trouble, NULL, "expected %s with one key, got %zu keys",
                    trouble_type_name(type), n);
        return NULL;
    }
    at = read_key(u, at, &key);
    if (!at)
        return NULL;
    i = find_field(type, 0, key);
    if (i == SIZE_MAX) {
        at = skip(u, at);
    } else {
        *(int32_t *)to = (int32_t)i + 1;
        at = unpack_field(u, at, &type->fields[i], to);
    }
    u->depth--;
    return at;
}

static const uint8_t *unpack_value(Unpacker *u, const uint8_t *at, const ferry_type *type,
                                   void *to) {
    switch (type->kind) {
    case FERRY_KIND_BOOL:
        return unpack_bool(u, at, type, to);
    case FERRY_KIND_I8:
    case FERRY_KIND_I16:
    case FERRY_KIND_I32:
    case FERRY_KIND_I64:
    case FERRY_KIND_ENUM:
        return unpack_int(u, at, type, to);
    case FERRY_KIND_DOUBLE:
        return unpack_double(u, at, type, to);
    case FERRY_KIND_UUID:
        return unpack_uuid(u, at, type, to);
    case FERRY_KIND_STRING:
        return unpack_string(u, at, type, to);
    case FERRY_KIND_BINARY:
        return unpack_binary(u, at, type, to);
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
        return unpack_list(u, at, type, to);
    case FERRY_KIND_MAP:
        return unpack_map(u, at, type, to);
    case FERRY_KIND_STRUCT:
    case FERRY_KIND_EXCEPTION:
        return unpack_struct(u, at, type, to);
    case FERRY_KIND_UNION:
        return unpack_union(u, at, type, to);
    case FERRY_KIND_ARGS:
        return unpack_args(u, at, type, to);
    default:
        return refuse(u, "the table has a type that this library does not know");
    }
}

/* ---- the whole ---- */

enum { SPARE_MAX = 64 * 1024 };

static void start(Unpacker *u, Span bytes, size_t size, void **spare) {
    size_t more = bytes.len < 4096 ? bytes.len : 4096;
    size_t max =
        size + MEMORY_MIN +
        (bytes.len < SIZE_MAX / MEMORY_PER_BYTE / 2 ? bytes.len * MEMORY_PER_BYTE : SIZE_MAX / 2);

    u->end = bytes.len > 0 ? bytes.data + bytes.len : bytes.data;
    u->depth = 0;
    /* Texts take what they took as bytes, small integers and pieces' ends somewhat more. */
    u->first = size + bytes.len + more + 32;
    if (*spare)
        arena_init_with(&u->arena, max, *spare);
    else
        arena_init(&u->arena, max);
    *spare = NULL;
    trouble_init(&u->trouble);
}

void schema_spare(void **spare, const void *block) {
    if (block && !*spare)
        *spare = arena_recycle(block, SPARE_MAX);
    else
        ferry_free(block);
}

static int finish(Unpacker *u, const uint8_t *at, const char *root, ferry_error *reterr) {
    if (at && at != u->end)
        trouble_set(&u->trouble, NULL, "there are bytes after the value");
    if (!u->trouble.type)
        return 0;
    ferry_free(u->arena.block);
    return trouble_report(&u->trouble, root, reterr);
}

int schema_unpack_block_in(void **spare, const ferry_type *type, Span bytes, const char *root,
                           void **ret, ferry_error *reterr) {
    const uint8_t *at = NULL;
    Unpacker u;
    void *value;
    int r;

    start(&u, bytes, type->size, spare);
    value = take(&u, type->size);
    if (value)
        at = unpack_value(&u, bytes.data, type, value);
    r = finish(&u, at, root, reterr);
    if (r == 0)
        *ret = value;
    return r;
}

int schema_unpack_block(const ferry_type *type, Span bytes, const char *root, void **ret,
                        ferry_error *reterr) {
    return schema_unpack_block_in(&(void *){NULL}, type, bytes, root, ret, reterr);
}

int schema_unpack_into(Arena *arena, const ferry_type *type, Span bytes, const char *root,
                       void **ret, ferry_error *reterr) {
    const uint8_t *at = NULL;
    Unpacker u;
    void *value;

    start(&u, bytes, type->size, &(void *){NULL});
    u.arena = *arena;
    value = take(&u, type->size);
    if (value)
        at = unpack_value(&u, bytes.data, type, value);
    *arena = u.arena;
    if (at && at != u.end)
        trouble_set(&u.trouble, NULL, "there are bytes after the value");
    if (u.trouble.type)
        return trouble_report(&u.trouble, root, reterr);
    *ret = value;
    return 0;
}

static int unpack_text(void **spare, const ferry_type *type, Span bytes, const char *root,
                       char **ret, ferry_error *reterr) {
    const char *text = NULL;
    Unpacker u;
    int r;

    start(&u, bytes, 1, spare);
    r = finish(&u, unpack_value(&u, bytes.data, type, &text), root, reterr);
    if (r == 0)
        *ret = (char *)(uintptr_t)text;
    return r;
}

static int unpack_scalar(const ferry_type *type, Span bytes, const char *root, void *ret,
                         ferry_error *reterr) {
    int64_t largest[2]; /* room for a uuid, aligned for the others */
    Unpacker u;
    int r;

    start(&u, bytes, 0, &(void *){NULL});
    r = finish(&u, unpack_value(&u, bytes.data, type, largest), root, reterr);
    if (r == 0)
        memcpy(ret, largest, type->size);
    return r;
}

int schema_unpack_in(void **spare, const ferry_type *type, Span bytes, const char *root, void *ret,
                     ferry_error *reterr) {
    void *block;
    int r;

    if (type_is_scalar(type))
        return unpack_scalar(type, bytes, root, ret, reterr);
    if (type->kind == FERRY_KIND_STRING)
        return unpack_text(spare, type, bytes, root, ret, reterr);
    r = schema_unpack_block_in(spare, type, bytes, root, &block, reterr);
    if (r < 0)
        return r;
    /* What is one block as a whole can be sent on without a copy. */
    if (type->kind == FERRY_KIND_BINARY)
        ((ferry_bytes *)block)->block = block;
    *(void **)ret = block;
    return 0;
}

int schema_unpack(const ferry_type *type, Span bytes, const char *root, void *ret,
                  ferry_error *reterr) {
    return schema_unpack_in(&(void *){NULL}, type, bytes, root, ret, reterr);
}

int ferry_value_pack(const ferry_type *type, const void *value, ferry_bytes *ret,
                     ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer bytes = {0};
    int r;

    if (!buffer_reserve(&bytes, sizeof(BlockHeader)))
        return error_set_code(reterr, -ENOMEM, NULL);
    bytes.len = sizeof(BlockHeader);
    r = schema_pack(type, value, type->name ? type->name : "value", &bytes, reterr);
    if (r == 0)
        *ret = block_of_buffer(&bytes);
    return r;
}

int ferry_value_unpack(const ferry_type *type, ferry_bytes bytes, void *ret, ferry_error *reterr) {
    return schema_unpack(type, (Span){(const uint8_t *)bytes.data, bytes.len},
                         type->name ? type->name : "value", ret, reterr);
}
