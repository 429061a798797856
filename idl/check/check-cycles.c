/* SPDX-License-Identifier: Apache-2.0 */
/* Structs that contain themselves. See check-private.h. */

#include "idl/check/check-private.h"

/* The struct, union or exception that is the field's type; NULL: the type is another one. */
static Definition *struct_of(const Field *field) {
    Definition *definition = type_definition(field->type);

    return definition && definition_has_fields(definition) ? definition : NULL;
}

bool check_endless(Program *program, Definition *definition, int depth) {
    bool good = true;

    if (definition->state == STATE_DONE)
        return true;
    definition->state = STATE_OPEN;
    for (Field *field = definition->fields; field && good; field = field->next) {
        Definition *inside = field->presence == PRESENCE_REQUIRED ? struct_of(field) : NULL;

        if (!inside || definition->kind == DEFINITION_UNION)
            continue;
        if (depth == PROGRAM_DEPTH_MAX) {
            report_error(&program->reports, field->name.place, "make it optional",
                         "required structs contain each other more than %d levels deep",
                         PROGRAM_DEPTH_MAX);
            good = false;
        } else if (inside->state == STATE_OPEN) {
            report(&program->reports, SEVERITY_WARNING, field->name.place, "make it optional",
                   "required fields make '%s' contain itself: no value can be complete",
                   inside->name.text);
        } else {
            good = check_endless(program, inside, depth + 1);
        }
    }
    definition->state = STATE_DONE;
    return good;
}

/* Tarjan's algorithm finds the structs that contain each other by value. */
typedef struct CycleSearch {
    Program *program;
    struct StructNode *stack;
    int n;
    bool too_deep;
} CycleSearch;

typedef struct StructNode {
    Definition *definition;
    struct StructNode *below; /* on the stack */
    int index, lowest;
    int component; /* structs with the same number contain each other */
    bool on_stack;
} StructNode;

/* Visits the struct nodes[at]. Definition.state is the index of a struct in nodes. */
static void find_components(CycleSearch *search, StructNode *nodes, int at, int depth) {
    StructNode *node = &nodes[at];

    node->index = node->lowest = ++search->n;
    node->below = search->stack;
    node->on_stack = true;
    search->stack = node;
    for (const Field *field = node->definition->fields; field; field = field->next) {
        Definition *inside = field->optional || field->pointer ? NULL : struct_of(field);
        StructNode *next;

        if (!inside || inside->file != node->definition->file)
            continue;
        next = &nodes[inside->state];
        if (next->index == 0) {
            if (depth == PROGRAM_DEPTH_MAX) {
                if (!search->too_deep)
                    report_error(&search->program->reports, field->name.place, "make it optional",
                                 "structs contain each other more than %d levels deep",
                                 PROGRAM_DEPTH_MAX);
                search->too_deep = true;
                continue;
            }
            find_components(search, nodes, inside->state, depth + 1);
            node->lowest = next->lowest < node->lowest ? next->lowest : node->lowest;
        } else if (next->on_stack) {
            node->lowest = next->index < node->lowest ? next->index : node->lowest;
        }
    }
    if (node->lowest != node->index)
        return;
    for (StructNode *member = NULL; member != node;) {
        member = search->stack;
        search->stack = member->below;
        member->on_stack = false;
        member->component = node->index;
    }
}

/* Turns the fields of structs that contain each other into pointers: the required fields, or all
 * other fields. */
static void make_pointers(Program *program, const File *file, bool required) {
    /* The first round has reported a depth that is too large. */
    CycleSearch search = {.program = program, .too_deep = required};
    StructNode *nodes;
    int n = 0;

    for (Definition *d = file->definitions; d; d = d->next)
        n += definition_has_fields(d);
    nodes = region_alloc(&program->region, ((size_t)n + 1) * sizeof(*nodes));
    n = 0;
    for (Definition *d = file->definitions; d; d = d->next)
        if (definition_has_fields(d)) {
            d->state = n;
            nodes[n++].definition = d;
        }
    for (int i = 0; i < n; i++)
        if (nodes[i].index == 0)
            find_components(&search, nodes, i, 0);
    for (int i = 0; i < n; i++)
        for (Field *field = nodes[i].definition->fields; field; field = field->next) {
            Definition *inside = field->optional || field->pointer ? NULL : struct_of(field);

            if (!inside || inside->file != file ||
                nodes[inside->state].component != nodes[i].component)
                continue;
            if (required || nodes[i].definition->kind == DEFINITION_UNION) {
                field->pointer = true;
            } else if (field->presence != PRESENCE_REQUIRED) {
                field->pointer = true;
                field->optional = true;
            }
        }
}

/*
 * A C struct cannot contain itself. All fields through which structs contain each other become
 * pointers, so that the result does not depend on the order of definitions. The first round skips
 * required fields; the second round handles structs that contain each other through required fields
 * only.
 */
void break_cycles(Program *program, const File *file) {
    make_pointers(program, file, false);
    make_pointers(program, file, true);
}
