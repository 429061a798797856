/* A description to tables. It comes from a stranger. See description.h. */

#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "rpc/schema/arena.h"
#include "rpc/schema/codec.h"
#include "rpc/schema/description.h"
#include "rpc/schema/trouble.h"
#include "rpc/schema/values.h"
#include "rpc/wire/name.h"

typedef struct Named {
    UT_hash_handle hh;
    ferry_type *type;
    Span fields; /* its "fields" or "values", to be read once all names are known */
    bool is_enum;
} Named;

/* A field's default, which can be read once all types are complete. */
typedef struct Pending {
    struct Pending *next;
    ferry_field *field;
    Span value;
} Pending;

typedef struct Parser {
    Arena *arena;
    Trouble trouble;
    Named *names;
    Pending *pending;
    ferry_service *service;
} Parser;

static bool refuse(Parser *p, const char *text) {
    trouble_set(&p->trouble, NULL, "%s", text);
    return false;
}

static bool out_of_memory(Parser *p) {
    trouble_set(&p->trouble, "ferry.OutOfMemory", "out of memory");
    return false;
}

static void *take(Parser *p, size_t size) {
    void *piece = arena_take(p->arena, size);

    if (!piece)
        out_of_memory(p);
    else
        memset(piece, 0, size);
    return piece;
}

static void *take_array(Parser *p, size_t n, size_t size) {
    return take(p, n * size); /* n is bounded by the bytes of the description */
}

/* A failure of the reader becomes one of the parser. */
static bool good(Parser *p, const Reader *reader) {
    return !reader->problem || refuse(p, reader->problem);
}

static const char *read_text(Parser *p, Reader *reader) {
    Span span = reader_str(reader);
    char *text;

    if (!good(p, reader))
        return NULL;
    if (memchr(span.data, 0, span.len) || !text_is_utf8(span.data, span.len)) {
        refuse(p, "a text is not UTF-8");
        return NULL;
    }
    text = take(p, span.len + 1);
    if (text && span.len > 0)
        memcpy(text, span.data, span.len);
    return text;
}

/* An identifier; with dots where a whole name is meant. */
static bool is_identifier(const char *text, bool dots) {
    size_t len = strlen(text);
    bool start = true;

    if (len == 0 || len > DESCRIPTION_NAMES_MAX)
        return false;
    for (const char *c = text; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';

        if (*c == '.' && dots && !start)
            start = true;
        else if (letter || (!start && *c >= '0' && *c <= '9'))
            start = false;
        else
            return false;
    }
    return !start;
}

static const char *read_name(Parser *p, Reader *reader, bool dots) {
    const char *text = read_text(p, reader);

    if (text && !is_identifier(text, dots)) {
        refuse(p, "a name is not one");
        return NULL;
    }
    return text;
}

/* ---- maps ---- */

/* Walks over a map's pairs. True while there is one: *key, and the reader at its value. */
typedef struct Walk {
    Reader reader;
    uint32_t left;
} Walk;

static Walk walk_of(Parser *p, Span map) {
    Walk walk = {reader_of(map.data, map.len), 0};

    walk.left = reader_map(&walk.reader);
    good(p, &walk.reader);
    return walk;
}

static bool walk_next(Parser *p, Walk *walk, Span *key) {
    if (p->trouble.type || walk->left == 0)
        return false;
    walk->left--;
    *key = reader_str(&walk->reader);
    return good(p, &walk->reader);
}

static Span read_value(Parser *p, Reader *reader) {
    Span span = reader_value(reader);

    good(p, reader);
    return span;
}

/* ---- notes ---- */

