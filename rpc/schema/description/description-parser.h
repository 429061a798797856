/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reads a description from an untrusted peer into tables in an arena. After the first error, which
 * is kept, each function fails.
 */

#include <ferry/schema.h>

#include "rpc/schema/codec/arena.h"
#include "rpc/schema/codec/value-error.h"
#include "rpc/wire/reader.h"

/* The default of a field. It is read when all types are complete. */
typedef struct PendingDefault {
    struct PendingDefault *next;
    ferry_field *field;
    Span value;
} PendingDefault;

typedef struct DescriptionParser {
    Arena *arena;
    ValueError error;
    struct Named *names;
    PendingDefault *pending;
    ferry_service *service;
} DescriptionParser;

/* ---- description-parser.c ---- */

/* Return false. */
bool parser_refuse(DescriptionParser *p, const char *text);
bool parser_no_memory(DescriptionParser *p);

/* Returns zeroed memory. NULL: out of memory, and the error is set. */
void *parser_take(DescriptionParser *p, size_t size);
void *parser_take_array(DescriptionParser *p, size_t n, size_t size);

/* Turns an error of the reader into one of the parser. Returns false after an error. */
bool parser_good(DescriptionParser *p, const Reader *reader);

/* NULL after an error. */
const char *parser_text(DescriptionParser *p, Reader *reader);
const char *parser_name(DescriptionParser *p, Reader *reader, bool dots);

Span parser_value(DescriptionParser *p, Reader *reader);
bool parser_flag(DescriptionParser *p, Reader *reader, bool *ret);

/* Walks over a map's pairs. True for each pair: *key is set, and the reader is at its value. */
typedef struct MapWalk {
    Reader reader;
    uint32_t left;
} MapWalk;

MapWalk parser_walk(DescriptionParser *p, Span map);
bool parser_next(DescriptionParser *p, MapWalk *walk, Span *key);

/* Reads the value if the key belongs to the notes. Returns false for other keys. */
bool parser_note(DescriptionParser *p, Span key, Reader *reader, const ferry_notes **ret);

/* ---- description-types.c ---- */

/* Call parser_declare_types() first: it reads the names of all types. Then parser_complete_types()
 * reads their contents, which refer to these names. */
bool parser_declare_types(DescriptionParser *p, Span list);
bool parser_complete_types(DescriptionParser *p);
void parser_forget_types(DescriptionParser *p); /* frees their names; the tables stay */

/* A name that occurs twice; NULL: all names differ, or memory is missing, which is an error. The
 * first of n names is at `first`, the next one stride bytes later. Sorting limits the time, which
 * matters because the broker calls this in its loop. */
const char *parser_repeated_name(DescriptionParser *p, const char *const *first, uint32_t n,
                                 size_t stride);

/* These need complete types. */
const ferry_type *parser_type(DescriptionParser *p, Reader *reader);
ferry_field *parser_fields(DescriptionParser *p, Reader *reader, uint32_t *ret_n);
void parser_lay_out(ferry_type *type, ferry_field *fields, uint32_t n);
void parser_lay_out_containers(const ferry_type *type);
