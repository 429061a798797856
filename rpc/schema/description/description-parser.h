#pragma once

/*
 * What reads a description: it comes from a stranger, and becomes tables in an arena. The first
 * trouble stays; after it everything fails.
 */

#include <ferry/schema.h>

#include "rpc/schema/codec/arena.h"
#include "rpc/schema/codec/value-error.h"
#include "rpc/wire/reader.h"

/* A field's default, which can be read once all types are complete. */
typedef struct Pending {
    struct Pending *next;
    ferry_field *field;
    Span value;
} Pending;

typedef struct Parser {
    Arena *arena;
    Trouble trouble;
    struct Named *names;
    Pending *pending;
    ferry_service *service;
} Parser;

/* ---- description-parser.c ---- */

/* Return false. */
bool parser_refuse(Parser *p, const char *text);
bool parser_no_memory(Parser *p);

/* Zeroed. NULL: out of memory, and said so. */
void *parser_take(Parser *p, size_t size);
void *parser_take_array(Parser *p, size_t n, size_t size);

/* A failure of the reader becomes one of the parser. */
bool parser_good(Parser *p, const Reader *reader);

/* NULL: there is none that is one. */
const char *parser_text(Parser *p, Reader *reader);
const char *parser_name(Parser *p, Reader *reader, bool dots);

Span parser_value(Parser *p, Reader *reader);
bool parser_flag(Parser *p, Reader *reader, bool *ret);

/* Walks over a map's pairs. True while there is one: *key, and the reader at its value. */
typedef struct Walk {
    Reader reader;
    uint32_t left;
} Walk;

Walk parser_walk(Parser *p, Span map);
bool parser_next(Parser *p, Walk *walk, Span *key);

/* Is it a key of notes? Then it is read. */
bool parser_note(Parser *p, Span key, Reader *reader, const ferry_notes **ret);

/* ---- description-types.c ---- */

/* All names first, then what is inside of the types: they mention each other. */
bool parser_declare_types(Parser *p, Span list);
bool parser_complete_types(Parser *p);
void parser_forget_types(Parser *p); /* their names: the tables stay */

/* Once all types are complete. */
const ferry_type *parser_type(Parser *p, Reader *reader);
ferry_field *parser_fields(Parser *p, Reader *reader, uint32_t *ret_n);
void parser_lay_out(ferry_type *type, ferry_field *fields, uint32_t n);
void parser_lay_out_containers(const ferry_type *type);
