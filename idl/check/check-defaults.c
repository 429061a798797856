/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults that contain themselves. See check-private.h. */

#include "idl/check/check-private.h"

/*
 * A struct literal takes the defaults of the fields that it leaves out. So a default can contain
 * itself, through literals, constants and other structs: `struct A { 1: list<A> kids = [{}] }`. Its
 * value would be endless. The check is a depth-first search over defaults, constants and structs.
 */
typedef struct Search {
    Program *program;
    int depth;
} Search;

static void search_default(Search *search, Field *field);

/* Begins the visit of a node. False: the node needs no visit. If the node is already open, it is on
 * the path that led here, and the default contains itself. */
static bool enter(Search *search, int *state, Place place, const char *name) {
    if (*state == STATE_DONE)
        return false;
    if (*state == STATE_OPEN || search->depth == PROGRAM_DEPTH_MAX) {
        report_error(&search->program->reports, place, NULL,
                     *state == STATE_OPEN ? "the default of '%s' contains itself"
                                          : "the default of '%s' depends on too many others",
                     name);
        *state = STATE_DONE;
        return false;
    }
    *state = STATE_OPEN;
    search->depth++;
    return true;
}

static void leave(Search *search, int *state) {
    search->depth--;
    *state = STATE_DONE;
}

/* The value of a field that a literal leaves out. */
static void search_initial(Search *search, Field *field) {
    Definition *inside = type_definition(field->type);

    if (field->optional || field->pointer)
        return;
    if (field->value) {
        search_default(search, field);
        return;
    }
    if (!inside || !definition_has_fields(inside) ||
        !enter(search, &inside->default_state, inside->name.place, inside->name.text))
        return;
    for (Field *f = inside->fields; f; f = f->next)
        if (inside->kind != DEFINITION_UNION || f->value)
            search_initial(search, f);
    leave(search, &inside->default_state);
}

static bool sets(const Definition *owner, const Value *literal, const Field *field) {
    for (const Pair *pair = literal->items; pair; pair = pair->next)
        if (pair_field(owner, pair) == field)
            return true;
    return false;
}

static void search_value(Search *search, const Type *type, const Value *value);

static void search_literal(Search *search, const Type *type, const Value *literal) {
    Definition *owner = type->kind == TYPE_NAMED ? type->target : NULL;

    for (const Pair *pair = literal->items; pair; pair = pair->next) {
        const Field *field = owner ? pair_field(owner, pair) : NULL;
        const Type *item = owner ? field ? field->type : NULL : type->item;

        if (type->key && pair->key)
            search_value(search, type->key, pair->key);
        if (item)
            search_value(search, item, pair->value);
    }
    if (!owner || owner->kind == DEFINITION_UNION)
        return;
    for (Field *field = owner->fields; field; field = field->next)
        if (!sets(owner, literal, field))
            search_initial(search, field);
}

static void search_value(Search *search, const Type *type, const Value *value) {
    Definition *constant = value->kind == VALUE_NAME ? value->constant : NULL;
    const Type *is = type_true(type);

    if (!is || (is->kind == TYPE_NAMED && is->target->kind == DEFINITION_ENUM))
        return;
    if (!constant) {
        if (value->kind == VALUE_LIST || value->kind == VALUE_MAP)
            search_literal(search, is, value);
        return;
    }
    if (!enter(search, &constant->default_state, constant->name.place, constant->name.text))
        return;
    search_value(search, type, constant->value);
    leave(search, &constant->default_state);
}

static void search_default(Search *search, Field *field) {
    if (!enter(search, &field->default_state, field->name.place, field->name.text))
        return;
    search_value(search, field->type, field->value);
    leave(search, &field->default_state);
}

void check_defaults(Program *program, const File *file) {
    Search search = {.program = program};

    for (const Definition *d = file->definitions; d; d = d->next)
        for (Field *f = definition_has_fields(d) ? d->fields : NULL; f; f = f->next)
            if (f->value)
                search_default(&search, f);
}
