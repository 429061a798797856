/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names in C. The rules use only names, so adding a definition does not rename others. Collisions
 * are reported; only containers give way to definitions.
 */

#include "base/buffer.h"
#include "idl/check/program.h"

typedef struct CNames {
    Program *program;
    bool quiet; /* collisions are not reported */
    struct TakenName *taken;
} CNames;

/* The value of the annotation c.name, else the name. C names are made from it. */
const char *c_spelling(const Annotation *annotations, const char *name);

/* "calc": namespace c, else namespace *, else the file's base name; dots become underscores. */
const char *c_prefix(Program *program, const File *file);

/* "calc.": the prefix of names on the wire; "" without a namespace. */
const char *wire_prefix(Program *program, const File *file);

/* "calc.Range" */
const char *wire_name(Program *program, const Definition *definition);

const char *upper_case(Program *program, const char *name);

/* "calc_range". A service named like the prefix has the prefix as its name: "calc"; another one has
 * "calc_admin". */
const char *c_name(Program *program, const Definition *definition);

/* A part of a longer name: "range", or "shared_range" for a definition of another file. */
const char *c_part(Program *program, const File *file, const Definition *definition);

/* A name that stands alone in C (a field, an argument): keywords, and names that belong to the
 * standard headers or to ferry, get an underscore behind them. */
const char *c_word(Program *program, const char *name);

/* "CALC_OP_ADD": the constant of an enum's value or of a union's member. */
const char *c_constant(Program *program, const Definition *owner, const Annotation *annotations,
                       const char *name);

/* "CALC_H" for "calc". */
const char *c_guard(Program *program, const char *base);

/* Takes a name. Reports an error if it is taken. */
void names_take(CNames *names, const char *name, Place place);

/* Takes a name that only the source has: "range_fields", or "range_fields_2" if that is taken. */
const char *names_own(CNames *names, const char *name);

bool names_is_taken(const CNames *names, const char *name);
void names_deinit(CNames *names);
