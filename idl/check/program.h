/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One run of the compiler: its files and their definitions. */

#include "idl/syntax/ast.h"

enum {
    SOURCE_MAX = 16 * 1024 * 1024, /* bytes of one file */
    PROGRAM_DEPTH_MAX = 200,       /* levels of includes, typedefs, constants, structs */
    PROGRAM_VALUES_MAX = 1 << 20,  /* values in all constants and defaults, counting each use */
    PROGRAM_METHODS_MAX = 1 << 15, /* methods of all services, including inherited methods */
};

typedef struct Program {
    Region region;
    Reports reports;
    File *files;
    const char *const *include_dirs;
    size_t n_include_dirs;
    unsigned n_sources;
    size_t n_values; /* values checked so far; a value counts at each use */
    bool closed;     /* true: reads no files, because the text comes from outside */
} Program;

void program_init(Program *program);
void program_deinit(Program *program);

/* Reads, parses and checks a file and its includes. Returns NULL if the file cannot be read. Errors
 * in files are counted in program->reports.n_errors. */
File *program_load(Program *program, const char *path);

/* Reads and parses one file without its includes. */
File *program_parse(Program *program, const char *path);

/* Parses and checks a text in memory. */
File *program_load_text(Program *program, const char *name, const char *text, size_t len);

/* ---- names ---- */

/* The definition that a name ("Range", "shared.Range") refers to in a file, or NULL. */
Definition *program_find(const File *file, const char *name);

/* Adds a definition to its file's names. If the name is taken, keeps and returns the earlier
 * definition. */
Definition *program_declare(Program *program, File *file, Definition *definition);

/* A hint for an unknown name: "did you mean 'Range'?"; NULL if no name is similar. */
const char *program_hint(Program *program, const File *file, const char *name,
                         bool (*fits)(const Definition *definition));

/* ---- results of the checker ---- */

/* The type behind typedefs. NULL if a name in it is unknown, which was reported. */
const Type *type_true(const Type *type);

/* The definition of a struct, union, exception or enum type, or NULL. */
Definition *type_definition(const Type *type);

static inline bool definition_has_fields(const Definition *definition) {
    return definition->kind >= DEFINITION_STRUCT && definition->kind <= DEFINITION_EXCEPTION;
}

/* True if the types are equal behind typedefs. */
bool types_equal(const Type *a, const Type *b);

/* The value behind names of constants; an enum value stays a name. NULL after a reported error. */
const Value *value_true(const Value *value);

/* The number of an integer, or of an enum's value. */
int64_t value_number(const Value *value);

/* The field that a pair of a struct literal sets, or NULL. */
const Field *pair_field(const Definition *owner, const Pair *pair);

/* True if two values of a type are equal, in any spelling. */
bool values_equal(Program *program, const Type *type, const Value *a, const Value *b);

void check_value(Program *program, const Type *type, Value *value, const char *what);
void check_const(Program *program, Definition *constant);

const Annotation *annotation_find(const Annotation *annotations, const char *name);
