/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Writes the C of a checked file: one header and one source. */

#include "base/buffer.h"
#include "idl/emit/c-names.h"
#include "idl/source/put.h"

/* A method in C. A service has its inherited methods like its own. */
typedef struct EmitMethod {
    struct EmitMethod *next;
    const Function *function;
    const Definition *service;
    const char *word;   /* "div": its name in C */
    const char *c;      /* "calc_div" */
    const char *local;  /* "div" or "admin_div": the stem of its tables' names */
    const Field *in;    /* its stream argument, or NULL */
    const Type *out;    /* the item type of a streamed result */
    const Type *result; /* NULL: void or a stream */
    size_t n_args;      /* number of arguments without the stream */
    bool inherited;
    const char *doc;
} EmitMethod;

typedef struct EmitService {
    struct EmitService *next;
    const Definition *definition;
    const char *c;     /* "calc" */
    const char *local; /* "", or "admin_" */
    const char *table; /* "methods" */
    EmitMethod *methods;
    size_t n_methods;
} EmitService;

/* A list, set or map that the file or one of its includes mentions. */
typedef struct Container {
    struct Container *next;
    const Type *type;
    const char *rule; /* the name by the rule: "calc_map_string_i32" */
    /* The name in C: that of the rule, with underscores at the end if it is taken. */
    const char *c;
    const char *local; /* "list_i32_type": its table */
    bool ours;         /* declared in the header that is written */
    bool shared;       /* other files of the same prefix may declare it too */
    bool declared;     /* it is already declared in the header */
    bool has_entry;    /* map: its entry is in the header */
    bool used;         /* a table refers to it */
    Place place;
} Container;

typedef struct Emit {
    Program *program;
    File *file;
    const char *base;   /* "calc": base name of the written files */
    const char *prefix; /* "calc" */
    const char *guard;  /* "CALC_H" */
    const char *version;
    CNames names;  /* names of the header, and of methods' tables */
    CNames own;    /* other names of the source */
    CNames hidden; /* these names in the first pass: parameters must not hide them */
    EmitService *services;
    Container *containers, **last_container;
    struct FileNames *file_names; /* the names in each file's header, except containers */
    bool tables;                  /* write tables without functions that call libferry */
    size_t n_methods, n_values;   /* methods and values written so far */
    bool has_codec;               /* the source uses <ferry/codec.h> */
    bool designates;              /* the source initialises a union's later member */
    Buffer header, source;
    Buffer declarations; /* declarations of arrays in the source that the header uses */
} Emit;

/* emit_prepare() chooses all names and reports collisions. base is the base name of the written
 * files; NULL: that of the interface file. If there are no errors, emit_files() writes header and
 * source. It may report too many values. */
void emit_prepare(Emit *emit, Program *program, File *file, const char *base, bool tables);
void emit_files(Emit *emit);
void emit_header(Emit *emit);
void emit_types(Emit *emit); /* of the header */
void emit_source(Emit *emit);
void emit_deinit(Emit *emit);
void emit_names_deinit(Emit *emit);

/* ---- shared by these files ---- */

/* Writes head, the items with commas, and tail, wrapped at 100 columns under the bracket. */
void put_wrapped(Buffer *to, const char *head, const char *const *items, size_t n,
                 const char *tail);

/* Writes a comment; NULL writes nothing. */
void put_comment(Buffer *to, const char *indent, const char *text);

/* "text", with escapes. */
const char *c_string(Program *program, const char *text, size_t len);

/* The longest string literal that every compiler accepts. */
enum { C_STRING_MAX = 4095 };

/* {'t', 'e', …, '\0'} on several lines: for texts that are too long for a literal. */
void put_characters(Buffer *to, const char *text, size_t len);

/* True: the constant is a macro. Other constants are objects in the source. */
bool is_macro(const Definition *constant);

/* The functions of a method in C, and its member of the handlers. */
typedef enum Prototype {
    PROTOTYPE_CALL,
    PROTOTYPE_ASYNC,
    PROTOTYPE_NEXT,
    PROTOTYPE_SEND,
    PROTOTYPE_END,
    PROTOTYPE_HANDLER,
    PROTOTYPE_RETURN,
    PROTOTYPE_YIELD,
    PROTOTYPE_RECEIVE,
} Prototype;

/* The name of the struct of a method's arguments, and its definition. */
const char *args_name(Emit *emit, const EmitMethod *method);
void put_args_struct(Emit *emit, Buffer *to, const EmitMethod *method);

/* Takes a free name that only the source has. */
const char *own_name(Emit *emit, const char *stem, const char *suffix);

void put_prototype(Emit *emit, Buffer *to, const EmitMethod *method, Prototype prototype,
                   const char *tail);

size_t count_fields(const Field *field);

/* The functions that pack, unpack, copy and print values of a type. */
typedef enum ValueFunction {
    VALUE_PACK,
    VALUE_UNPACK,
    VALUE_COPY,
    VALUE_PRINT,
} ValueFunction;

void put_value_prototype(Emit *emit, Buffer *to, const char *c, ValueFunction function,
                         const char *tail);

/* The name of a field in its C struct. In a union, the name "which" is taken. */
const char *member_name(Emit *emit, const Definition *owner, const Field *field);

/* The name of an argument, as a parameter and in the struct of arguments. */
const char *argument_name(Emit *emit, const Field *field);

/* ---- types in C ---- */

/* The kind behind typedefs; TYPE_NAMED: an enum, struct, union or exception. */
TypeKind kind_of(const Type *type);
bool is_scalar(const Type *type); /* passed and returned by value */
bool is_string(const Type *type);

const char *c_type(Emit *emit, const Type *type); /* "int32_t", "const char *", "calc_range" */
const char *c_declare(Emit *emit, const Type *type, const char *name); /* "const char *name" */
const char *c_pointer(Emit *emit, const Type *type, const char *name); /* "const int32_t *name" */

/* A parameter: scalars, strings and bytes by value, other types by pointer. */
const char *c_parameter(Emit *emit, const Type *type, bool optional, const char *name);

/* An output parameter: "int32_t *ret", "char **ret", "calc_range **ret". */
const char *c_output(Emit *emit, const Type *type, const char *name);

const char *c_table(Emit *emit, const Type *type); /* "&ferry_type_i32": its table */

Container *container_of(Emit *emit, const Type *type);

/* True: the file's header, or a header that it includes, declares this name or a function of a
 * container with this name. */
bool is_declared(Emit *emit, const File *file, const char *name, bool map);

/* ---- values in C ---- */

/* Arrays that an initialiser needs. They are named after name and written to arrays. They are
 * declared in declarations, or static if that is NULL. */
typedef struct Hoist {
    const char *name;
    int n;
    Buffer *arrays, *declarations;
} Hoist;

const char *c_value(Emit *emit, const Type *type, const Value *value, Hoist *hoist);

/* The initialiser of a union that has this field with its default. */
const char *c_member(Emit *emit, const Definition *owner, const Field *field, Hoist *hoist);

/* The initial value of a field: its default, or zero. */
const char *c_initial(Emit *emit, const Field *field, Hoist *hoist);
const char *c_zero(Emit *emit, const Type *type);
