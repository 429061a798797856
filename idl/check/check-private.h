#pragma once

/* What the checker's files share. All of it reports what is wrong. */

#include "idl/check/program.h"

enum { STATE_NEW, STATE_OPEN, STATE_DONE }; /* Definition.state */

/* Structs are small, except those of somebody who wants to see a compiler hang. */
enum {
    FIELDS_MAX = 1024, /* also of methods, includes */
    VALUES_MAX = 8192, /* of an enum */
};

/* ---- check.c ---- */

void check_file(Program *program, File *file);

/* ---- check-fields.c ---- */

/* The annotation c.name: a name that C can have. */
void check_c_name(Program *program, const Annotation *annotations);

/* ---- check-type.c ---- */

void resolve_type(Program *program, const File *file, Type *type, bool stream_allowed);

/* A typedef of itself, or of another that leads back: what cannot be followed to its end. */
void check_typedef(Program *program, Definition *definition);

/* ---- check-fields.c ---- */

void same_name(Program *program, Name name, Name before, const char *what);
void check_fields(Program *program, const File *file, Field *first, bool are_args);

/* ---- check-rings.c ---- */

/* A field that must be there, whose struct must have it again, and so on: no value ever ends. */
bool check_endless(Program *program, Definition *definition, int depth);

/* C cannot hold a struct inside itself: fields that would become pointers. */
void break_rings(Program *program, const File *file);

/* ---- check-defaults.c ---- */

/* After all values are checked. */
void check_defaults(Program *program, const File *file);

/* ---- check-service.c ---- */

void check_service(Program *program, const File *file, Definition *service);
