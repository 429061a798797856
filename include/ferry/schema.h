/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library side of generated code: tables that describe types, methods and services, and
 * functions that use them. One table per type is its codec, its checker and its description.
 *
 * Programs include the header that ferry-idl wrote and call its functions. A service without an
 * interface file fills in a ferry_service by hand.
 *
 * Values in C, by type:
 *
 *     bool, i8 … i64, double   bool, int8_t … int64_t, double
 *     enum                     int32_t; a value without a name survives
 *     string                   const char *: UTF-8, no NUL inside
 *     binary, uuid             ferry_bytes, ferry_uuid
 *     struct, exception        a struct, each field at its offset
 *     union                    a struct: int32_t which (index of the field + 1; 0: one that this
 *                              version does not know), then a C union
 *     list, set                struct { size_t n; const T *v; }
 *     map                      struct { size_t n; const struct { K key; V value; } *v; }
 *     field that is optional   pointer to const, NULL when absent (a string: its pointer is NULL)
 *
 * Structs own nothing. Each result of a function here is one block, which ferry_free() frees.
 */
#ifndef FERRY_SCHEMA_H
#define FERRY_SCHEMA_H

#include <ferry/call.h>
#include <ferry/serve.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/* The layout of the tables below. Code and library must agree: ferry_serve() refuses another. */
#define FERRY_SCHEMA_VERSION 1

struct ferry_source;
typedef struct ferry_type ferry_type;
typedef struct ferry_field ferry_field;
typedef struct ferry_method ferry_method;

/* Generated functions that pack and unpack the usual value of a type: see <ferry/codec.h>. */
typedef unsigned char *(*ferry_put_fn)(unsigned char *at, unsigned char *end, const void *value);
typedef const unsigned char *(*ferry_get_fn)(struct ferry_source *source, const unsigned char *at,
                                             void *to);

/* ---- tables ---- */

/* ferry_type.kind */
enum {
    FERRY_KIND_BOOL = 1,
    FERRY_KIND_I8,
    FERRY_KIND_I16,
    FERRY_KIND_I32,
    FERRY_KIND_I64,
    FERRY_KIND_DOUBLE,
    FERRY_KIND_UUID,
    FERRY_KIND_ENUM, /* up to here: scalars, results go into the caller's variable */
    FERRY_KIND_STRING,
    FERRY_KIND_BINARY,
    FERRY_KIND_LIST,
    FERRY_KIND_SET,
    FERRY_KIND_MAP,
    FERRY_KIND_STRUCT,
    FERRY_KIND_UNION,
    FERRY_KIND_EXCEPTION,
    FERRY_KIND_ARGS /* a method's arguments: a struct in C, a list in MessagePack */
};

/* `key = "value"` behind a definition. */
typedef struct ferry_annotation {
    const char *name;
    const char *value;
} ferry_annotation;

/* Documentation and annotations of a definition. */
typedef struct ferry_notes {
    const char *doc; /* the doc comment; NULL: none */
    uint32_t n_annotations;
    const ferry_annotation *annotations;
} ferry_notes;

typedef struct ferry_enum_value {
    const char *name;
    int32_t value;
    const ferry_notes *notes; /* NULL: none; everywhere */
} ferry_enum_value;

struct ferry_type {
    uint32_t kind;
    uint32_t size;         /* of the value in C */
    const char *name;      /* "calc.Range": of enums, structs, unions and exceptions; else NULL */
    uint32_t n;            /* fields or values */
    uint32_t value_offset; /* map: of value in an entry */
    uint32_t entry_size;   /* map: of an entry */
    uint32_t reserved;     /* zero */
    const ferry_field *fields;      /* struct, union, exception, arguments */
    const ferry_enum_value *values; /* enum */
    const ferry_type *key;          /* map */
    const ferry_type *item;         /* list, set; map: of the values */
    const ferry_notes *notes;
    ferry_put_fn put; /* see <ferry/codec.h>; NULL: the table alone describes the type */
    ferry_get_fn get;
};

/* ferry_field.flags */
enum {
    FERRY_OPTIONAL = 1, /* a pointer, NULL when absent */
    FERRY_POINTER = 2,  /* a pointer that must not be NULL */
    FERRY_REQUIRED = 4  /* declared so. Fields without any of them must come too, unless they have
                         * a default; but this one's default is for senders alone */
};

