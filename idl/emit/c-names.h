/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Names in C. The rules use only names, so adding a definition does not rename others. Collisions
 * are reported, except that a container gets another name if a definition has its name.
 */

#include "base/buffer.h"
#include "idl/check/program.h"

typedef struct CNames {
    Program *program;
    bool quiet; /* collisions are not reported */
    struct TakenName *taken;
} CNames;

/* The name from which C names are made: the value of the annotation c.name, or the name itself. */
const char *c_spelling(const Annotation *annotations, const char *name);

/* "calc": the namespace of c, or of *, or the base name of the file. Dots become underscores. */
const char *c_prefix(Program *program, const File *file);

/* "calc.": the prefix of names in messages; "" without a namespace. */
const char *wire_prefix(Program *program, const File *file);

/* "calc.Range" */
const char *wire_name(Program *program, const Definition *definition);

const char *upper_case(Program *program, const char *name);

/* "calc_range". If a service has the name of the prefix, its C name is the prefix: "calc". Other
 * services have "calc_admin". */
const char *c_name(Program *program, const Definition *definition);

/* A part of a longer name: "range", or "shared_range" for a definition of another file. */
const char *c_part(Program *program, const File *file, const Definition *definition);

/* A name without a prefix in C (of a field or an argument). Keywords, and names of the standard
 * headers or of ferry, get an underscore at the end. */
const char *c_word(Program *program, const char *name);

/* "CALC_OP_ADD": the constant of an enum's value or of a union's member. */
const char *c_constant(Program *program, const Definition *owner, const Annotation *annotations,
                       const char *name);

/* "CALC_H" for "calc". */
const char *c_guard(Program *program, const char *base);

/* Takes a name. Reports an error if it is taken. */
void names_take(CNames *names, const char *name, Place place);

/* Takes a name that only the source uses: "range_fields", or "range_fields_2" if it is taken. */
const char *names_own(CNames *names, const char *name);

bool names_is_taken(const CNames *names, const char *name);
void names_deinit(CNames *names);
