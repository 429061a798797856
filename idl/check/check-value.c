/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that constants and defaults fit their types. See program.h. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <ferry/schema.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/text.h"
#include "idl/check/program.h"

enum { CONSTANT_NEW, CONSTANT_OPEN, CONSTANT_DONE }; /* Definition.state */

typedef struct Checked {
    Program *program;
    const File *file;
    const char *what; /* owner of the value, for messages */
    int depth;
} Checked;

static void check(Checked *checked, const Type *type, Value *value);
static void check_definition_value(Program *program, Definition *constant, int depth);

const Value *value_true(const Value *value) {
    for (int i = 0; value && i < PROGRAM_DEPTH_MAX; i++) {
        if (value->kind != VALUE_NAME || value->enum_value)
            return value;
        value = value->constant ? value->constant->value : NULL;
    }
    return NULL;
}

int64_t value_number(const Value *value) {
    return value->kind == VALUE_NAME && value->enum_value ? value->enum_value->number
                                                          : value->number;
}

const Field *pair_field(const Definition *owner, const Pair *pair) {
    const Value *key = value_true(pair->key);

    for (const Field *field = owner->fields; key && field; field = field->next)
        if (key->kind == VALUE_STRING && strcmp(field->name.text, key->text) == 0)
            return field;
    return NULL;
}

/* If constants use constants, each line can double the number of values. */
static bool is_too_much(Checked *checked, const Value *value) {
    if (++checked->program->n_values == PROGRAM_VALUES_MAX)
        report_error(&checked->program->reports, value->place, NULL,
                     "constants and defaults have more than %d values", PROGRAM_VALUES_MAX);
    return checked->program->n_values >= PROGRAM_VALUES_MAX;
}

/* ---- names ---- */

static EnumValue *find_enum_value(const Definition *definition, const char *name) {
    for (EnumValue *value = definition->values; value; value = value->next)
        if (strcmp(value->name.text, name) == 0)
            return value;
    return NULL;
}

/* True: the definition is a constant, and is not being checked at the moment. */
static bool is_const(const Definition *definition) {
    return definition->kind == DEFINITION_CONST && definition->state != CONSTANT_OPEN;
}

/* "did you mean 'Op.ADD'?"; prefix: "Op.", or nothing. */
static const char *enum_hint(Program *program, const Definition *definition, const char *prefix,
                             const char *name) {
    enum { MAX = 200 };
    const char *names[MAX], *nearest;
    size_t n = 0;

    for (const EnumValue *value = definition->values; value && n < MAX; value = value->next)
        names[n++] = value->name.text;
    nearest = text_nearest(name, names, n);
    return nearest ? region_printf(&program->region, "did you mean '%s%s'?", prefix, nearest)
                   : NULL;
}

/* The enum with this name, also through typedefs; NULL: no enum has this name. */
static const Definition *find_enum(const File *file, const char *name) {
    const Definition *found = program_find(file, name);

    if (found && found->kind == DEFINITION_TYPEDEF)
        found = type_definition(found->type);
    return found && found->kind == DEFINITION_ENUM ? found : NULL;
}

/* If the type is an enum, the last part of the name selects the value, as in Apache Thrift. The
 * part before it should be the name of this enum or of its file. If it is the name of another enum,
 * which other compilers overlook, the value is accepted with a warning. */
static void resolve_in_enum(Checked *checked, const Definition *wanted, const char *prefix,
                            const char *last, Value *value) {
    const Definition *named = prefix ? find_enum(checked->file, prefix) : NULL;

    value->enum_value = find_enum_value(wanted, last);
    if (value->enum_value && named && named != wanted)
        report(&checked->program->reports, SEVERITY_WARNING, value->place, NULL,
               "'%s' names the enum '%s', but '%s' has the enum '%s': its '%s' is used",
               value->text, named->name.text, checked->what, wanted->name.text, last);
}

/* Resolves "Enum.VALUE", "file.Enum.VALUE", "CONST" and "file.CONST", and "VALUE" if the type is an
 * enum. */
static void resolve_name(Checked *checked, const Type *type, Value *value) {
    const char *dot = strrchr(value->text, '.'), *last = dot ? dot + 1 : value->text;
    Program *program = checked->program;
    Definition *found = program_find(checked->file, value->text);
    const Definition *wanted = type_definition(type), *named = NULL;
    const char *prefix = NULL, *hint = NULL;

    if (found && found->kind == DEFINITION_CONST) {
        value->constant = found;
        return;
    }
    if (dot) {
        prefix = region_text(&program->region, value->text, (size_t)(dot - value->text));
        named = find_enum(checked->file, prefix);
    }
    if (wanted && wanted->kind == DEFINITION_ENUM) {
        resolve_in_enum(checked, wanted, prefix, last, value);
        hint = !dot ? enum_hint(program, wanted, "", last) : NULL;
    }
    if (!value->enum_value && named) {
        value->enum_value = find_enum_value(named, last);
        hint = enum_hint(program, named, region_printf(&program->region, "%s.", prefix), last);
    }
    if (value->enum_value)
        return;
    if (!hint)
        hint = program_hint(program, checked->file, value->text, is_const);
    report_error(&program->reports, value->place, hint, "there is no constant or enum value '%s'",
                 value->text);
}

