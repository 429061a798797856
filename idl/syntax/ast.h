/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The syntax tree of an interface file. The parser builds it and the checker completes it. All
 * nodes are in the region of the run. */

#include "idl/syntax/lexer.h"

typedef struct Definition Definition;
typedef struct File File;
typedef struct Type Type;
typedef struct Value Value;

/* A name and its place in the file. */
typedef struct Name {
    const char *text;
    Place place;
} Name;

typedef struct Annotation {
    struct Annotation *next;
    Name name;
    const char *value;
    bool has_value; /* (key) alone means (key = "1") */
    Place value_place;
} Annotation;

typedef enum TypeKind {
    TYPE_BOOL,
    TYPE_I8,
    TYPE_I16,
    TYPE_I32,
    TYPE_I64,
    TYPE_DOUBLE,
    TYPE_STRING,
    TYPE_BINARY,
    TYPE_UUID,
    TYPE_LIST,
    TYPE_SET,
    TYPE_MAP,
    TYPE_STREAM,
    TYPE_NAMED,
} TypeKind;

struct Type {
    TypeKind kind;
    Place place;
    const char *name;   /* as written; "byte" for an i8 */
    Definition *target; /* TYPE_NAMED: set by the checker; NULL after an error */
    Type *key;          /* map */
    Type *item;         /* list, set, stream, map */
    const char *cpp_type;
    Annotation *annotations;
};

typedef enum ValueKind {
    VALUE_INT,
    VALUE_DOUBLE,
    VALUE_STRING,
    VALUE_NAME, /* name of a constant or of an enum's value */
    VALUE_LIST,
    VALUE_MAP,
} ValueKind;

typedef struct Pair {
    struct Pair *next;
    Value *key; /* of a map */
    Value *value;
} Pair;

typedef struct EnumValue EnumValue;

struct Value {
    ValueKind kind;
    Place place;
    int64_t number;
    double real;
    const char *text; /* string or name */
    size_t len;
    Pair *items;
    size_t n;
    Definition *constant; /* VALUE_NAME: the checker sets constant or enum_value */
    EnumValue *enum_value;
};

typedef enum Presence { PRESENCE_DEFAULT, PRESENCE_REQUIRED, PRESENCE_OPTIONAL } Presence;

typedef struct Field {
    struct Field *next;
    Name name;
    bool has_id;
    int64_t id; /* negative if the file gives no number */
    Place id_place;
    Presence presence;
    bool reference; /* & behind the type */
    bool pointer;   /* set by the checker: the C struct would contain itself without a pointer */
    bool optional;  /* set by the checker: may be absent */
    Type *type;
    Value *value;
    bool xsd_optional, xsd_nillable, has_xsd_attrs; /* read and ignored */
    struct Field *xsd_attrs;
    Annotation *annotations;
    const char *doc;
    uint32_t start, end; /* range in the text, including the separator */
    int default_state;   /* as of Definition */
} Field;

struct EnumValue {
    EnumValue *next;
    Name name;
    bool has_number;
    int64_t number;
    Place number_place;
    const char *spelling; /* text of the number, to keep hexadecimal numbers */
    Definition *owner;
    Annotation *annotations;
    const char *doc;
    uint32_t start, end;
};

typedef struct Function {
    struct Function *next;
    Name name;
    bool oneway;
    Type *result; /* NULL: void */
    Field *args;
    uint32_t args_end; /* behind the closing bracket */
    bool has_throws;
    Field *throws;
    Annotation *annotations;
    const char *doc;
    Definition *owner; /* the service */
    uint32_t start, end;
} Function;

typedef enum DefinitionKind {
    DEFINITION_CONST,
    DEFINITION_TYPEDEF,
    DEFINITION_ENUM,
    DEFINITION_STRUCT,
    DEFINITION_UNION,
    DEFINITION_EXCEPTION,
    DEFINITION_SERVICE,
} DefinitionKind;

struct Definition {
    Definition *next;
    DefinitionKind kind;
    Name name;
    Type *type;   /* const, typedef */
    Value *value; /* const */
    EnumValue *values;
    Field *fields; /* struct, union, exception */
    Function *functions;
    Name extends;     /* text is NULL without 'extends' */
    Definition *base; /* the extended service; set by the checker */
    bool xsd_all;
    Annotation *annotations;
    const char *doc;
    File *file;
    uint32_t start, end;
    int state;         /* state of a walk along definitions: new, open or done */
    int default_state; /* state of the walk along defaults */
    bool declared;     /* its name is declared in the header */
};

typedef struct FileHeader {
    struct FileHeader *next;
    enum { HEADER_INCLUDE, HEADER_CPP_INCLUDE, HEADER_NAMESPACE } kind;
    Name scope;         /* namespace */
    Name name;          /* the file, or the namespace's name */
    File *file;         /* the included file; NULL after an error */
    const char *prefix; /* "shared" in "shared.Range" */
    Annotation *annotations;
    uint32_t start, end;
} FileHeader;

/* The file that a place is in: each Source is part of a File. */
#define file_of_place(place)                                                                       \
    ((const File *)(const void *)((const char *)(place).source - offsetof(File, source)))

struct File {
    File *next;
    Source source;
    const char *real_path;
    const char *base; /* "calc" of "dir/calc.thrift" */
    FileHeader *headers;
    Definition *definitions;
    struct NameTable *names;
    Comment *comments;
    const char *doc;
    int state;
};