static bool read_annotations(Parser *p, Reader *reader, ferry_notes *notes) {
    uint32_t n = reader_array(reader);
    ferry_annotation *annotations;

    if (!good(p, reader))
        return false;
    annotations = take_array(p, n, sizeof(*annotations));
    if (!annotations)
        return false;
    for (uint32_t i = 0; i < n && !p->trouble.type; i++) {
        if (reader_array(reader) != 2)
            return refuse(p, "an annotation is a name and a value");
        annotations[i].name = read_name(p, reader, true);
        annotations[i].value = annotations[i].name ? read_text(p, reader) : NULL;
    }
    notes->n_annotations = n;
    notes->annotations = annotations;
    return !p->trouble.type;
}

/* Is it a key of notes? Then it is read. */
static bool read_note(Parser *p, Span key, Reader *reader, const ferry_notes **ret) {
    ferry_notes *notes;
    bool doc = span_is(key, "doc");

    if (!doc && !span_is(key, "annotations"))
        return false;
    notes = *ret ? (ferry_notes *)(uintptr_t)*ret : take(p, sizeof(*notes));
    if (!notes)
        return true;
    *ret = notes;
    if (doc)
        notes->doc = read_text(p, reader);
    else
        read_annotations(p, reader, notes);
    return true;
}

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

static const ferry_type *named_type(Parser *p, const char *name) {
    const ferry_type *type = base_type(name);
    Named *named;

    if (type)
        return type;
    HASH_FIND_STR(p->names, name, named);
    if (named)
        return named->type;
    trouble_set(&p->trouble, NULL, "there is no type '%.100s'", name);
    return NULL;
}

static uint32_t aligned(uint32_t size) {
    return (size + VALUE_ALIGN - 1) / VALUE_ALIGN * VALUE_ALIGN;
}

static const ferry_type *read_type(Parser *p, Reader *reader, int depth);

static const ferry_type *read_container(Parser *p, Reader *reader, int depth) {
    uint32_t n = reader_array(reader);
    Span word = reader_str(reader);
    bool map = span_is(word, "map");
    ferry_type *type;

    if (!good(p, reader))
        return NULL;
    if (depth == DESCRIPTION_TYPE_DEPTH) {
        refuse(p, "a type is nested too deep");
        return NULL;
    }
    if (n != (map ? 3u : 2u) || (!map && !span_is(word, "list") && !span_is(word, "set"))) {
        refuse(p, "a type is no list, set or map");
        return NULL;
    }
    type = take(p, sizeof(*type));
    if (!type)
        return NULL;
    type->kind = map ? FERRY_KIND_MAP : span_is(word, "set") ? FERRY_KIND_SET : FERRY_KIND_LIST;
    type->size = sizeof(ValueList);
    type->key = map ? read_type(p, reader, depth + 1) : NULL;
    type->item = p->trouble.type ? NULL : read_type(p, reader, depth + 1);
    return p->trouble.type ? NULL : type;
}

static const ferry_type *read_type(Parser *p, Reader *reader, int depth) {
    const char *name;

    if (reader_peek(reader) == WIRE_ARRAY)
        return read_container(p, reader, depth);
    name = read_text(p, reader);
    return name ? named_type(p, name) : NULL;
}

/* Entries of maps need the sizes of structs, which are known last. */
static void lay_out_map(ferry_type *type) {
    type->value_offset = aligned(type->key->size);
    type->entry_size = type->value_offset + aligned(type->item->size);
}

static void lay_out_containers(const ferry_type *type) {
    ferry_type *own = (ferry_type *)(uintptr_t)type; /* ours: only containers are written to */

    if (!type || (type->kind != FERRY_KIND_MAP && type->kind != FERRY_KIND_LIST &&
                  type->kind != FERRY_KIND_SET))
        return;
    lay_out_containers(type->key);
    lay_out_containers(type->item);
    if (type->kind == FERRY_KIND_MAP)
        lay_out_map(own);
}

/* ---- fields ---- */

static bool pend(Parser *p, ferry_field *field, Span value) {
    Pending *pending = take(p, sizeof(*pending));

    if (!pending)
        return false;
    *pending = (Pending){p->pending, field, value};
    p->pending = pending;
    return true;
}