/* Checks a constant before its first use, because it may be defined later in the file. If a
 * constant refers to itself, the reference is removed, so that no later walk follows it. */
static void check_constant(Checked *checked, Value *value) {
    Definition *constant = value->constant;

    if (constant->state == CONSTANT_DONE)
        return;
    if (constant->state == CONSTANT_OPEN || checked->depth >= PROGRAM_DEPTH_MAX) {
        report_error(&checked->program->reports, value->place, NULL,
                     constant->state == CONSTANT_OPEN
                         ? "the constant '%s' contains itself"
                         : "the constant '%s' depends on too many others",
                     constant->name.text);
        value->constant = NULL;
        return;
    }
    check_definition_value(checked->program, constant, checked->depth + 1);
}

/* ---- by type ---- */

static void mismatch(Checked *checked, const Value *value, const char *wanted) {
    static const char *const kinds[] = {"an integer", "a double", "a string",
                                        "a name",     "a list",   "a map"};
    const Value *is = value_true(value);

    report_error(&checked->program->reports, value->place, NULL, "'%s' is %s, but this is %s",
                 checked->what, wanted, kinds[is ? is->kind : value->kind]);
}

static void check_integer(Checked *checked, const Type *type, const Value *value, const Value *is) {
    static const struct {
        const char *name;
        int64_t lowest, highest;
    } ranges[] = {[TYPE_BOOL] = {"bool", 0, 1},
                  [TYPE_I8] = {"i8", INT8_MIN, INT8_MAX},
                  [TYPE_I16] = {"i16", INT16_MIN, INT16_MAX},
                  [TYPE_I32] = {"i32", INT32_MIN, INT32_MAX},
                  [TYPE_I64] = {"i64", INT64_MIN, INT64_MAX}};
    int64_t number = value_number(is);

    if (is->kind != VALUE_INT && !(is->kind == VALUE_NAME && type->kind != TYPE_BOOL)) {
        mismatch(checked, value, ranges[type->kind].name);
        return;
    }
    if (number < ranges[type->kind].lowest || number > ranges[type->kind].highest)
        report_error(&checked->program->reports, value->place, NULL,
                     "%" PRId64 " does not fit into '%s', which is %s", number, checked->what,
                     ranges[type->kind].name);
}

static void check_uuid(Checked *checked, const Value *value, const Value *is) {
    ferry_uuid uuid;

    if (is->kind != VALUE_STRING)
        mismatch(checked, value, "a uuid, written as a string");
    else if (ferry_uuid_parse(is->text, &uuid) < 0)
        report_error(&checked->program->reports, value->place,
                     "\"123e4567-e89b-12d3-a456-426614174000\", braces allowed",
                     "'%s' is not a uuid", is->text);
}

static void check_enum_number(Checked *checked, const Definition *wanted, const Value *value,
                              const Value *is) {
    if (is->kind == VALUE_NAME && is->enum_value->owner != wanted)
        report_error(&checked->program->reports, value->place, NULL,
                     "'%s' is a value of the enum '%s', but '%s' has the enum '%s'", is->text,
                     is->enum_value->owner->name.text, checked->what, wanted->name.text);
    else if (is->kind == VALUE_INT && (is->number < INT32_MIN || is->number > INT32_MAX))
        report_error(&checked->program->reports, value->place, NULL,
                     "%" PRId64 " does not fit into an enum", is->number);
    else if (is->kind != VALUE_NAME && is->kind != VALUE_INT)
        mismatch(checked, value, "an enum");
}

/* ---- containers ---- */

typedef struct Seen {
    UT_hash_handle hh;
    Pair *first;
    char key[];
} Seen;

/* Returns a text that is equal for equal values. NULL after a reported error. */
static const char *spelling(Checked *checked, const Type *type, const Value *value);

/* The length comes first, so that a text cannot look like the end of another one. */
static void put_spelling(Buffer *to, const char *text) {
    char len[24];

    buffer_append(to, len, (size_t)snprintf(len, sizeof(len), "%zu:", strlen(text)));
    buffer_append(to, text, strlen(text));
}