struct ferry_field {
    const char *name;
    uint16_t name_len;
    uint16_t flags;
    int16_t id; /* the number in the interface file; negative if the file has no number */
    uint16_t reserved;
    uint32_t offset; /* in the C struct; union: of the member */
    uint32_t reserved32;
    const ferry_type *type;
    const void *value; /* the default: points to a C value of the type; NULL: none */
    const ferry_notes *notes;
};

/* ferry_method.flags */
enum {
    FERRY_ONEWAY = 1,     /* the method sends no answer */
    FERRY_IDEMPOTENT = 2, /* may be retried, also on another server */
    FERRY_STREAM_IN = 4,  /* items from the caller */
    FERRY_STREAM_OUT = 8, /* items from the server */
    FERRY_INHERITED = 16  /* declared in a service that this one extends */
};

/* A callback of any type. Its maker and its caller agree on the true type. */
typedef void (*ferry_any_fn)(void);

struct ferry_method {
    const char *name; /* "div" */
    uint32_t flags;
    uint32_t timeout_ms;         /* 0: the default. Of a stream: the wait for its next item */
    uint64_t cache_ttl_ms;       /* 0: answers are not remembered */
    const ferry_type *args;      /* FERRY_KIND_ARGS. NULL: the body is the handler's own business */
    const ferry_type *result;    /* NULL: void, or streamed */
    const ferry_type *stream_in; /* the items from the caller; NULL: none */
    const ferry_type *stream_out; /* the items from the server; NULL: none */
    uint32_t n_throws;
    uint32_t reserved;
    const ferry_field *throws; /* declared exceptions: name, id, type */

    /* Calls the handler with the arguments, unpacked to the C struct of args (NULL when args is).
     * -ENOSYS: there is no handler. NULL: this side only calls. */
    int (*dispatch)(ferry_request *request, const void *args, const void *handlers, void *ctx);

    /* Calls fn, which has the method's own type. result is NULL beside an error. */
    void (*answer)(ferry_any_fn fn, const void *result, const ferry_error *error, void *ctx);

    const ferry_notes *notes;
};

struct ferry_service {
    uint32_t schema_version; /* FERRY_SCHEMA_VERSION */
    uint32_t n_methods;
    const char *name;    /* "calc.Calc", as on the wire */
    const char *extends; /* "base.Service", for people; NULL: none. Its methods are in the table */
    const ferry_method *methods;
    const ferry_notes *notes;
};

/* Generated sources that share a namespace may define the same function for a list or a map of base
 * types. The linker keeps one of them. */
#ifdef __GNUC__
#define FERRY_SHARED __attribute__((weak))
#else
#define FERRY_SHARED
#endif

/* ---- the types that every interface has ---- */

typedef struct ferry_uuid {
    uint8_t bytes[16];
} ferry_uuid;

extern const ferry_type ferry_type_bool;
extern const ferry_type ferry_type_i8;
extern const ferry_type ferry_type_i16;
extern const ferry_type ferry_type_i32;
extern const ferry_type ferry_type_i64;
extern const ferry_type ferry_type_double;
extern const ferry_type ferry_type_string;
extern const ferry_type ferry_type_binary;
extern const ferry_type ferry_type_uuid;

#define FERRY_LISTS_OF(name, type)                                                                 \
    typedef struct ferry_list_##name {                                                             \
        size_t n;                                                                                  \
        type const *v;                                                                             \
    } ferry_list_##name;                                                                           \
    typedef struct ferry_set_##name {                                                              \
        size_t n;                                                                                  \
        type const *v;                                                                             \
    } ferry_set_##name

FERRY_LISTS_OF(bool, bool);
FERRY_LISTS_OF(i8, int8_t);
FERRY_LISTS_OF(i16, int16_t);
FERRY_LISTS_OF(i32, int32_t);
FERRY_LISTS_OF(i64, int64_t);
FERRY_LISTS_OF(double, double);
FERRY_LISTS_OF(string, char const *);
FERRY_LISTS_OF(binary, ferry_bytes);
FERRY_LISTS_OF(uuid, ferry_uuid);

#undef FERRY_LISTS_OF

/* ---- values ----
 *
 * The functions of this section wait for nothing. Any thread may call them: they keep no state.
 * reterr receives the error and may be NULL.
 */