static bool read_flag(Parser *p, Reader *reader, bool *ret) {
    *ret = reader_bool(reader);
    return good(p, reader);
}

static void read_field_key(Parser *p, ferry_field *field, Span key, Reader *reader) {
    bool set = false;
    int64_t id;

    if (span_is(key, "name")) {
        field->name = read_name(p, reader, false);
        field->name_len = field->name ? (uint16_t)strlen(field->name) : 0;
    } else if (span_is(key, "id")) {
        id = reader_int(reader);
        if (good(p, reader) && (id < INT16_MIN || id > INT16_MAX))
            refuse(p, "an id has 16 bits");
        field->id = (int16_t)id;
    } else if (span_is(key, "type")) {
        field->type = read_type(p, reader, 0);
    } else if (span_is(key, "optional")) {
        if (read_flag(p, reader, &set) && set)
            field->flags |= FERRY_OPTIONAL;
    } else if (span_is(key, "required")) {
        if (read_flag(p, reader, &set) && set)
            field->flags |= FERRY_REQUIRED;
    } else if (span_is(key, "default")) {
        Span value = read_value(p, reader);

        if (!p->trouble.type)
            pend(p, field, value);
    } else if (!read_note(p, key, reader, &field->notes)) {
        read_value(p, reader);
    }
}

