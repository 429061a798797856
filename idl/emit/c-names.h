#pragma once

/*
 * What things are called in C. The rules look at nothing but names, so that adding something never
 * renames something else; names that would collide are refused.
 */

#include "base/buffer.h"
#include "idl/check/program.h"

typedef struct Names {
    Program *program;
    bool quiet; /* collisions are not reported */
    struct TakenName *taken;
} Names;

/* The name that C names are made from: the annotation c.name, else the name itself. */
const char *c_spelling(const Annotation *annotations, const char *name);

/* "calc": namespace c, else namespace *, else the file's base name; dots become underscores. */
const char *c_prefix(Program *program, const File *file);

/* "calc.": what names on the wire begin with; "" without a namespace. */
const char *wire_prefix(Program *program, const File *file);

/* "calc.Range" */
const char *wire_name(Program *program, const Definition *definition);

/* "DivisionByZero" to "division_by_zero". */
const char *snake_case(Program *program, const char *name);
const char *upper_case(Program *program, const char *name);

/* "calc_range"; of a service "calc", or "calc_admin" when it is not named like the prefix. */
const char *c_name(Program *program, const Definition *definition);

/* "range", or "shared_range" for another file's: a part of a longer name. */
const char *c_part(Program *program, const File *file, const Definition *definition);

/* A name that stands alone in C (a field, an argument): keywords, and names that belong to the
 * standard headers or to ferry, get an underscore behind them. */
const char *c_word(Program *program, const char *name);

/* "CALC_OP_ADD": the constant of an enum's value or of a union's member. */
const char *c_constant(Program *program, const Definition *owner, const Annotation *annotations,
                       const char *name);

/* "CALC_H" for "calc". */
const char *c_guard(Program *program, const char *base);

/* Takes a name for this thing; an error if it is taken. */
void names_take(Names *names, const char *name, Place place);

/* For names that nobody sees outside of the source: "range_fields", or "range_fields_2" when that
 * is taken. */
const char *names_own(Names *names, const char *name);

bool names_is_taken(const Names *names, const char *name);
void names_deinit(Names *names);
