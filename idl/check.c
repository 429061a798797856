/* What is wrong with a file that can be parsed; and what its names mean. See program.h. */

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "idl/check-cache.h"
#include "idl/parser.h"
#include "idl/program.h"

enum { STATE_NEW, STATE_OPEN, STATE_DONE }; /* Definition.state */

/* ---- types ---- */

static bool is_type(const Definition *definition) {
    return definition->kind != DEFINITION_CONST && definition->kind != DEFINITION_SERVICE;
}

static bool is_service(const Definition *definition) {
    return definition->kind == DEFINITION_SERVICE;
}

const Type *type_true(const Type *type) {
    for (int i = 0; type && i < PROGRAM_DEPTH_MAX; i++) {
        if (type->kind != TYPE_NAMED)
            return type;
        if (!type->target)
            return NULL;
        if (type->target->kind != DEFINITION_TYPEDEF)
            return type;
        type = type->target->type;
    }
    return NULL;
}

Definition *type_definition(const Type *type) {
    const Type *is = type_true(type);

    return is && is->kind == TYPE_NAMED ? is->target : NULL;
}

bool types_equal(const Type *a, const Type *b) {
    a = type_true(a);
    b = type_true(b);
    if (!a || !b || a->kind != b->kind)
        return false;
    if (a->kind == TYPE_NAMED)
        return a->target == b->target;
    return (!a->key || types_equal(a->key, b->key)) && (!a->item || types_equal(a->item, b->item));
}

