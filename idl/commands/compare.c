/* SPDX-License-Identifier: Apache-2.0 */
/* Compares two versions of an interface. See compare.h. */

#include "idl/commands/compare.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "idl/emit/c-names.h"

typedef struct Compare {
    Program *program;
    const File *old_file, *new_file;
    bool is_live; /* the old version is that of a running service */
} Compare;

static void breaks(Compare *c, Place place, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void breaks(Compare *c, Place place, const char *hint, const char *format, ...) {
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    report_error(&c->program->reports, place, hint, "%s", text);
}

#define warns(c, place, ...)                                                                       \
    report(&(c)->program->reports, SEVERITY_WARNING, (place), NULL, __VA_ARGS__)

/* ---- types ---- */

/* Definitions match if they have the same name in messages or in the file. Other functions compare
 * their contents. */
static bool same_definition(Compare *c, const Definition *a, const Definition *b) {
    return strcmp(wire_name(c->program, a), wire_name(c->program, b)) == 0 ||
           strcmp(a->name.text, b->name.text) == 0;
}

static bool same_type(Compare *c, const Type *a, const Type *b) {
    const Type *x = a ? type_true(a) : NULL, *y = b ? type_true(b) : NULL;

    if (!x || !y)
        return x == y;
    /* Typedefs with the same name are compared with the other definitions. */
    if (a->kind == TYPE_NAMED && b->kind == TYPE_NAMED && a->target->kind == DEFINITION_TYPEDEF &&
        b->target->kind == DEFINITION_TYPEDEF && same_definition(c, a->target, b->target))
        return true;
    if (x->kind != y->kind)
        return false;
    if (x->kind == TYPE_NAMED)
        return x->target->kind == y->target->kind && same_definition(c, x->target, y->target);
    return (!x->key || same_type(c, x->key, y->key)) &&
           (!x->item || same_type(c, x->item, y->item));
}

static const char *type_words(Compare *c, const Type *type);

/* The text of an inner type. A named type is shown by its name, because its definition can be
 * long. */
static const char *inner_words(Compare *c, const Type *type) {
    return type->kind == TYPE_NAMED ? type->name : type_words(c, type);
}

static const char *type_words(Compare *c, const Type *type) {
    static const char *const base[] = {"bool",   "i8",     "i16",    "i32", "i64",
                                       "double", "string", "binary", "uuid"};
    const Type *is = type ? type_true(type) : NULL;
    Region *region = &c->program->region;

    if (!is)
        return "void";
    if (is->kind <= TYPE_UUID)
        return base[is->kind];
    if (is->kind == TYPE_NAMED)
        return is->target->name.text;
    if (is->kind == TYPE_MAP)
        return region_printf(region, "map<%s, %s>", inner_words(c, is->key),
                             inner_words(c, is->item));
    return region_printf(region, "%s<%s>",
                         is->kind == TYPE_SET    ? "set"
                         : is->kind == TYPE_LIST ? "list"
                                                 : "stream",
                         inner_words(c, is->item));
}

static bool is_integer(const Type *type) {
    const Type *is = type_true(type);

    return (is->kind >= TYPE_I8 && is->kind <= TYPE_I64) ||
           (is->kind == TYPE_NAMED && is->target->kind == DEFINITION_ENUM);
}

static bool check_type(Compare *c, Place place, const char *what, const Type *before,
                       const Type *now) {
    const char *hint = NULL;

    if (same_type(c, before, now))
        return true;
    if (before && now && is_integer(before) && is_integer(now))
        hint = "one side refuses numbers that do not fit its type";
    breaks(c, place, hint, "%s changed from %s to %s", what, type_words(c, before),
           type_words(c, now));
    return false;
}

/* ---- fields ---- */

/* True: a program that does not know the field may leave it out. */
static bool may_be_absent(const Field *field) {
    return field->optional || (field->value && field->presence != PRESENCE_REQUIRED);
}

static const Field *find_field(const Field *fields, const char *name) {
    for (; fields; fields = fields->next)
        if (strcmp(fields->name.text, name) == 0)
            return fields;
    return NULL;
}

static const Field *find_id(const Field *fields, const Field *like) {
    for (; fields; fields = fields->next)
        if (like->has_id && fields->has_id && fields->id == like->id)
            return fields;
    return NULL;
}

/* A default is not sent: the receiver uses its own default for a missing field. */
static void check_default(Compare *c, const Field *before, const Field *now) {
    const Value *a = before->value, *b = now->value;

    if ((a || b) && !(a && b && values_equal(c->program, now->type, a, b)))
        warns(c, now->name.place, "the default of '%s' has changed", now->name.text);
}

static void check_field(Compare *c, const Definition *owner, const Field *before,
                        const Field *now) {
    const char *what = region_printf(&c->program->region, "'%s'", now->name.text);

    if (!check_type(c, now->type->place, what, before->type, now->type) ||
        owner->kind == DEFINITION_UNION)
        return;
    if (may_be_absent(before) && !may_be_absent(now))
        breaks(c, now->name.place, "programs with the old interface may leave it out",
               "'%s' is mandatory now", now->name.text);
    else if (!may_be_absent(before) && now->optional)
        breaks(c, now->name.place, "programs with the old interface need it",
               "'%s' may be absent now", now->name.text);
    else
        check_default(c, before, now);
}

static void check_removed(Compare *c, const Definition *now, const Field *before) {
    const Field *renamed = find_id(now->fields, before);

    if (renamed && !find_field(now->fields, before->name.text))
        breaks(c, renamed->name.place, "the wire identifies a field by its name",
               "the field '%s' was renamed to '%s'", before->name.text, renamed->name.text);
    else if (now->kind == DEFINITION_UNION)
        breaks(c, now->name.place, NULL, "the union '%s' no longer has '%s'", now->name.text,
               before->name.text);
    else if (!may_be_absent(before))
        breaks(c, now->name.place, "programs with the old interface need it",
               "'%s' no longer has the field '%s'", now->name.text, before->name.text);
}

static void check_struct(Compare *c, const Definition *before, const Definition *now) {
    for (const Field *f = before->fields; f; f = f->next) {
        const Field *there = find_field(now->fields, f->name.text);

        if (there)
            check_field(c, now, f, there);
        else
            check_removed(c, now, f);
    }
    for (const Field *f = now->fields; f && now->kind != DEFINITION_UNION; f = f->next) {
        const Field *there = find_field(before->fields, f->name.text);

        if (!there && !find_id(before->fields, f) && !may_be_absent(f))
            breaks(c, f->name.place, "make it optional, or give it a default",
                   "the new field '%s' is mandatory: programs with the old interface do not "
                   "send it",
                   f->name.text);
        else if (!there && find_id(before->fields, f) &&
                 find_field(now->fields, find_id(before->fields, f)->name.text))
            warns(c, f->name.place, "the number of '%s' belonged to another field", f->name.text);
    }
    for (const Field *f = now->fields; f && now->kind == DEFINITION_UNION; f = f->next)
        if (!find_field(before->fields, f->name.text) && !find_id(before->fields, f))
            warns(c, f->name.place, "programs with the old interface do not know '%s'",
                  f->name.text);
}

static const EnumValue *find_value(const Definition *definition, const char *name) {
    const EnumValue *value = definition->values;

    while (value && strcmp(value->name.text, name) != 0)
        value = value->next;
    return value;
}

static const EnumValue *find_number(const Definition *definition, int64_t number) {
    const EnumValue *value = definition->values;

    while (value && value->number != number)
        value = value->next;
    return value;
}

static void check_enum(Compare *c, const Definition *before, const Definition *now) {
    for (const EnumValue *v = before->values; v; v = v->next) {
        const EnumValue *there = find_value(now, v->name.text);
        const EnumValue *same_number = find_number(now, v->number);

        if (!there && same_number && !find_value(before, same_number->name.text))
            breaks(c, same_number->name.place, "programs with the old name do not compile",
                   "'%s' was renamed to '%s'", v->name.text, same_number->name.text);
        else if (!there)
            breaks(c, now->name.place, NULL, "the enum '%s' no longer has '%s'", now->name.text,
                   v->name.text);
        else if (there->number != v->number)
            breaks(c, there->name.place, "the wire identifies an enum's value by its number",
                   "'%s' changed from %lld to %lld", v->name.text, (long long)v->number,
                   (long long)there->number);
    }
    for (const EnumValue *v = now->values; v; v = v->next)
        if (!find_value(before, v->name.text) && !find_number(before, v->number))
            warns(c, v->name.place, "programs with the old interface have no name for '%s'",
                  v->name.text);
}

/* ---- methods ---- */

static const Field *argument(const Function *function, size_t index) {
    for (const Field *f = function->args; f; f = f->next)
        if (f->type->kind != TYPE_STREAM && index-- == 0)
            return f;
    return NULL;
}

static const Type *stream_of(const Function *function) {
    for (const Field *f = function->args; f; f = f->next)
        if (f->type->kind == TYPE_STREAM)
            return f->type;
    return NULL;
}

/* Messages identify arguments by position, so a moved argument would be read as another one. */
static bool has_moved(Compare *c, const Function *now, const Field *before, const Field *there,
                      size_t index) {
    const Field *moved = find_field(now->args, before->name.text);

    if (!moved || moved == there || moved->type->kind == TYPE_STREAM)
        return false;
    breaks(c, moved->name.place,
           "the wire identifies an argument by its position: add new ones at the end",
           "'%s' was argument %zu of '%s' and has another position now", before->name.text,
           index + 1, now->name.text);
    return true;
}

static void check_argument(Compare *c, const Function *function, size_t index, const Field *before,
                           const Field *now) {
    const char *what =
        region_printf(&c->program->region, "argument %zu of '%s'", index + 1, function->name.text);

    if (!check_type(c, now->type->place, what, before->type, now->type))
        return;
    if (may_be_absent(before) && !may_be_absent(now))
        breaks(c, now->name.place, "callers with the old interface may leave it out",
               "'%s' is mandatory now", now->name.text);
    else if (!may_be_absent(before) && now->optional)
        breaks(c, now->name.place, "servers with the old interface need it",
               "'%s' may be absent now", now->name.text);
    else
        check_default(c, before, now);
    if (strcmp(before->name.text, now->name.text) != 0)
        warns(c, now->name.place,
              "argument %zu was named '%s': only its position counts on the wire", index + 1,
              before->name.text);
}

static void check_arguments(Compare *c, const Function *before, const Function *now) {
    bool moved = false;

    for (size_t i = 0; argument(before, i); i++)
        moved |= has_moved(c, now, argument(before, i), argument(now, i), i);
    /* After a move, the other positions give no further information. */
    for (size_t i = 0; !moved; i++) {
        const Field *a = argument(before, i), *b = argument(now, i);

        if (!a && !b)
            return;
        if (a && b)
            check_argument(c, now, i, a, b);
        else if (b && !may_be_absent(b))
            breaks(c, b->name.place, "make it optional, or give it a default",
                   "callers with the old interface do not send '%s'", b->name.text);
        else if (a && !may_be_absent(a))
            breaks(c, now->name.place, "servers with the old interface need it",
                   "'%s' no longer has the argument '%s'", now->name.text, a->name.text);
    }
}

static bool throws(const Function *function, const char *name) {
    for (const Field *f = function->throws; f; f = f->next)
        if (strcmp(type_definition(f->type)->name.text, name) == 0)
            return true;
    return false;
}

static bool has_flag(const Function *function, const char *name) {
    const Annotation *a = annotation_find(function->annotations, name);

    return a && a->value[0] != 'f' && a->value[0] != '0';
}

static uint64_t time_of(const Function *function, const char *name) {
    const Annotation *a = annotation_find(function->annotations, name);
    uint64_t ms;

    return a && a->has_value && text_parse_ms(a->value, &ms) == 0 ? ms : 0;
}

static const char *time_text(const Function *function, const char *name) {
    return annotation_find(function->annotations, name)->value;
}

/* Callers use the deadlines, retries and caching of the interface with which they were compiled. */
static void check_policy(Compare *c, const Function *before, const Function *now) {
    uint64_t old_ms = time_of(before, "timeout"), new_ms = time_of(now, "timeout");
    const char *name = now->name.text;
    Place place = now->name.place;

    if (has_flag(before, "idempotent") && !has_flag(now, "idempotent"))
        warns(c, place, "'%s' was idempotent: callers with the old interface still retry it", name);
    if (old_ms != new_ms && old_ms > 0)
        warns(c, place, "callers with the old interface still wait %s for '%s'",
              time_text(before, "timeout"), name);
    else if (old_ms != new_ms)
        warns(c, place, "callers of '%s' that set no deadline wait %s now", name,
              time_text(now, "timeout"));
    old_ms = time_of(before, "cache.ttl");
    new_ms = time_of(now, "cache.ttl");
    if (old_ms > new_ms)
        warns(c, place, "callers with the old interface still cache answers of '%s' for %s", name,
              time_text(before, "cache.ttl"));
    else if (old_ms < new_ms)
        warns(c, place, "callers of '%s' may get answers that are up to %s old now", name,
              time_text(now, "cache.ttl"));
}

static void check_method(Compare *c, const Function *before, const Function *now) {
    const char *result = region_printf(&c->program->region, "the result of '%s'", now->name.text);
    const Type *in = stream_of(now);

    check_arguments(c, before, now);
    if ((before->result && before->result->kind == TYPE_STREAM) !=
        (now->result && now->result->kind == TYPE_STREAM))
        breaks(c, now->name.place, NULL, "%s changed from %s to %s", result,
               type_words(c, before->result), type_words(c, now->result));
    else
        check_type(c, now->result ? now->result->place : now->name.place, result, before->result,
                   now->result);
    check_type(c, in ? in->place : now->name.place,
               region_printf(&c->program->region, "the stream that '%s' takes", now->name.text),
               stream_of(before), in);
    if (before->oneway != now->oneway)
        breaks(c, now->name.place, NULL, now->oneway ? "'%s' is oneway now" : "'%s' was oneway",
               now->name.text);
    for (const Field *f = now->throws; f; f = f->next)
        if (!throws(before, type_definition(f->type)->name.text))
            warns(c, f->name.place, "callers with the old interface do not know '%s'",
                  type_definition(f->type)->name.text);
    for (const Field *f = before->throws; f; f = f->next)
        if (!throws(now, type_definition(f->type)->name.text))
            warns(c, now->name.place, "servers with the old interface still throw '%s'",
                  type_definition(f->type)->name.text);
    check_policy(c, before, now);
}

static const Function *find_method(const Definition *service, const char *name) {
    for (; service; service = service->base)
        for (const Function *f = service->functions; f; f = f->next)
            if (strcmp(f->name.text, name) == 0)
                return f;
    return NULL;
}

static void check_service(Compare *c, const Definition *before, const Definition *now) {
    for (const Definition *from = before; from; from = from->base)
        for (const Function *f = from->functions; f; f = f->next) {
            const Function *there = find_method(now, f->name.text);

            if (there)
                check_method(c, f, there);
            else
                breaks(c, now->name.place, NULL, "'%s' no longer has the method '%s'",
                       now->name.text, f->name.text);
        }
}

/* ---- the whole file ---- */

/* The description of a running service has all types; the new file may include some of them. If the
 * files have includes, the names in messages must be equal, because types of other namespaces may
 * have the same name in their file. */
static const Definition *find_definition(Compare *c, const File *file, const Definition *like) {
    const char *name = wire_name(c->program, like);
    const Definition *found = NULL;

    for (const Definition *d = file->definitions; d; d = d->next)
        if (d->kind == like->kind &&
            (file == c->new_file || c->is_live ? same_definition(c, d, like)
                                               : strcmp(wire_name(c->program, d), name) == 0))
            return d;
    for (const FileHeader *h = file->headers; h && !found; h = h->next)
        if (h->kind == HEADER_INCLUDE && h->file)
            found = find_definition(c, h->file, like);
    return found;
}

static void check_definition(Compare *c, const Definition *before) {
    const Definition *now = find_definition(c, c->new_file, before);
    static const char *const words[] = {"constant", "typedef",   "enum",   "struct",
                                        "union",    "exception", "service"};

    if (!now) {
        breaks(c, before->name.place, NULL, "the %s '%s' was removed", words[before->kind],
               before->name.text);
        return;
    }
    if (before->kind >= DEFINITION_EXCEPTION &&
        strcmp(wire_name(c->program, before), wire_name(c->program, now)) != 0)
        breaks(c, now->name.place, NULL, "the wire name of '%s' changed from '%s' to '%s'",
               now->name.text, wire_name(c->program, before), wire_name(c->program, now));
    switch (before->kind) {
    case DEFINITION_CONST:
        if (check_type(c, now->type->place,
                       region_printf(&c->program->region, "'%s'", now->name.text), before->type,
                       now->type) &&
            !values_equal(c->program, now->type, before->value, now->value))
            warns(c, now->name.place, "the constant '%s' has another value now", now->name.text);
        break;
    case DEFINITION_TYPEDEF:
        check_type(c, now->type->place, region_printf(&c->program->region, "'%s'", now->name.text),
                   before->type, now->type);
        break;
    case DEFINITION_ENUM:
        check_enum(c, before, now);
        break;
    case DEFINITION_SERVICE:
        check_service(c, before, now);
        break;
    default:
        check_struct(c, before, now);
        break;
    }
}

void compare_files(Program *program, const File *old_file, const File *new_file) {
    Compare c = {program, old_file, new_file, false};

    for (const Definition *d = old_file->definitions; d; d = d->next)
        check_definition(&c, d);
    for (const FileHeader *h = old_file->headers; h; h = h->next) {
        const File *there = NULL;

        if (h->kind != HEADER_INCLUDE || !h->file)
            continue;
        for (const FileHeader *n = new_file->headers; n; n = n->next)
            if (n->kind == HEADER_INCLUDE && n->file && strcmp(n->prefix, h->prefix) == 0)
                there = n->file;
        /* Both versions may include the same file, which needs no comparison. */
        if (there && there != h->file)
            compare_files(program, h->file, there);
    }
}

void compare_services(Program *program, const File *old_file, const File *new_file,
                      const char *name) {
    Compare c = {program, old_file, new_file, true};

    for (const Definition *d = old_file->definitions; d; d = d->next)
        if (d->kind != DEFINITION_SERVICE || strcmp(d->name.text, name) == 0)
            check_definition(&c, d);
}
