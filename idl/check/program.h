#pragma once

/* A run of the compiler: the files it read, and what was found in them. */

#include "idl/syntax/ast.h"

enum {
    SOURCE_MAX = 16 * 1024 * 1024, /* bytes of one file */
    PROGRAM_DEPTH_MAX = 200, /* of files that include each other, types named after others, … */
    PROGRAM_VALUES_MAX = 1 << 20,  /* that constants and defaults are made of, written out */
    PROGRAM_METHODS_MAX = 1 << 15, /* of all services, those that they extend included */
};

typedef struct Program {
    Region region;
    Reports reports;
    File *files;
    const char *const *include_dirs;
    size_t n_include_dirs;
    unsigned n_sources;
    size_t n_values; /* that were looked at, each time counted */
    bool closed;     /* read no files: for text from strangers */
} Program;

void program_init(Program *program);
void program_deinit(Program *program);

/* Reads a file and all that it includes, parses and checks them. NULL: it cannot be read. Whether
 * it is right is told by program->reports.n_errors. */
File *program_load(Program *program, const char *path);

/* Reads and parses one file, and nothing that it includes. */
File *program_parse(Program *program, const char *path);

/* The same from memory, for text that has no file. */
File *program_load_text(Program *program, const char *name, const char *text, size_t len);

/* ---- names ---- */

/* What a file calls by this name ("Range", "shared.Range"), or NULL. */
Definition *program_find(const File *file, const char *name);

/* Enters a definition. What had the name before stays, and is returned. */
Definition *program_declare(Program *program, File *file, Definition *definition);

/* "did you mean 'Range'?" for a name that was not found, or NULL. */
const char *program_hint(Program *program, const File *file, const char *name,
                         bool (*fits)(const Definition *definition));

/* ---- what the checker leaves behind ---- */

/* Through typedefs to what it is. NULL: something unknown, and reported. */
const Type *type_true(const Type *type);

/* The struct, union, exception or enum that the type is, or NULL. */
Definition *type_definition(const Type *type);

static inline bool definition_has_fields(const Definition *definition) {
    return definition->kind >= DEFINITION_STRUCT && definition->kind <= DEFINITION_EXCEPTION;
}

/* Is every value of the one type a value of the other, and in the same form? */
bool types_equal(const Type *a, const Type *b);

/* Through constants to the value itself; enum values stay. NULL: something was reported. */
const Value *value_true(const Value *value);

/* The number of an integer, or of an enum's value. */
int64_t value_number(const Value *value);

/* The member of a struct's value that the pair sets, or NULL. */
const Field *pair_field(const Definition *owner, const Pair *pair);

/* Are two values of the type the same, however they are written? */
bool values_equal(Program *program, const Type *type, const Value *a, const Value *b);

void check_value(Program *program, const Type *type, Value *value, const char *what);
void check_const(Program *program, Definition *constant);

const Annotation *annotation_find(const Annotation *annotations, const char *name);