/* All structs stand behind pointers: so no struct's size depends on another's. */
static uint32_t slot_size(ferry_field *field) {
    bool has_fields = field->type->kind >= FERRY_KIND_STRUCT;

    if (has_fields && !(field->flags & FERRY_OPTIONAL))
        field->flags |= FERRY_POINTER;
    return field_is_pointer(field) ? sizeof(void *) : field->type->size;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The first of n names is at `first`, the next one stride bytes on. Sorted, because a stranger may
 * send many structs of many fields, and the broker does nothing else meanwhile. */
static bool names_differ(Parser *p, const char *const *first, uint32_t n, size_t stride,
                         const char *problem) {
    const char **names = n > 1 ? calloc(n, sizeof(*names)) : NULL;

    if (n > 1 && !names)
        return out_of_memory(p);
    for (uint32_t i = 0; names && i < n; i++)
        names[i] = *(const char *const *)((const char *)first + i * stride);
    if (names)
        qsort(names, n, sizeof(*names), compare_names);
    for (uint32_t i = 1; i < n && !p->trouble.type; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            refuse(p, problem);
    free(names);
    return !p->trouble.type;
}

static ferry_field *read_fields(Parser *p, Reader *reader, uint32_t *ret_n) {
    uint32_t n = reader_array(reader);
    ferry_field *fields;

    *ret_n = 0;
    if (!good(p, reader))
        return NULL;
    if (n > VALUE_FIELDS_MAX) {
        refuse(p, "there are too many fields");
        return NULL;
    }
    fields = take_array(p, n, sizeof(*fields));
    for (uint32_t i = 0; i < n && fields && !p->trouble.type; i++) {
        Span map = read_value(p, reader), key;
        Walk walk;

        if (!p->trouble.type)
            walk = walk_of(p, map);
        while (!p->trouble.type && walk_next(p, &walk, &key))
            read_field_key(p, &fields[i], key, &walk.reader);
        if (!p->trouble.type && (!fields[i].name || !fields[i].type))
            refuse(p, "a field has no name or no type");
        if (p->trouble.type)
            trouble_in_item(&p->trouble, i);
    }
    if (p->trouble.type ||
        (n > 0 && !names_differ(p, &fields->name, n, sizeof(*fields), "two fields have one name")))
        return NULL;
    *ret_n = n;
    return fields;
}

/* Offsets, one field after the other; a union's at one place behind which. */
static void lay_out(ferry_type *type, ferry_field *fields, uint32_t n) {
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

static bool read_enum_value(Parser *p, Span map, ferry_enum_value *value) {
    Walk walk = walk_of(p, map);
    int64_t number = INT64_MAX;
    Span key;

    while (walk_next(p, &walk, &key)) {
        if (span_is(key, "name"))
            value->name = read_name(p, &walk.reader, false);
        else if (span_is(key, "value"))
            number = reader_int(&walk.reader);
        else if (!read_note(p, key, &walk.reader, &value->notes))
            read_value(p, &walk.reader);
    }
    if (!good(p, &walk.reader))
        return false;
    if (!p->trouble.type && (!value->name || number < INT32_MIN || number > INT32_MAX))
        return refuse(p, "an enum's value has no name, or no number of 32 bits");
    value->value = (int32_t)number;
    return !p->trouble.type;
}

static bool read_values(Parser *p, Span list, ferry_type *type) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = reader_array(&reader);
    ferry_enum_value *values;

    if (!good(p, &reader))
        return false;
    values = take_array(p, n, sizeof(*values));
    for (uint32_t i = 0; i < n && values && !p->trouble.type; i++) {
        Span map = read_value(p, &reader);

        if (!p->trouble.type)
            read_enum_value(p, map, &values[i]);
    }
    if (!p->trouble.type && n > 0)
        names_differ(p, &values->name, n, sizeof(*values), "two values have one name");
    type->n = n;
    type->values = values;
    return !p->trouble.type;
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

static bool add_named(Parser *p, Named *named) {
    const char *name = named->type->name;
    Named *before;

    if (!name || named->type->kind == 0 || !named->fields.data)
        return refuse(p, "a type has no name, no kind or nothing inside");
    HASH_FIND_STR(p->names, name, before);
    if (before || base_type(name))
        return refuse(p, "two types have one name");
    HASH_ADD_KEYPTR(hh, p->names, name, strlen(name), named);
    return hash_added(named) ? true : out_of_memory(p);
}

/* Its name and kind; what is inside is read when all names are known. */
static bool declare_type(Parser *p, Span map) {
    Walk walk = walk_of(p, map);
    Named *named = take(p, sizeof(*named));
    Span key;

    if (named)
        named->type = take(p, sizeof(*named->type));
    if (p->trouble.type)
        return false;
    while (walk_next(p, &walk, &key)) {
        if (span_is(key, "name"))
            named->type->name = read_name(p, &walk.reader, true);
        else if (span_is(key, "kind"))
            named->type->kind = kind_of(reader_str(&walk.reader));
        else if (span_is(key, "fields") || span_is(key, "values"))
            named->fields = read_value(p, &walk.reader);
        else if (!read_note(p, key, &walk.reader, &named->type->notes))
            read_value(p, &walk.reader);
    }
    if (p->trouble.type || !good(p, &walk.reader))
        return false;
    /* So that fields can be laid out in any order. */
    named->type->size = named->type->kind == FERRY_KIND_ENUM ? sizeof(int32_t) : 0;
    return add_named(p, named);
}

static bool declare_types(Parser *p, Span list) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = reader_array(&reader);

    for (uint32_t i = 0; i < n && good(p, &reader) && !p->trouble.type; i++) {
        Span map = read_value(p, &reader);

        if (!p->trouble.type)
            declare_type(p, map);
    }
    return good(p, &reader) && !p->trouble.type;
}

static bool complete_type(Parser *p, Named *named) {
    Reader reader = reader_of(named->fields.data, named->fields.len);
    ferry_field *fields;
    uint32_t n;

    if (named->type->kind == FERRY_KIND_ENUM)
        return read_values(p, named->fields, named->type);
    fields = read_fields(p, &reader, &n);
    if (p->trouble.type)
        return false;
    if (named->type->kind == FERRY_KIND_UNION && n == 0)
        return refuse(p, "a union has no fields");
    lay_out(named->type, fields, n);
    return true;
}

static bool complete_types(Parser *p) {
    for (Named *named = p->names; named; named = named->hh.next)
        if (!complete_type(p, named)) {
            trouble_in_field(&p->trouble, named->type->name);
            return false;
        }
    for (Named *named = p->names; named; named = named->hh.next)
        for (uint32_t i = 0; named->type->kind != FERRY_KIND_ENUM && i < named->type->n; i++)
            lay_out_containers(named->type->fields[i].type);
    return true;
}

/* ---- methods ---- */

static bool read_args(Parser *p, Reader *reader, ferry_method *method) {
    ferry_type *type = take(p, sizeof(*type));
    ferry_field *fields;
    uint32_t n;

    if (!type)
        return false;
    fields = read_fields(p, reader, &n);
    if (p->trouble.type)
        return false;
    type->kind = FERRY_KIND_ARGS;
    lay_out(type, fields, n);
    for (uint32_t i = 0; i < n; i++)
        lay_out_containers(fields[i].type);
    method->args = type;
    return true;
}

static const ferry_type *read_whole_type(Parser *p, Reader *reader) {
    const ferry_type *type = read_type(p, reader, 0);

    lay_out_containers(type);
    return type;
}

static void read_method_flag(Parser *p, Reader *reader, ferry_method *method, uint32_t flag) {
    bool set;

    if (read_flag(p, reader, &set) && set)
        method->flags |= flag;
}

static void read_throws(Parser *p, Reader *reader, ferry_method *method) {
    ferry_field *fields = read_fields(p, reader, &method->n_throws);

    method->throws = fields;
    for (uint32_t i = 0; i < method->n_throws; i++)
        if (fields[i].type->kind != FERRY_KIND_EXCEPTION)
            refuse(p, "only an exception can be thrown");
}

static void read_method_key(Parser *p, ferry_method *method, Span key, Reader *reader) {
    uint64_t ms;

    if (span_is(key, "name")) {
        method->name = read_name(p, reader, false);
    } else if (span_is(key, "args")) {
        read_args(p, reader, method);
    } else if (span_is(key, "result")) {
        method->result = read_whole_type(p, reader);
    } else if (span_is(key, "stream_in")) {
        method->stream_in = read_whole_type(p, reader);
        method->flags |= FERRY_STREAM_IN;
    } else if (span_is(key, "stream_out")) {
        method->stream_out = read_whole_type(p, reader);
        method->flags |= FERRY_STREAM_OUT;
    } else if (span_is(key, "throws")) {
        read_throws(p, reader, method);
    } else if (span_is(key, "oneway")) {
        read_method_flag(p, reader, method, FERRY_ONEWAY);
    } else if (span_is(key, "idempotent")) {
        read_method_flag(p, reader, method, FERRY_IDEMPOTENT);
    } else if (span_is(key, "inherited")) {
        read_method_flag(p, reader, method, FERRY_INHERITED);
    } else if (span_is(key, "timeout_ms")) {
        ms = reader_uint(reader);
        method->timeout_ms = ms > 3600000 ? 3600000 : (uint32_t)ms;
    } else if (span_is(key, "cache_ttl_ms")) {
        method->cache_ttl_ms = reader_uint(reader);
    } else if (!read_note(p, key, reader, &method->notes)) {
        read_value(p, reader);
    }
}

static bool read_method(Parser *p, Span map, ferry_method *method) {
    Walk walk = walk_of(p, map);
    Span key;

    while (walk_next(p, &walk, &key))
        read_method_key(p, method, key, &walk.reader);
    if (p->trouble.type || !good(p, &walk.reader))
        return false;
    return method->name ? true : refuse(p, "a method has no name");
}

static bool read_methods(Parser *p, Span list) {
    Reader reader = reader_of(list.data, list.len);
    uint32_t n = reader_array(&reader);
    ferry_method *methods;

    if (!good(p, &reader))
        return false;
    if (n > VALUE_FIELDS_MAX)
        return refuse(p, "there are too many methods");
    methods = take_array(p, n, sizeof(*methods));
    for (uint32_t i = 0; i < n && methods && !p->trouble.type; i++) {
        Span map = read_value(p, &reader);

        if (!p->trouble.type)
            read_method(p, map, &methods[i]);
        for (uint32_t k = 0; k < i && !p->trouble.type; k++)
            if (strcmp(methods[i].name, methods[k].name) == 0)
                refuse(p, "two methods have one name");
        if (p->trouble.type && methods[i].name)
            trouble_in_field(&p->trouble, methods[i].name);
        else if (p->trouble.type)
            trouble_in_item(&p->trouble, i);
    }
    p->service->n_methods = n;
    p->service->methods = methods;
    return !p->trouble.type;
}

/* ---- the whole ---- */

/* Into the arena of the description; what it says of the field's own type is final by now. */
static bool read_defaults(Parser *p) {
    for (Pending *pending = p->pending; pending; pending = pending->next) {
        ferry_error error = FERRY_ERROR_INIT;
        void *value = NULL;
        int r = schema_unpack_into(p->arena, pending->field->type, pending->value,
                                   pending->field->name, &value, &error);

        if (r < 0) {
            trouble_set(&p->trouble, r == -ENOMEM ? "ferry.OutOfMemory" : NULL,
                        "a default is refused: %s", error.message);
            ferry_error_clear(&error);
            return false;
        }
        pending->field->value = value;
    }
    return true;
}

static bool read_service(Parser *p, Span bytes) {
    Walk walk = walk_of(p, bytes);
    Span key, methods = {NULL, 0}, types = {NULL, 0};
    uint64_t version = 0;

    while (walk_next(p, &walk, &key)) {
        if (span_is(key, "v"))
            version = reader_uint(&walk.reader);
        else if (span_is(key, "service"))
            p->service->name = read_text(p, &walk.reader);
        else if (span_is(key, "extends"))
            p->service->extends = read_name(p, &walk.reader, true);
        else if (span_is(key, "methods"))
            methods = read_value(p, &walk.reader);
        else if (span_is(key, "types"))
            types = read_value(p, &walk.reader);
        else if (!read_note(p, key, &walk.reader, &p->service->notes))
            read_value(p, &walk.reader);
    }
    if (p->trouble.type || !good(p, &walk.reader))
        return false;
    if (walk.reader.at != walk.reader.end)
        return refuse(p, "there are bytes after it");
    if (version != DESCRIPTION_VERSION)
        return refuse(p, "its version is not known here");
    if (!p->service->name || !name_is_valid(p->service->name, strlen(p->service->name)))
        return refuse(p, "the service has no name, or none that may be one");
    if (!methods.data)
        return refuse(p, "it has no methods");
    if (types.data && !declare_types(p, types))
        return false;
    return complete_types(p) && read_methods(p, methods) && read_defaults(p);
}

int description_read(Span bytes, ferry_service **ret, ferry_error *reterr) {
    Arena arena;
    Parser parser = {.arena = &arena};
    int r;

    if (bytes.len > DESCRIPTION_BYTES_MAX)
        return error_set(reterr, "ferry.TooBig", "a description has %d bytes at most",
                         DESCRIPTION_BYTES_MAX);
    trouble_init(&parser.trouble);
    arena_init(&arena, 64 * 1024 + 64 * bytes.len);
    /* The first piece is where the block begins. */
    parser.service = arena_grow(&arena, sizeof(ferry_service), 8 * bytes.len);
    if (!parser.service)
        return error_set(reterr, "ferry.OutOfMemory", "out of memory");
    *parser.service = (ferry_service){.schema_version = FERRY_SCHEMA_VERSION};
    read_service(&parser, bytes);
    HASH_CLEAR(hh, parser.names);
    if (!parser.trouble.type) {
        *ret = parser.service;
        return 0;
    }
    r = trouble_report(&parser.trouble, "description", reterr);
    ferry_free(arena.block);
    return r;
}