/*
 * Packs a C value: as a body for a topic, a queue or a cache. ret->block is the caller's. After a
 * failure, ret is {NULL, 0, NULL}: ferry_free(ret->block) is right in both cases.
 *
 * -EINVAL: a value that may not be sent, and reterr says which: "range.low: …" (a text that is not
 * UTF-8, a set with equal elements, a union without a value, nested deeper than 32 levels);
 * -EMSGSIZE: more than 4 GiB; -ENOMEM.
 */
int ferry_value_pack(const ferry_type *type, const void *value, ferry_bytes *ret,
                     ferry_error *reterr);

/*
 * Unpacks a value. For a scalar, ret points to a variable of its type; for a string to a char *,
 * for any other type T to a T *: one block, ferry_free(). After a failure, a pointer in ret is NULL
 * and a scalar is unchanged.
 *
 * -EINVAL: bytes are not a value of the type; -EMSGSIZE: the value would take far more memory than
 * bytes; -ENOMEM.
 */
int ferry_value_unpack(const ferry_type *type, ferry_bytes bytes, void *ret, ferry_error *reterr);

/**
 * Copies a C value with all that it points to, for example to keep it longer than its block.
 *
 * The value is copied as it is and not checked. A union of a member that the type does not know
 * becomes a union with which = 0.
 *
 * @param type   The value's type: not a scalar and not a string.
 * @param ret    Points to a T *: receives one block, which ferry_free() frees; NULL on failure.
 *
 * @return 0, or
 *   -EINVAL  the value is nested deeper than 32 levels;
 *   -ENOMEM  out of memory.
 */
int ferry_value_copy(const ferry_type *type, const void *value, void *ret, ferry_error *reterr);

/**
 * Prints a C value as one line of JSON, for logs.
 *
 * Enums are printed by name, uuids as text, keys of maps as text, and absent fields are left out. A
 * map whose keys are containers or structs becomes a list of pairs. Control characters and marks
 * that change the direction of text are escaped, so the line is safe in a terminal. Bytes that are
 * not UTF-8 become \u0080 to \u00ff.
 *
 * @param ret    Receives the text, one block, which ferry_free() frees; NULL on failure.
 *
 * @return 0, or
 *   -EINVAL  the value is nested deeper than 32 levels;
 *   -ENOMEM  out of memory.
 */
int ferry_value_print(const ferry_type *type, const void *value, char **ret);

/* The name of an enum's value; NULL if the value has no name. The name belongs to the table of the
 * type and lives as long as it. */
const char *ferry_enum_name(const ferry_type *type, int32_t value);

/**
 * Finds an entry of a map. It compares one entry after the other.
 *
 * @param type  The type of the map.
 * @param map   Points to the map's C struct.
 * @param key   Points to a C value of the key's type: for a string to a const char *.
 *
 * @return a pointer to the value of the first entry with this key, inside the map; NULL: the map
 * has no such key.
 */
const void *ferry_map_find(const ferry_type *type, const void *map, const void *key);

/* Reads "123e4567-e89b-12d3-a456-426614174000", also in braces, in upper or lower case. 0, or
 * -EINVAL: the text is not a uuid, and *ret is untouched. */
int ferry_uuid_parse(const char *text, ferry_uuid *ret);

/* Writes the 36 characters of a uuid in lower case, and a NUL. Returns `to`. */
const char *ferry_uuid_format(const ferry_uuid *uuid, char to[37]);

/* ---- callers: the functions that generated code calls ----
 *
 * args points to the method's C struct of arguments. Where ret receives a result or an item, it is
 * used as in ferry_value_unpack(); NULL: the result is not wanted. reterr receives the error and
 * may be NULL. Threads: the client's.
 */

/**
 * Calls a method and waits for its result. A oneway method returns at once.
 *
 * @param service  The name on the wire, "calc.Calc": it may differ from the table's.
 * @param ret      Receives the result; NULL for void, or if the result is not wanted.
 *
 * @return 0, or an error of ferry_call(); also
 *   -EINVAL    an argument may not be sent: the error names its place, "args.range.low: …";
 *   -EMSGSIZE  the arguments are too large;
 *   -EPROTO    the server's result is not a value of the method's type.
 */