/* Equal sets in another order count as different. They are rare, and the codec refuses them. */
static const char *spelling_of_items(Checked *checked, const Type *type, const Value *is) {
    const Type text = {.kind = TYPE_STRING};
    const Type *key_type = type->kind == TYPE_MAP ? type->key : &text;
    CLEANUP(buffer_deinit) Buffer all = {0};

    for (const Pair *pair = is->items; pair; pair = pair->next) {
        const Field *field = type->kind == TYPE_NAMED ? pair_field(type->target, pair) : NULL;
        const Type *item = field ? field->type : type->item;
        const char *key = pair->key ? spelling(checked, key_type, pair->key) : "";
        const char *inside = item ? spelling(checked, item, pair->value) : NULL;

        if (!key || !inside)
            return NULL;
        put_spelling(&all, key);
        put_spelling(&all, inside);
    }
    return all.failed ? NULL
                      : region_text(&checked->program->region, (const char *)all.data, all.len);
}

static const char *spelling(Checked *checked, const Type *type, const Value *value) {
    const Type *wanted = type_true(type);
    const Value *is = value_true(value);
    Region *region = &checked->program->region;
    char text[37];
    ferry_uuid uuid;

    if (!wanted || !is || is_too_much(checked, value))
        return NULL;
    switch (is->kind) {
    case VALUE_INT:
    case VALUE_NAME:
        if (wanted->kind != TYPE_DOUBLE)
            return region_printf(region, "%" PRId64, value_number(is));
        return region_printf(region, "%.17g", (double)value_number(is));
    case VALUE_DOUBLE:
        return region_printf(region, "%.17g", is->real);
    case VALUE_STRING:
        if (wanted->kind == TYPE_UUID && ferry_uuid_parse(is->text, &uuid) == 0)
            return region_printf(region, "%s", ferry_uuid_format(&uuid, text));
        return is->text;
    default:
        return spelling_of_items(checked, wanted, is);
    }
}

/* Removes elements of a set, or (keys) pairs of a map, that are equal to an earlier one. The last
 * value of a key wins, as in other languages. */
static void remove_duplicates(Checked *checked, const Type *type, Value *value, bool keys) {
    Seen *seen = NULL;
    Pair **link, *pair;

    for (link = &value->items; (pair = *link);) {
        const Value *element = keys ? pair->key : pair->value;
        const char *key = spelling(checked, type, element);
        Seen *entry = NULL;

        if (key)
            HASH_FIND_STR(seen, key, entry);
        if (entry) {
            report(&checked->program->reports, SEVERITY_WARNING, element->place, NULL,
                   keys ? "the key appears twice: the last value wins"
                        : "the element appears twice");
            entry->first->value = pair->value;
            *link = pair->next;
            value->n--;
            continue;
        }
        link = &pair->next;
        if (!key)
            continue;
        entry = region_alloc(&checked->program->region, sizeof(*entry) + strlen(key) + 1);
        entry->first = pair;
        strcpy(entry->key, key);
        HASH_ADD_STR(seen, key, entry);
        if (!hash_added(entry))
            break;
    }
    HASH_CLEAR(hh, seen);
}

static void check_list(Checked *checked, const Type *type, Value *value) {
    if (value->kind != VALUE_LIST && !(value->kind == VALUE_MAP && value->n == 0)) {
        mismatch(checked, value, type->kind == TYPE_SET ? "a set" : "a list");
        return;
    }
    for (Pair *pair = value->items; pair; pair = pair->next)
        check(checked, type->item, pair->value);
    if (type->kind == TYPE_SET)
        remove_duplicates(checked, type->item, value, false);
}

static void check_map(Checked *checked, const Type *type, Value *value) {
    if (value->kind != VALUE_MAP && !(value->kind == VALUE_LIST && value->n == 0)) {
        mismatch(checked, value, "a map");
        return;
    }
    for (Pair *pair = value->items; pair; pair = pair->next) {
        check(checked, type->key, pair->key);
        check(checked, type->item, pair->value);
    }
    remove_duplicates(checked, type->key, value, true);
}

static void check_member(Checked *checked, const Definition *owner, Pair *pair) {
    const Type text = {.kind = TYPE_STRING};
    const Field *field;

    check(checked, &text, pair->key);
    if (!value_true(pair->key) || value_true(pair->key)->kind != VALUE_STRING)
        return;
    field = pair_field(owner, pair);
    if (field)
        check(checked, field->type, pair->value);
    else
        report_error(&checked->program->reports, pair->key->place, NULL, "'%s' has no field '%s'",
                     owner->name.text, value_true(pair->key)->text);
}

