#pragma once

/* C from a checked file: one header, one source. */

#include "base/buffer.h"
#include "idl/emit/c-names.h"
#include "idl/source/put.h"

/* A method as it is called in C. Those that a service inherits are its own here. */
typedef struct EmitMethod {
    struct EmitMethod *next;
    const Function *function;
    const Definition *service;
    const char *word;   /* "div": its name in C */
    const char *c;      /* "calc_div" */
    const char *local;  /* "div", or "admin_div": what tables in the source are named after */
    const Field *in;    /* the argument that is a stream; NULL: none */
    const Type *out;    /* the items of a stream that is the result */
    const Type *result; /* NULL: void or a stream */
    size_t n_args;      /* without the stream */
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
    const char *rule;  /* the name that the rule gives: "calc_map_string_i32" */
    const char *c;     /* the name: with underscores behind it where that one is taken */
    const char *local; /* "list_i32_type": its table */
    bool ours;         /* declared in our header */
    bool shared;       /* other files of the same prefix may declare it too */
    bool declared;     /* in the header, by now */
    bool has_entry;    /* map: so is its entry */
    bool used;         /* by another table */
    Place place;
} Container;

typedef struct Emit {
    Program *program;
    File *file;
    const char *base;   /* "calc": of the files that are made */
    const char *prefix; /* "calc" */
    const char *guard;  /* "CALC_H" */
    const char *version;
    Names names;  /* what others see, and methods' tables */
    Names own;    /* what else the source declares */
    Names hidden; /* the same, of the pass before: parameters must not hide them */
    EmitService *services;
    Container *containers, **last_container;
    struct FileNames *file_names; /* what each file's header declares, except containers */
    bool tables;                  /* those alone: nothing that calls libferry */
    size_t n_methods, n_values;   /* written out */
    bool designates;              /* the source initialises a union's later member */
    Buffer header, source;
    Buffer declarations; /* of arrays in the source that the header mentions */
} Emit;

/* Names everything and reports collisions. base: the name of the written files; NULL: as the file.
 * Then, if there are no errors, write the two files; that can report an error too. */
void emit_prepare(Emit *emit, Program *program, File *file, const char *base, bool tables);
void emit_files(Emit *emit);
void emit_header(Emit *emit);
void emit_types(Emit *emit); /* of the header */
void emit_source(Emit *emit);
void emit_deinit(Emit *emit);
void emit_names_deinit(Emit *emit);

/* ---- shared by the above ---- */

/* head, the items with commas between them, tail; wrapped at 100 columns under the bracket. */
void put_wrapped(Buffer *to, const char *head, const char *const *items, size_t n,
                 const char *tail);

/* A comment of one or more lines; nothing for NULL. */
void put_comment(Buffer *to, const char *indent, const char *text);

/* "text", with escapes. */
const char *c_string(Program *program, const char *text, size_t len);

/* Compilers need not take longer string literals. */
enum { C_STRING_MAX = 4095 };

/* {'t', 'e', …, '\0'} on several lines: for texts that are too long for a literal. */
void put_characters(Buffer *to, const char *text, size_t len);

/* Is the constant a macro? Others are objects in the source. */
bool is_macro(const Definition *constant);

/* The functions that a method has in C, and the member of its service's handlers. */
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

/* What the struct of a method's arguments is called, and all of it. */
const char *args_name(Emit *emit, const EmitMethod *method);
void put_args_struct(Emit *emit, Buffer *to, const EmitMethod *method);

/* A name for something in the source alone. */
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

/* What a field is called in its C struct: which is taken in a union. */
const char *member_name(Emit *emit, const Definition *owner, const Field *field);

/* What an argument is called, as a parameter and in the struct of arguments. */
const char *argument_name(Emit *emit, const Field *field);

/* ---- types in C ---- */

TypeKind kind_of(const Type *type); /* through typedefs; TYPE_NAMED: has a definition */
bool is_scalar(const Type *type);   /* passed and returned by value */
bool is_string(const Type *type);

const char *c_type(Emit *emit, const Type *type); /* "int32_t", "const char *", "calc_range" */
const char *c_declare(Emit *emit, const Type *type, const char *name); /* "const char *name" */
const char *c_pointer(Emit *emit, const Type *type, const char *name); /* "const int32_t *name" */

/* As a parameter: scalars, strings and bytes as they are, others as pointers. */
const char *c_parameter(Emit *emit, const Type *type, bool optional, const char *name);

/* Where a result goes: "int32_t *ret", "char **ret", "calc_range **ret". */
const char *c_output(Emit *emit, const Type *type, const char *name);

const char *c_table(Emit *emit, const Type *type); /* "&ferry_type_i32": its table */

Container *container_of(Emit *emit, const Type *type);

/* Does the file's header, or one that it includes, declare this name, or one of the functions that
 * a container of this name has? */
bool is_declared(Emit *emit, const File *file, const char *name, bool map);

/* ---- values in C ---- */

/* An initialiser. Arrays that it needs are named after hoist and written to arrays, declared in
 * declarations unless that is NULL (then they are static). */
typedef struct Hoist {
    const char *name;
    int n;
    Buffer *arrays, *declarations;
} Hoist;

const char *c_value(Emit *emit, const Type *type, const Value *value, Hoist *hoist);

/* A union that holds this field with its default. */
const char *c_member(Emit *emit, const Definition *owner, const Field *field, Hoist *hoist);

/* What a field is set to when nothing else is said: its default, or zero. */
const char *c_initial(Emit *emit, const Field *field, Hoist *hoist);
const char *c_zero(Emit *emit, const Type *type);