int ferry_method_call(ferry_client *client, const char *service, const ferry_method *method,
                      const void *args, void *ret, ferry_error *reterr);

/**
 * Calls a method and returns; fn gets the result.
 *
 * @param fn   A function of the method's own type, cast to ferry_any_fn. It is called once, in a
 *             later turn or in ferry_close(), and not at all if this function fails. Its result is
 *             lent for the time of the call.
 * @param ctx  The last argument of fn.
 *
 * @return 0, or an error of ferry_call_async(); -EINVAL also: an argument may not be sent.
 */
int ferry_method_call_async(ferry_client *client, const char *service, const ferry_method *method,
                            const void *args, ferry_any_fn fn, void *ctx, ferry_error *reterr);

/**
 * Starts a call of a method that takes items, yields items, or both. It does not wait.
 *
 * @param ret  Receives the stream, which ferry_stream_close() ends; untouched on failure.
 *
 * @return 0, or an error of ferry_stream_open(); -EINVAL also: an argument may not be sent.
 */
int ferry_method_open(ferry_client *client, const char *service, const ferry_method *method,
                      const void *args, ferry_stream **ret, ferry_error *reterr);

/* Waits for the next item, as ferry_stream_next() does. 1: ret has an item; 0: the stream has
 * ended; or an error of ferry_stream_next(); -EPROTO also: the item is not a value of the method's
 * type. */
int ferry_stream_next_typed(ferry_stream *stream, const ferry_method *method, void *ret,
                            ferry_error *reterr);

/* Sends an item, as ferry_stream_send() does. item points to a C value. 0, or an error of
 * ferry_stream_send(); -EINVAL also: the value may not be sent, and the stream goes on. */
int ferry_stream_send_typed(ferry_stream *stream, const ferry_method *method, const void *item,
                            ferry_error *reterr);

/* Ends the caller's items. If the server sends no items, it also waits for the result. 0, or an
 * error of ferry_stream_end(); -EPROTO also: the result is not a value of the method's type. */
int ferry_stream_end_typed(ferry_stream *stream, const ferry_method *method, void *ret,
                           ferry_error *reterr);

/* The C struct of the exception in an error, which the error owns. NULL: the error is not an
 * exception of this type, or its fields cannot be unpacked. */
const void *ferry_exception_in(const ferry_error *error, const ferry_type *type);

/* ---- services that are discovered at run time ----
 *
 * For tools, gateways and bridges: the methods of a running service, as tables like those of
 * generated code. No program has the C structs that they lay out: their values go through the
 * functions below, as MessagePack.
 */

typedef struct ferry_instance {
    const char *name;   /* ferry_options.instance calls this one alone */
    const char *client; /* the name of the program that serves it */
    uint64_t session;
    uint32_t slots;
    uint32_t busy; /* slots that are taken now */
    bool is_ready; /* false: it gets no calls, see ferry_service_ready() */
} ferry_instance;

typedef struct ferry_description {
    const char *name;
    const ferry_service *service; /* NULL: the servers sent no description */
    const char *problem; /* the problem of the description that they sent; NULL: no problem */
    ferry_bytes bytes;   /* the description as it was sent: docs/description.md */
    size_t n_instances;
    const ferry_instance *instances;
} ferry_description;

/**
 * Asks the broker for the description and the instances of a service.
 *
 * A service without a description, or with an unreadable one, is not an error: then service is
 * NULL. dispatch and answer are NULL in every method: the tables can be read, but not served.
 *
 * @param service  "calc.Calc".
 * @param ret      Receives one block that holds all of it: ferry_free().
 *
 * @return 0, or
 *   -ENOENT     no server offers it;
 *   -EPROTO     the broker's answer is malformed;
 *   an error of ferry_call(), -ENOMEM.
 */
int ferry_describe(ferry_client *client, const char *service, ferry_description **ret,
                   ferry_error *reterr);

/* Exactly one of description and error is NULL. Both are lent: ferry_keep(description) to keep it.
 */
typedef void (*ferry_describe_fn)(const ferry_description *description, const ferry_error *error,
                                  void *ctx);

/**
 * As ferry_describe(), and returns; fn gets the description.
 *
 * @param fn   Called once, in a later turn or in ferry_close(), with the description or with an
 *             error of ferry_describe(). Not called when this function fails.
 * @param ctx  The last argument of fn.
 *
 * @return 0, or an error of ferry_call_async().
 */