static void check_struct(Checked *checked, const Definition *owner, Value *value) {
    const Type text = {.kind = TYPE_STRING};

    if (value->kind != VALUE_MAP) {
        mismatch(checked, value, "a struct, written as a map");
        return;
    }
    for (Pair *pair = value->items; pair; pair = pair->next)
        check_member(checked, owner, pair);
    remove_duplicates(checked, &text, value, true);
    if (owner->kind == DEFINITION_UNION && value->n != 1)
        report_error(&checked->program->reports, value->place, NULL,
                     "a union has exactly one of its fields");
    for (const Field *field = owner->fields; field && owner->kind != DEFINITION_UNION;
         field = field->next) {
        bool there = field->presence != PRESENCE_REQUIRED || field->value;

        for (const Pair *pair = value->items; pair && !there; pair = pair->next)
            there = pair_field(owner, pair) == field;
        if (!there)
            report_error(&checked->program->reports, value->place, NULL,
                         "the required field '%s' is missing", field->name.text);
    }
}

static Value *copy_value(Program *program, const Value *value);

static Pair *copy_items(Program *program, const Pair *items) {
    Pair *first = NULL, **last = &first;

    for (; items; items = items->next) {
        *last = region_new(&program->region, Pair);
        (*last)->key = items->key ? copy_value(program, items->key) : NULL;
        (*last)->value = copy_value(program, items->value);
        last = &(*last)->next;
    }
    return first;
}

static Value *copy_value(Program *program, const Value *value) {
    Value *copy = region_new(&program->region, Value);

    *copy = *value;
    copy->items = copy_items(program, value->items);
    return copy;
}

/* Replaces a constant of another type by a copy of its literal. The check changes the copy, and the
 * constant keeps its own literal. */
static void become_literal(Program *program, Value *value, const Value *literal) {
    value->kind = literal->kind;
    value->constant = NULL;
    value->n = literal->n;
    value->items = copy_items(program, literal->items);
}

static void check(Checked *checked, const Type *type, Value *value) {
    const Type *wanted = type_true(type);
    const Value *is;

    if (!wanted)
        return;
    if (checked->depth == PROGRAM_DEPTH_MAX) {
        report_error(&checked->program->reports, value->place, NULL,
                     "the value of '%s' is nested deeper than %d levels", checked->what,
                     PROGRAM_DEPTH_MAX);
        return;
    }
    if (is_too_much(checked, value))
        return;
    if (value->kind == VALUE_NAME && !value->constant && !value->enum_value)
        resolve_name(checked, type, value);
    if (value->constant)
        check_constant(checked, value);
    is = value_true(value);
    if (!is || (value->constant && types_equal(type, value->constant->type)))
        return;
    if (is != value && (is->kind == VALUE_LIST || is->kind == VALUE_MAP)) {
        become_literal(checked->program, value, is);
        is = value;
    }
    checked->depth++;
    switch (wanted->kind) {
    case TYPE_BOOL:
    case TYPE_I8:
    case TYPE_I16:
    case TYPE_I32:
    case TYPE_I64:
        check_integer(checked, wanted, value, is);
        break;
    case TYPE_DOUBLE:
        if (is->kind != VALUE_DOUBLE && is->kind != VALUE_INT)
            mismatch(checked, value, "a double");
        break;
    case TYPE_STRING:
    case TYPE_BINARY:
        if (is->kind != VALUE_STRING)
            mismatch(checked, value, "a string");
        break;
    case TYPE_UUID:
        check_uuid(checked, value, is);
        break;
    case TYPE_LIST:
    case TYPE_SET:
        check_list(checked, wanted, value);
        break;
    case TYPE_MAP:
        check_map(checked, wanted, value);
        break;
    case TYPE_NAMED:
        if (wanted->target->kind == DEFINITION_ENUM)
            check_enum_number(checked, wanted->target, value, is);
        else
            check_struct(checked, wanted->target, value);
        break;
    case TYPE_STREAM:
        break;
    }
    checked->depth--;
}

static void check_at(Program *program, const Type *type, Value *value, const char *what,
                     int depth) {
    Checked checked = {
        .program = program, .file = file_of_place(value->place), .what = what, .depth = depth};

    check(&checked, type, value);
}

bool values_equal(Program *program, const Type *type, const Value *a, const Value *b) {
    Checked checked = {.program = program};
    const char *x = spelling(&checked, type, a), *y = spelling(&checked, type, b);

    return x && y && strcmp(x, y) == 0;
}

static void check_definition_value(Program *program, Definition *constant, int depth) {
    constant->state = CONSTANT_OPEN;
    check_at(program, constant->type, constant->value, constant->name.text, depth);
    constant->state = CONSTANT_DONE;
}

void check_value(Program *program, const Type *type, Value *value, const char *what) {
    check_at(program, type, value, what, 0);
}

void check_const(Program *program, Definition *constant) {
    if (constant->state != CONSTANT_DONE)
        check_definition_value(program, constant, 0);
}
