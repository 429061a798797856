/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the types of a description and lays them out as C structs. See description-parser.h. */

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/text.h"
#include "rpc/schema/codec/values.h"
#include "rpc/schema/description/description-parser.h"
#include "rpc/schema/description/description.h"

typedef struct Named {
    UT_hash_handle hh;
    ferry_type *type;
    Span fields; /* its "fields" or "values", which are read when all names are known */
    bool is_enum;
} Named;

/* ---- types ---- */

static const ferry_type *base_type(const char *name) {
    static const struct {
        const char *name;
        const ferry_type *type;
    } types[] = {
        {"bool", &ferry_type_bool},     {"i8", &ferry_type_i8},
        {"i16", &ferry_type_i16},       {"i32", &ferry_type_i32},
        {"i64", &ferry_type_i64},       {"double", &ferry_type_double},
        {"string", &ferry_type_string}, {"binary", &ferry_type_binary},
        {"uuid", &ferry_type_uuid},
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    return NULL;
}

static const ferry_type *named_type(DescriptionParser *p, const char *name) {
    const ferry_type *type = base_type(name);
    char shown[TEXT_ESCAPED_MAX];
    Named *named;

    if (type)
        return type;
    HASH_FIND_STR(p->names, name, named);
    if (named)
        return named->type;
    value_error_set(&p->error, NULL, "there is no type '%.160s'",
                    text_escape(shown, name, strnlen(name, 100)));
    return NULL;
}

static uint32_t aligned(uint32_t size) {
    return (size + VALUE_ALIGN - 1) / VALUE_ALIGN * VALUE_ALIGN;
}

static const ferry_type *read_type(DescriptionParser *p, Reader *reader, int depth);

static const ferry_type *read_container(DescriptionParser *p, Reader *reader, int depth) {
    uint32_t n = reader_array(reader);
    Span word = reader_str(reader);
    bool map = span_is(word, "map");
    ferry_type *type;

    if (!parser_good(p, reader))
        return NULL;
    if (depth == DESCRIPTION_TYPE_DEPTH) {
        parser_refuse(p, "a type is nested too deep");
        return NULL;
    }
    if (n != (map ? 3u : 2u) || (!map && !span_is(word, "list") && !span_is(word, "set"))) {
        parser_refuse(p, "a type is neither a list, a set nor a map");
        return NULL;
    }
    type = parser_take(p, sizeof(*type));
    if (!type)
        return NULL;
    type->kind = map ? FERRY_KIND_MAP : span_is(word, "set") ? FERRY_KIND_SET : FERRY_KIND_LIST;
    type->size = sizeof(ValueList);
    type->key = map ? read_type(p, reader, depth + 1) : NULL;
    type->item = p->error.type ? NULL : read_type(p, reader, depth + 1);
    return p->error.type ? NULL : type;
}

static const ferry_type *read_type(DescriptionParser *p, Reader *reader, int depth) {
    const char *name;

    if (reader_peek(reader) == WIRE_ARRAY)
        return read_container(p, reader, depth);
    name = parser_text(p, reader);
    return name ? named_type(p, name) : NULL;
}

/* The layout of an entry needs the sizes of structs, which are computed last. */
static void lay_out_map(ferry_type *type) {
    type->value_offset = aligned(type->key->size);
    type->entry_size = type->value_offset + aligned(type->item->size);
}

void parser_lay_out_containers(const ferry_type *type) {
    ferry_type *own =
        (ferry_type *)(uintptr_t)type; /* containers are made here, so they may be changed */

    if (!type || (type->kind != FERRY_KIND_MAP && type->kind != FERRY_KIND_LIST &&
                  type->kind != FERRY_KIND_SET))
        return;
    parser_lay_out_containers(type->key);
    parser_lay_out_containers(type->item);
    if (type->kind == FERRY_KIND_MAP)
        lay_out_map(own);
}

/* ---- fields ---- */

static bool pend(DescriptionParser *p, ferry_field *field, Span value) {
    PendingDefault *pending = parser_take(p, sizeof(*pending));

    if (!pending)
        return false;
    *pending = (PendingDefault){p->pending, field, value};
    p->pending = pending;
    return true;
}

static void read_field_key(DescriptionParser *p, ferry_field *field, Span key, Reader *reader) {
    bool set = false;
    int64_t id;

    if (span_is(key, "name")) {
        field->name = parser_name(p, reader, false);
        field->name_len = field->name ? (uint16_t)strlen(field->name) : 0;
    } else if (span_is(key, "id")) {
        id = reader_int(reader);
        if (parser_good(p, reader) && (id < INT16_MIN || id > INT16_MAX))
            parser_refuse(p, "an id does not fit into 16 bits");
        field->id = (int16_t)id;
    } else if (span_is(key, "type")) {
        field->type = read_type(p, reader, 0);
    } else if (span_is(key, "optional")) {
        if (parser_flag(p, reader, &set) && set)
            field->flags |= FERRY_OPTIONAL;
    } else if (span_is(key, "required")) {
        if (parser_flag(p, reader, &set) && set)
            field->flags |= FERRY_REQUIRED;
    } else if (span_is(key, "default")) {
        Span value = parser_value(p, reader);

        if (!p->error.type)
            pend(p, field, value);
    } else if (!parser_note(p, key, reader, &field->notes)) {
        parser_value(p, reader);
    }
}

/* Structs are stored behind pointers, so the size of a struct does not depend on other structs. */
static uint32_t slot_size(ferry_field *field) {
    bool has_fields = field->type->kind >= FERRY_KIND_STRUCT;

    if (has_fields && !(field->flags & FERRY_OPTIONAL))
        field->flags |= FERRY_POINTER;
    return field_is_pointer(field) ? sizeof(void *) : field->type->size;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *parser_repeated_name(DescriptionParser *p, const char *const *first, uint32_t n,
                                 size_t stride) {
    const char **names = n > 1 ? calloc(n, sizeof(*names)) : NULL, *repeated = NULL;

    if (n > 1 && !names)
        parser_no_memory(p);
    assert(first || n == 0);
    for (uint32_t i = 0; names && i < n; i++)
        names[i] = *(const char *const *)((const char *)first + i * stride);
    if (names)
        qsort(names, n, sizeof(*names), compare_names);
    for (uint32_t i = 1; names && i < n && !repeated; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            repeated = names[i];
    free(names);
    return repeated;
}

ferry_field *parser_fields(DescriptionParser *p, Reader *reader, uint32_t *ret_n) {
    uint32_t n = reader_array(reader);
    ferry_field *fields;

    *ret_n = 0;
    if (!parser_good(p, reader))
        return NULL;
    if (n > VALUE_FIELDS_MAX) {
        parser_refuse(p, "there are too many fields");
        return NULL;
    }
    fields = parser_take_array(p, n, sizeof(*fields));
    for (uint32_t i = 0; i < n && fields && !p->error.type; i++) {
        Span map = parser_value(p, reader), key;
        MapWalk walk;

        if (!p->error.type)
            walk = parser_walk(p, map);
        while (!p->error.type && parser_next(p, &walk, &key))
            read_field_key(p, &fields[i], key, &walk.reader);
        if (!p->error.type && (!fields[i].name || !fields[i].type))
            parser_refuse(p, "a field has no name or no type");
        if (p->error.type)
            value_error_in_item(&p->error, i);
    }
    if (!p->error.type && n > 0 && parser_repeated_name(p, &fields->name, n, sizeof(*fields)))
        parser_refuse(p, "two fields have one name");
    if (p->error.type)
        return NULL;
    *ret_n = n;
    return fields;
}

/* Sets the offsets, one field after another. The fields of a union share the place behind
 * `which`. */
void parser_lay_out(ferry_type *type, ferry_field *fields, uint32_t n) {
    bool is_union = type->kind == FERRY_KIND_UNION;
    uint32_t at = is_union ? VALUE_ALIGN : 0, size = at;

    for (uint32_t i = 0; i < n; i++) {
        fields[i].offset = at;
        if (is_union) {
            uint32_t end = at + aligned(slot_size(&fields[i]));

            size = end > size ? end : size;
        } else {
            at += aligned(slot_size(&fields[i]));
            size = at;
        }
    }
    type->n = n;
    type->fields = fields;
    type->size = size > 0 ? size : VALUE_ALIGN;
}

/* ---- named types ---- */

static bool read_enum_value(DescriptionParser *p, Span map, ferry_enum_value *value) {
    MapWalk walk = parser_walk(p, map);
    int64_t number = INT64_MAX;
    Span key;

    while (parser_next(p, &walk, &key)) {
        if (span_is(key, "name"))
            value->name = parser_name(p, &walk.reader, false);
        else if (span_is(key, "value"))
            number = reader_int(&walk.reader);
        else if (!parser_note(p, key, &walk.reader, &value->notes))
            parser_value(p, &walk.reader);
    }
    if (!parser_good(p, &walk.reader))
        return false;
    if (!p->error.type && (!value->name || number < INT32_MIN || number > INT32_MAX))
        return parser_refuse(p, "an enum's value has no name, or no number of 32 bits");
    value->value = (int32_t)number;
    return !p->error.type;
}

static bool read_values(DescriptionParser *p, Span list, ferry_type *type) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = reader_array(&reader);
    ferry_enum_value *values;

    if (!parser_good(p, &reader))
        return false;
    values = parser_take_array(p, n, sizeof(*values));
    for (uint32_t i = 0; i < n && values && !p->error.type; i++) {
        Span map = parser_value(p, &reader);

        if (!p->error.type)
            read_enum_value(p, map, &values[i]);
    }
    if (!p->error.type && n > 0 && parser_repeated_name(p, &values->name, n, sizeof(*values)))
        parser_refuse(p, "two values have one name");
    type->n = n;
    type->values = values;
    return !p->error.type;
}

static uint32_t kind_of(Span word) {
    static const struct {
        const char *word;
        uint32_t kind;
    } kinds[] = {{"enum", FERRY_KIND_ENUM},
                 {"struct", FERRY_KIND_STRUCT},
                 {"union", FERRY_KIND_UNION},
                 {"exception", FERRY_KIND_EXCEPTION}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (span_is(word, kinds[i].word))
            return kinds[i].kind;
    return 0;
}

static bool add_named(DescriptionParser *p, Named *named) {
    const char *name = named->type->name;
    Named *before;

    if (!name || named->type->kind == 0 || !named->fields.data)
        return parser_refuse(p, "a type has no name, no kind, or no fields or values");
    HASH_FIND_STR(p->names, name, before);
    if (before || base_type(name))
        return parser_refuse(p, "two types have one name");
    HASH_ADD_KEYPTR(hh, p->names, name, strlen(name), named);
    return hash_added(named) ? true : parser_no_memory(p);
}

/* Reads a type's name and kind. Its contents are read when all names are known. */
static bool declare_type(DescriptionParser *p, Span map) {
    MapWalk walk = parser_walk(p, map);
    Named *named = parser_take(p, sizeof(*named));
    Span key;

    if (named)
        named->type = parser_take(p, sizeof(*named->type));
    if (!named || !named->type)
        return false;
    while (parser_next(p, &walk, &key)) {
        if (span_is(key, "name"))
            named->type->name = parser_name(p, &walk.reader, true);
        else if (span_is(key, "kind"))
            named->type->kind = kind_of(reader_str(&walk.reader));
        else if (span_is(key, "fields") || span_is(key, "values"))
            named->fields = parser_value(p, &walk.reader);
        else if (!parser_note(p, key, &walk.reader, &named->type->notes))
            parser_value(p, &walk.reader);
    }
    if (p->error.type || !parser_good(p, &walk.reader))
        return false;
    /* The size is known before the layout of fields that use it. */
    named->type->size = named->type->kind == FERRY_KIND_ENUM ? sizeof(int32_t) : 0;
    return add_named(p, named);
}

bool parser_declare_types(DescriptionParser *p, Span list) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = reader_array(&reader);

    for (uint32_t i = 0; i < n && parser_good(p, &reader) && !p->error.type; i++) {
        Span map = parser_value(p, &reader);

        if (!p->error.type)
            declare_type(p, map);
    }
    return parser_good(p, &reader) && !p->error.type;
}

static bool complete_type(DescriptionParser *p, Named *named) {
    Reader reader = reader_of(named->fields.data, named->fields.len);
    ferry_field *fields;
    uint32_t n;

    if (named->type->kind == FERRY_KIND_ENUM)
        return read_values(p, named->fields, named->type);
    fields = parser_fields(p, &reader, &n);
    if (p->error.type)
        return false;
    parser_lay_out(named->type, fields, n);
    return true;
}

bool parser_complete_types(DescriptionParser *p) {
    for (Named *named = p->names; named; named = named->hh.next)
        if (!complete_type(p, named)) {
            value_error_in_field(&p->error, named->type->name);
            return false;
        }
    for (Named *named = p->names; named; named = named->hh.next)
        for (uint32_t i = 0; named->type->kind != FERRY_KIND_ENUM && i < named->type->n; i++)
            parser_lay_out_containers(named->type->fields[i].type);
    return true;
}

const ferry_type *parser_type(DescriptionParser *p, Reader *reader) {
    const ferry_type *type = read_type(p, reader, 0);

    parser_lay_out_containers(type);
    return type;
}

void parser_forget_types(DescriptionParser *p) {
    HASH_CLEAR(hh, p->names);
}