int ferry_describe_async(ferry_client *client, const char *service, ferry_describe_fn fn, void *ctx,
                         ferry_error *reterr);

/* The method with this name ("div"), inside the table of the service; NULL: it has no such method.
 */
const ferry_method *ferry_method_find(const ferry_service *service, const char *name);

/* Writes the service as an interface file with its documentation, which ferry-idl can compile. ret
 * receives a text, one block, which ferry_free() frees. 0 or -ENOMEM. */
int ferry_service_print(const ferry_service *service, char **ret);

/**
 * Checks and completes a value that a person wrote, as MessagePack made from JSON or from words.
 *
 * Enums may come by name ("ADD"), uuids, binaries and numbers as text, keys of maps as text, or a
 * map as a list of pairs. Arguments (a method's args) may come in order, as a list, or by name, as
 * a map. A missing field gets its default. Unlike a receiver's check, this one refuses unknown
 * names: they are typing mistakes.
 *
 * @param root  The name of the whole value in messages: "args" in "args.range.low: expected i32,
 *              got str".
 * @param ret   Receives the value to send; the caller owns ret->block.
 *
 * @return 0, or -EINVAL (ferry.InvalidArgument, with the place), -EMSGSIZE, -ENOMEM.
 */
int ferry_value_convert(const ferry_type *type, ferry_bytes value, const char *root,
                        ferry_bytes *ret, ferry_error *reterr);

/* Converts a value of the wire for people, the inverse of ferry_value_convert(): enums by name,
 * uuids as text, keys of maps as text, binaries as text if they are UTF-8. The caller owns
 * ret->block. 0; -EINVAL: the bytes are not a value of the type; -EMSGSIZE: the result is too
 * large; -ENOMEM. */
int ferry_value_format(const ferry_type *type, ferry_bytes value, ferry_bytes *ret,
                       ferry_error *reterr);

/* Makes an example for people to fill in, with every field; arguments by name. The result is
 * MessagePack; the caller owns ret->block. 0 or -ENOMEM. */
int ferry_value_example(const ferry_type *type, ferry_bytes *ret);

/* Writes the name of a type, "list<calc.Range>", cut to size bytes with its NUL. Returns `to`. */
const char *ferry_type_format(const ferry_type *type, char *to, size_t size);

/* ---- servers: the functions that generated code calls ----
 *
 * method is the method of the request. If a value may not be sent, the function returns -EINVAL,
 * and the caller gets ferry.Internal with the value's place. Threads: those that may answer the
 * request, see <ferry/serve.h>.
 */

/**
 * Answers a request with a result.
 *
 * @param result  Points to the C value; NULL for void and at the end of a stream.
 *
 * @return 0, or an error of ferry_request_return(); -EINVAL also: the request is for another method
 *   or is answered already, the result is missing, or the value may not be sent.
 */
int ferry_method_return(ferry_request *request, const ferry_method *method, const void *result);

/* Sends an item to the caller, as ferry_request_yield() does. item points to the C value. 0, or an
 * error of ferry_request_yield(); -EINVAL also: as in ferry_method_return(), or the method sends no
 * items. */
int ferry_method_yield(ferry_request *request, const ferry_method *method, const void *item);

/* Waits for the next item of the caller, as ferry_request_receive() does. 1: ret has an item, as in
 * ferry_value_unpack(); 0: the caller sends no more; or an error of ferry_request_receive();
 * -EINVAL also: the item is not a value of the method's type, and the caller has got that error. */
int ferry_method_receive(ferry_request *request, const ferry_method *method, void *ret);

/**
 * Answers a request with an exception.
 *
 * The error's message is the text of the field that the annotation (message = "field") names, else
 * of a string field named message, else the doc comment of the exception.
 *
 * @param file, line, func  The place in the source that the error's trace shows.
 * @param value             Points to the exception's C struct.
 *
 * @return 0, or an error of ferry_request_throw(); -EINVAL also: the request is answered already,
 * or a field may not be sent; -EMSGSIZE: the fields are too large.
 */
int ferry_exception_throw_at(const char *file, int line, const char *func, ferry_request *request,
                             const ferry_type *type, const void *value);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
