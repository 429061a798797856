/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Functions that the checker's files share. Each reports the errors that it finds. */

#include "idl/check/program.h"

enum { STATE_NEW, STATE_OPEN, STATE_DONE }; /* Definition.state */

/* Limits of the time that a hostile file takes. Real files stay far below them. */
enum {
    FIELDS_MAX = 1024, /* fields of a definition; also methods and includes */
    VALUES_MAX = 8192, /* values of an enum */
};

/* ---- check.c ---- */

void check_file(Program *program, File *file);

/* ---- check-type.c ---- */

/* Finds the definitions of the names in a type. stream_allowed: the type may be a stream. */
void resolve_type(Program *program, const File *file, Type *type, bool stream_allowed);

/* Refuses a typedef that refers to itself. */
void check_typedef(Program *program, Definition *definition);

/* ---- check-fields.c ---- */

/* Checks the annotation c.name: it must be an identifier. */
void check_c_name(Program *program, const Annotation *annotations);

/* Reports that a name is used twice. what: "fields", "methods". */
void same_name(Program *program, Name name, Name before, const char *what);
void check_fields(Program *program, const File *file, Field *first, bool are_args);

/* ---- check-cycles.c ---- */

/* Warns if required fields make a struct contain itself. Returns false after an error. */
bool check_endless(Program *program, Definition *definition, int depth);

/* Turns the fields that make a C struct contain itself into pointers. */
void break_cycles(Program *program, const File *file);

/* ---- check-defaults.c ---- */

/* Refuses defaults that contain themselves. Needs checked values. */
void check_defaults(Program *program, const File *file);

/* ---- check-service.c ---- */

void check_service(Program *program, const File *file, Definition *service);