/* What types are called elsewhere. */
static const char *usual_name(const char *name) {
    static const char *const names[][2] = {
        {"int", "i32"},        {"integer", "i32"},    {"int8", "i8"},      {"int16", "i16"},
        {"int32", "i32"},      {"int64", "i64"},      {"int8_t", "i8"},    {"int16_t", "i16"},
        {"int32_t", "i32"},    {"int64_t", "i64"},    {"short", "i16"},    {"long", "i64"},
        {"char", "i8"},        {"u8", "i16"},         {"u16", "i32"},      {"u32", "i64"},
        {"u64", "i64"},        {"uint8", "i16"},      {"uint16", "i32"},   {"uint32", "i64"},
        {"uint64", "i64"},     {"size_t", "i64"},     {"unsigned", "i64"}, {"float", "double"},
        {"float32", "double"}, {"float64", "double"}, {"boolean", "bool"}, {"str", "string"},
        {"text", "string"},    {"bytes", "binary"},   {"blob", "binary"},  {"buffer", "binary"},
        {"guid", "uuid"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcasecmp(name, names[i][0]) == 0)
            return names[i][1];
    return NULL;
}

static void unknown_type(Program *program, const File *file, const Type *type) {
    static const char *const base[] = {"bool",   "byte",   "i8",     "i16",  "i32", "i64",
                                       "double", "string", "binary", "uuid", "void"};
    const char *hint = program_hint(program, file, type->name, is_type);
    const char *base_name = usual_name(type->name);

    if (!hint && !base_name)
        base_name = text_nearest(type->name, base, sizeof(base) / sizeof(*base));
    if (!hint && base_name)
        hint = pool_printf(&program->pool, "did you mean '%s'?", base_name);
    if (!hint && strchr(type->name, '.'))
        hint = "a name with a dot needs the include of its file";
    report_error(&program->reports, type->place, hint, "there is no type '%s'", type->name);
}

static void resolve_type(Program *program, const File *file, Type *type, bool stream_allowed) {
    if (type->kind == TYPE_STREAM && !stream_allowed)
        report_error(&program->reports, type->place, NULL,
                     "a stream can only be the argument or the result of a method");
    if (type->key)
        resolve_type(program, file, type->key, false);
    if (type->item)
        resolve_type(program, file, type->item, false);
    if (type->kind != TYPE_NAMED)
        return;
    type->target = program_find(file, type->name);
    if (!type->target) {
        unknown_type(program, file, type);
    } else if (!is_type(type->target)) {
        report_error(&program->reports, type->place, NULL, "'%s' is no type but a %s", type->name,
                     type->target->kind == DEFINITION_SERVICE ? "service" : "constant");
        type->target = NULL;
    }
}

/* A typedef of itself, or of another that leads back: what cannot be followed to its end. */
static void check_typedef(Program *program, Definition *definition) {
    const Type *type = definition->type;

    for (int i = 0; type->kind == TYPE_NAMED && type->target; i++) {
        if (type->target->kind != DEFINITION_TYPEDEF)
            return;
        if (type->target == definition || i == PROGRAM_DEPTH_MAX) {
            report_error(&program->reports, definition->name.place, NULL,
                         "the typedef '%s' is made of itself", definition->name.text);
            definition->type->target = NULL;
            return;
        }
        type = type->target->type;
    }
}

/* ---- fields ---- */

static void same_name(Program *program, Name name, Name before, const char *what) {
    report_error(&program->reports, name.place, NULL, "there are two %s named '%s'", what,
                 name.text);
    report_also(&program->reports, before.place, "the first one is here");
}

/* Looks among the fields before it. Structs are small, except those of somebody who wants to see a
 * compiler hang: past a thousand fields there is an error anyway. */
enum { FIELDS_MAX = 1024 };

static void check_unique(Program *program, const Field *first, const Field *field) {
    for (const Field *before = first; before != field; before = before->next) {
        if (before->id == field->id && field->has_id) {
            report_error(&program->reports, field->id_place, NULL,
                         "the number %lld is taken by '%s'", (long long)field->id,
                         before->name.text);
            report_also(&program->reports, before->name.place, "here");
        }
        if (strcmp(before->name.text, field->name.text) == 0)
            same_name(program, field->name, before->name, "fields");
    }
}

static void check_fields(Program *program, const File *file, Field *first, bool are_args) {
    int64_t automatic = -1;
    size_t n = 0;

    for (Field *field = first; field; field = field->next, n++) {
        if (n == FIELDS_MAX) {
            report_error(&program->reports, field->name.place,
                         "put some into a struct of their own", "there are more than %d fields",
                         FIELDS_MAX);
            return;
        }
        if (!field->has_id)
            field->id = automatic--;
        else if (field->id < INT16_MIN || field->id > INT16_MAX)
            report_error(&program->reports, field->id_place, NULL,
                         "a field's number has 16 bits: -32768 to 32767");
        else if (field->id <= 0)
            report(&program->reports, SEVERITY_WARNING, field->id_place, NULL,
                   "field numbers start at 1: others are given to fields without one");
        check_unique(program, first, field);
        resolve_type(program, file, field->type, are_args);
        field->optional = field->presence == PRESENCE_OPTIONAL;
        if (field->reference) {
            field->pointer = true;
            field->optional = field->presence != PRESENCE_REQUIRED;
        }
    }
}

/* ---- structs that hold themselves ---- */

static Definition *held(const Field *field) {
    Definition *definition = type_definition(field->type);

    return definition && definition_has_fields(definition) ? definition : NULL;
}

/* A field that must be there, whose struct must have it again, and so on: no value ever ends. */
static bool check_endless(Program *program, Definition *definition, int depth) {
    bool good = true;

    if (definition->state == STATE_DONE)
        return true;
    definition->state = STATE_OPEN;
    for (Field *field = definition->fields; field && good; field = field->next) {
        Definition *inside = field->presence == PRESENCE_REQUIRED ? held(field) : NULL;

        if (!inside || definition->kind == DEFINITION_UNION)
            continue;
        if (inside->state == STATE_OPEN || depth == PROGRAM_DEPTH_MAX) {
            report_error(&program->reports, field->name.place, "make it optional",
                         "'%s' holds itself, by way of this required field", inside->name.text);
            field->presence = PRESENCE_OPTIONAL;
            field->optional = true;
            good = false;
        } else {
            good = check_endless(program, inside, depth + 1);
        }
    }
    definition->state = STATE_DONE;
    return good;
}

/* Tarjan's search for what holds each other by value. */
typedef struct Rings {
    Program *program;
    struct RingNode *stack;
    int n;
    bool too_deep;
} Rings;

typedef struct RingNode {
    Definition *definition;
    struct RingNode *below; /* on the stack */
    int index, lowest, ring;
    bool on_stack;
} RingNode;

/* Definition.state, once structs have been numbered: index into nodes. */
static void search_rings(Rings *rings, RingNode *nodes, int at, int depth) {
    RingNode *node = &nodes[at];

    node->index = node->lowest = ++rings->n;
    node->below = rings->stack;
    node->on_stack = true;
    rings->stack = node;
    for (const Field *field = node->definition->fields; field; field = field->next) {
        Definition *inside = field->optional || field->pointer ? NULL : held(field);
        RingNode *next;

        if (!inside || inside->file != node->definition->file)
            continue;
        next = &nodes[inside->state];
        if (next->index == 0) {
            if (depth == PROGRAM_DEPTH_MAX) {
                if (!rings->too_deep)
                    report_error(&rings->program->reports, field->name.place, "make it optional",
                                 "structs hold each other more than %d levels deep",
                                 PROGRAM_DEPTH_MAX);
                rings->too_deep = true;
                continue;
            }
            search_rings(rings, nodes, inside->state, depth + 1);
            node->lowest = next->lowest < node->lowest ? next->lowest : node->lowest;
        } else if (next->on_stack) {
            node->lowest = next->index < node->lowest ? next->index : node->lowest;
        }
    }
    if (node->lowest != node->index)
        return;
    for (RingNode *member = NULL; member != node;) {
        member = rings->stack;
        rings->stack = member->below;
        member->on_stack = false;
        member->ring = node->index;
    }
}

/*
 * C cannot hold a struct inside itself. All fields of a ring become pointers, not only one that
 * breaks it: which that is would depend on the order of definitions.
 */
static void break_rings(Program *program, const File *file) {
    Rings rings = {.program = program};
    RingNode *nodes;
    int n = 0;

    for (Definition *d = file->definitions; d; d = d->next)
        n += definition_has_fields(d);
    nodes = pool_alloc(&program->pool, ((size_t)n + 1) * sizeof(*nodes));
    n = 0;
    for (Definition *d = file->definitions; d; d = d->next)
        if (definition_has_fields(d)) {
            d->state = n;
            nodes[n++].definition = d;
        }
    for (int i = 0; i < n; i++)
        if (nodes[i].index == 0)
            search_rings(&rings, nodes, i, 0);
    for (int i = 0; i < n; i++)
        for (Field *field = nodes[i].definition->fields; field; field = field->next) {
            Definition *inside = field->optional || field->pointer ? NULL : held(field);

            if (!inside || inside->file != file || nodes[inside->state].ring != nodes[i].ring)
                continue;
            if (nodes[i].definition->kind == DEFINITION_UNION) {
                field->pointer = true;
            } else if (field->presence != PRESENCE_REQUIRED) {
                field->pointer = true;
                field->optional = true;
            }
        }
}

/* ---- definitions ---- */

static void check_enum(Program *program, Definition *definition) {
    int64_t next = 0;
    size_t n = 0;

    for (EnumValue *value = definition->values; value; value = value->next, n++) {
        if (!value->has_number)
            value->number = next;
        if (value->number < INT32_MIN || value->number > INT32_MAX) {
            report_error(&program->reports,
                         value->has_number ? value->number_place : value->name.place, NULL,
                         "an enum's value has 32 bits: -2147483648 to 2147483647");
            value->number = 0;
        }
        next = value->number + 1;
        if (n >= FIELDS_MAX * 8) {
            report_error(&program->reports, value->name.place, NULL,
                         "there are more than %d values", FIELDS_MAX * 8);
            return;
        }
        for (EnumValue *before = definition->values; before != value; before = before->next) {
            if (strcmp(before->name.text, value->name.text) == 0)
                same_name(program, value->name, before->name, "values");
            else if (before->number == value->number)
                report(&program->reports, SEVERITY_WARNING, value->name.place, NULL,
                       "'%s' has the same number as '%s', which will be its name", value->name.text,
                       before->name.text);
        }
    }
}

static void check_union(Program *program, Definition *definition) {
    const Field *with_value = NULL;

    if (!definition->fields)
        report_error(&program->reports, definition->name.place, NULL, "a union needs a field");
    for (Field *field = definition->fields; field; field = field->next) {
        if (field->presence == PRESENCE_REQUIRED)
            report(&program->reports, SEVERITY_WARNING, field->name.place, NULL,
                   "a union holds one of its fields: none can be required");
        field->presence = PRESENCE_DEFAULT;
        field->optional = false;
        field->pointer = field->reference;
        if (field->value && with_value)
            report_error(&program->reports, field->name.place, NULL,
                         "only one field of a union can have a default");
        if (field->value)
            with_value = field;
    }
}

static void check_message(Program *program, const Definition *definition) {
    const Annotation *message = annotation_find(definition->annotations, "message");

    if (!message || definition->kind != DEFINITION_EXCEPTION)
        return;
    for (const Field *field = definition->fields; field; field = field->next) {
        const Type *type = type_true(field->type);

        if (strcmp(field->name.text, message->value) == 0 && type && type->kind == TYPE_STRING)
            return;
    }
    report_error(&program->reports, message->name.place, NULL,
                 "'message' must name a string field of the exception");
}

/* ---- services ---- */

static void check_duration(Program *program, const Annotation *annotation, uint64_t max_ms) {
    uint64_t ms;

    if (!annotation || !annotation->has_value) {
        if (annotation)
            report_error(&program->reports, annotation->name.place,
                         "write it as \"250ms\", \"5s\" or \"2m\"", "'%s' needs a time",
                         annotation->name.text);
        return;
    }
    if (text_parse_ms(annotation->value, &ms) < 0 || ms == 0)
        report_error(&program->reports, annotation->value_place,
                     "write it as \"250ms\", \"5s\" or \"2m\"", "'%s' is no time",
                     annotation->value);
    else if (ms > max_ms)
        report_error(&program->reports, annotation->value_place, NULL, "the longest %s is %s",
                     annotation->name.text, max_ms > 3600000 ? "10000 days" : "1h");
}

static void check_flag(Program *program, const Annotation *annotation) {
    if (annotation && strcmp(annotation->value, "true") != 0 &&
        strcmp(annotation->value, "false") != 0 && strcmp(annotation->value, "1") != 0 &&
        strcmp(annotation->value, "0") != 0)
        report_error(&program->reports, annotation->value_place, "\"true\" or \"false\"",
                     "'%s' is neither true nor false", annotation->value);
}

static void check_method_annotations(Program *program, const Function *function) {
    static const char *const known[] = {"timeout",   "idempotent", "cache.ttl",      "cache.stale",
                                        "cache.key", "cache.tags", "cache.negative", "deprecated"};
    enum { N = sizeof(known) / sizeof(*known) };

    check_duration(program, annotation_find(function->annotations, "timeout"), 3600000);
    check_duration(program, annotation_find(function->annotations, "cache.ttl"), 864000000000);
    check_duration(program, annotation_find(function->annotations, "cache.stale"), 864000000000);
    check_duration(program, annotation_find(function->annotations, "cache.negative"), 864000000000);
    check_flag(program, annotation_find(function->annotations, "idempotent"));
    for (const Annotation *a = function->annotations; a; a = a->next) {
        const char *nearest = text_nearest(a->name.text, known, N);
        bool is_known = false;

        for (size_t i = 0; i < N; i++)
            is_known = is_known || strcmp(a->name.text, known[i]) == 0;
        if (nearest && !is_known)
            report(&program->reports, SEVERITY_WARNING, a->name.place,
                   pool_printf(&program->pool, "did you mean '%s'?", nearest),
                   "'%s' means nothing to ferry", a->name.text);
    }
}

static void check_throws(Program *program, const File *file, const Function *function) {
    check_fields(program, file, function->throws, false);
    for (const Field *field = function->throws; field; field = field->next) {
        Definition *thrown = type_definition(field->type);

        if (type_true(field->type) && (!thrown || thrown->kind != DEFINITION_EXCEPTION))
            report_error(&program->reports, field->type->place, NULL,
                         "only an exception can be thrown");
        if (field->presence != PRESENCE_DEFAULT)
            report(&program->reports, SEVERITY_WARNING, field->name.place, NULL,
                   "'required' and 'optional' mean nothing for an exception that may be thrown");
    }
}

static void check_streams(Program *program, const Function *function) {
    const Field *stream = NULL;

    for (Field *field = function->args; field; field = field->next) {
        if (field->type->kind != TYPE_STREAM)
            continue;
        if (stream)
            report_error(&program->reports, field->type->place, NULL,
                         "a method takes one stream at most");
        if (field->value || field->presence != PRESENCE_DEFAULT)
            report_error(&program->reports, field->name.place, NULL,
                         "a stream has no default and is never absent");
        stream = field;
    }
    if (function->oneway && stream)
        report_error(&program->reports, stream->type->place, NULL,
                     "a oneway method cannot take a stream");
    if (annotation_find(function->annotations, "cache.ttl") &&
        (stream || !function->result || function->result->kind == TYPE_STREAM))
        report_error(&program->reports, function->name.place, NULL,
                     "'cache.ttl' needs a result, and no stream");
}

static void check_function(Program *program, const File *file, Function *function) {
    check_fields(program, file, function->args, true);
    if (function->result)
        resolve_type(program, file, function->result, true);
    check_throws(program, file, function);
    if (function->oneway && function->result)
        report_error(&program->reports, function->result->place, "write 'oneway void'",
                     "a oneway method has no result");
    if (function->oneway && function->throws)
        report_error(&program->reports, function->throws->name.place, NULL,
                     "a oneway method throws nothing: nobody listens");
    for (Field *field = function->args; field; field = field->next)
        if (field->value)
            check_value(program, field->type, field->value, field->name.text);
    check_streams(program, function);
    check_method_annotations(program, function);
    check_cache_annotations(program, function);
}

static const Function *find_function(const Definition *service, const char *name,
                                     const Function *before) {
    for (const Function *f = service->functions; f && f != before; f = f->next)
        if (strcmp(f->name.text, name) == 0)
            return f;
    return NULL;
}

static void check_extends(Program *program, const File *file, Definition *service) {
    if (!service->extends.text)
        return;
    service->base = program_find(file, service->extends.text);
    if (!service->base || service->base->kind != DEFINITION_SERVICE) {
        report_error(&program->reports, service->extends.place,
                     program_hint(program, file, service->extends.text, is_service),
                     "there is no service '%s'", service->extends.text);
        service->base = NULL;
        return;
    }
    if (service->base->file != file)
        return;
    /* Forward references are for types: so a service cannot come back to itself either. */
    if (service->base->state != STATE_DONE) {
        report_error(&program->reports, service->extends.place,
                     service->base == service ? NULL : "put the extended one first",
                     service->base == service ? "the service '%s' extends itself"
                                              : "the service '%s' is extended before it is defined",
                     service->base->name.text);
        service->base = NULL;
    }
}

static void check_service(Program *program, const File *file, Definition *service) {
    int depth = 0, n = 0;

    check_extends(program, file, service);
    for (const Definition *base = service->base; base; base = base->base)
        if (++depth == PROGRAM_DEPTH_MAX / 4) {
            report_error(&program->reports, service->extends.place, NULL,
                         "services extend each other more than %d levels deep",
                         PROGRAM_DEPTH_MAX / 4);
            service->base = NULL;
            break;
        }
    for (Function *function = service->functions; function; function = function->next) {
        const Function *before;

        if (n++ == FIELDS_MAX) {
            report_error(&program->reports, function->name.place, NULL,
                         "there are more than %d methods", FIELDS_MAX);
            break;
        }
        before = find_function(service, function->name.text, function);
        for (const Definition *base = service->base; base && !before; base = base->base)
            before = find_function(base, function->name.text, NULL);
        if (before)
            same_name(program, function->name, before->name, "methods");
        check_function(program, file, function);
    }
    service->state = STATE_DONE;
}

/* ---- the whole ---- */

const Annotation *annotation_find(const Annotation *annotations, const char *name) {
    for (; annotations; annotations = annotations->next)
        if (strcmp(annotations->name.text, name) == 0)
            return annotations;
    return NULL;
}

static void check_headers(Program *program, const File *file) {
    static const char *const scopes[] = {
        "*",      "c",    "c_glib",  "cpp", "cl",        "csharp", "d",     "dart",
        "delphi", "erl",  "go",      "gv",  "haxe",      "html",   "java",  "js",
        "javame", "json", "kotlin",  "lua", "markdown",  "netstd", "ocaml", "perl",
        "php",    "py",   "rb",      "rs",  "smalltalk", "st",     "swift", "typescript",
        "xml",    "xsd",  "haskell", "hs",  "nodejs"};

    size_t n = 0;

    for (const Header *header = file->headers; header; header = header->next) {
        if (n++ == FIELDS_MAX) {
            report_error(&program->reports, header->name.place, NULL,
                         "there are more than %d includes and namespaces", FIELDS_MAX);
            return;
        }
        size_t len = header->kind == HEADER_NAMESPACE ? strcspn(header->scope.text, ".") : 0;
        bool known = header->kind != HEADER_NAMESPACE;

        for (size_t i = 0; i < sizeof(scopes) / sizeof(*scopes) && !known; i++)
            known = strlen(scopes[i]) == len && memcmp(scopes[i], header->scope.text, len) == 0;
        if (!known)
            report(&program->reports, SEVERITY_WARNING, header->scope.place, NULL,
                   "'%s' is no language that is known", header->scope.text);
        for (const Header *h = file->headers; h != header; h = h->next)
            if (h->kind == HEADER_NAMESPACE && header->kind == HEADER_NAMESPACE &&
                strcmp(h->scope.text, header->scope.text) == 0) {
                report_error(&program->reports, header->scope.place, NULL,
                             "there are two namespaces for '%s'", header->scope.text);
                report_also(&program->reports, h->scope.place, "the first one is here");
                break;
            } else if (h->kind == HEADER_INCLUDE && header->kind == HEADER_INCLUDE &&
                       strcmp(h->prefix, header->prefix) == 0) {
                report_error(&program->reports, header->name.place, NULL,
                             "two included files are named '%s': their names could not be told "
                             "apart",
                             header->prefix);
                break;
            }
    }
}

static void check_definition(Program *program, const File *file, Definition *definition) {
    switch (definition->kind) {
    case DEFINITION_CONST:
    case DEFINITION_TYPEDEF:
        resolve_type(program, file, definition->type, false);
        break;
    case DEFINITION_ENUM:
        check_enum(program, definition);
        break;
    case DEFINITION_STRUCT:
    case DEFINITION_UNION:
    case DEFINITION_EXCEPTION:
        check_fields(program, file, definition->fields, false);
        if (definition->kind == DEFINITION_UNION)
            check_union(program, definition);
        break;
    case DEFINITION_SERVICE:
        break;
    }
}

void check_file(Program *program, File *file) {
    check_headers(program, file);
    for (Definition *d = file->definitions; d; d = d->next) {
        Definition *before = program_declare(program, file, d);

        if (before)
            same_name(program, d->name, before->name, "definitions");
    }
    for (Definition *d = file->definitions; d; d = d->next)
        check_definition(program, file, d);
    for (Definition *d = file->definitions; d; d = d->next)
        if (d->kind == DEFINITION_TYPEDEF)
            check_typedef(program, d);
    for (Definition *d = file->definitions; d; d = d->next)
        if (definition_has_fields(d))
            check_endless(program, d, 0);
    break_rings(program, file);
    /* From here on all types are known, and values and services can be looked at. */
    for (Definition *d = file->definitions; d; d = d->next)
        d->state = STATE_NEW;
    for (Definition *d = file->definitions; d; d = d->next) {
        if (d->kind == DEFINITION_CONST)
            check_const(program, d);
        for (Field *f = definition_has_fields(d) ? d->fields : NULL; f; f = f->next)
            if (f->value)
                check_value(program, f->type, f->value, f->name.text);
        check_message(program, d);
        if (d->kind == DEFINITION_SERVICE)
            check_service(program, file, d);
    }
}
