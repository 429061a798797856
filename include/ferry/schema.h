/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's part of generated code: tables that describe types, methods and services, and
 * functions that use the tables. The same table of a type serves to pack and unpack its values, to
 * check them, and to describe the type.
 *
 * Programs include the header that ferry-idl wrote and call its functions. A service without an
 * interface file fills in a ferry_service by hand.
 *
 * Values in C, by type:
 *
 *     bool, i8 … i64, double   bool, int8_t … int64_t, double
 *     enum                     int32_t; a value without a name is kept
 *     string                   const char *: UTF-8, no NUL inside
 *     binary, uuid             ferry_bytes, ferry_uuid
 *     struct, exception        a struct, each field at its offset
 *     union                    a struct: int32_t which (index of the field + 1; 0: a field that
 *                              this version does not know), then a C union
 *     list, set                struct { size_t n; const T *v; }
 *     map                      struct { size_t n; const struct { K key; V value; } *v; }
 *     field that is optional   pointer to const, NULL when absent (a string: its pointer is NULL)
 *
 * Structs own no memory. Each result of a function in this header is one block, which ferry_free()
 * frees.
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

/* The version of the tables' layout. Generated code and library must have the same version:
 * ferry_serve() refuses another one. */
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
    FERRY_KIND_ENUM, /* up to here: scalars, whose results go into the caller's variable */
    FERRY_KIND_STRING,
    FERRY_KIND_BINARY,
    FERRY_KIND_LIST,
    FERRY_KIND_SET,
    FERRY_KIND_MAP,
    FERRY_KIND_STRUCT,
    FERRY_KIND_UNION,
    FERRY_KIND_EXCEPTION,
    FERRY_KIND_ARGS /* the arguments of a method: a struct in C, a list in MessagePack */
};

/* `key = "value"` behind a definition. */
typedef struct ferry_annotation {
    const char *name;
    const char *value;
} ferry_annotation;

/* The documentation and the annotations of a definition. */
typedef struct ferry_notes {
    const char *doc; /* the doc comment; NULL: no doc comment */
    uint32_t n_annotations;
    const ferry_annotation *annotations;
} ferry_notes;

typedef struct ferry_enum_value {
    const char *name;
    int32_t value;
    const ferry_notes *notes; /* in this and all structs: NULL: no notes */
} ferry_enum_value;

struct ferry_type {
    uint32_t kind;
    uint32_t size; /* size of the value in C */
    /* "calc.Range": name of an enum, struct, union or exception; otherwise NULL. */
    const char *name;
    uint32_t n;                     /* number of fields or values */
    uint32_t value_offset;          /* map: offset of the value in an entry */
    uint32_t entry_size;            /* map: size of an entry */
    uint32_t reserved;              /* zero */
    const ferry_field *fields;      /* struct, union, exception, arguments */
    const ferry_enum_value *values; /* enum */
    const ferry_type *key;          /* map */
    const ferry_type *item;         /* list, set: type of the items; map: type of the values */
    const ferry_notes *notes;
    ferry_put_fn put; /* see <ferry/codec.h>; NULL: the library uses the table alone */
    ferry_get_fn get;
};

/* ferry_field.flags */
enum {
    FERRY_OPTIONAL = 1, /* a pointer, NULL when absent */
    FERRY_POINTER = 2,  /* a pointer that must not be NULL */
    /* Declared "required": a receiver refuses a value without the field, even if the field has a
     * default. A field without any of these flags may be missing only if it has a default. */
    FERRY_REQUIRED = 4
};

struct ferry_field {
    const char *name;
    uint16_t name_len;
    uint16_t flags;
    int16_t id; /* the number in the interface file; negative if the file has no number */
    uint16_t reserved;
    uint32_t offset; /* offset in the C struct; union: offset of the member */
    uint32_t reserved32;
    const ferry_type *type;
    const void *value; /* points to the default, a C value of the type; NULL: no default */
    const ferry_notes *notes;
};

/* ferry_method.flags */
enum {
    FERRY_ONEWAY = 1,     /* the method sends no answer */
    FERRY_IDEMPOTENT = 2, /* calls may be retried, also on another server */
    FERRY_STREAM_IN = 4,  /* the caller sends items */
    FERRY_STREAM_OUT = 8, /* the server sends items */
    FERRY_INHERITED = 16, /* declared in a service that this service extends */
    FERRY_DIRECT = 32     /* calls go straight to a server, if one takes direct calls */
};

/* A callback of any type. The code that passes it and the code that calls it agree on its real
 * type. */
typedef void (*ferry_any_fn)(void);

struct ferry_method {
    const char *name; /* "div" */
    uint32_t flags;
    /* 0: the default. For a stream, the limit of each wait for an item. */
    uint32_t timeout_ms;
    uint64_t cache_ttl_ms;        /* 0: answers are not memoised */
    const ferry_type *args;       /* FERRY_KIND_ARGS. NULL: the handler reads the body itself */
    const ferry_type *result;     /* NULL: void, or the method yields items */
    const ferry_type *stream_in;  /* type of the caller's items; NULL: the caller sends no items */
    const ferry_type *stream_out; /* type of the server's items; NULL: the server sends no items */
    uint32_t n_throws;
    uint32_t reserved;
    const ferry_field *throws; /* the declared exceptions, with name, id and type */

    /* Calls the handler with the arguments, unpacked to the C struct of args, or with NULL if args
     * is NULL. -ENOSYS: there is no handler. NULL: this program only calls the method. */
    int (*dispatch)(ferry_request *request, const void *args, const void *handlers, void *ctx);

    /* Calls fn, which has the method's own type. If there is an error, result is NULL. */
    void (*answer)(ferry_any_fn fn, const void *result, const ferry_error *error, void *ctx);

    const ferry_notes *notes;
};

struct ferry_service {
    uint32_t schema_version; /* FERRY_SCHEMA_VERSION */
    uint32_t n_methods;
    const char *name; /* "calc.Calc", as in messages */
    /* "base.Service", for people; NULL: no base service. The table includes the methods of the
     * base service. */
    const char *extends;
    const ferry_method *methods;
    const ferry_notes *notes;
};

/* Generated sources with the same namespace may define the same function for a list or a map of
 * base types. The linker keeps one definition. */
#ifdef __GNUC__
#define FERRY_SHARED __attribute__((weak))
#else
#define FERRY_SHARED
#endif

/* ---- base types ---- */

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
 * The functions of this section never wait, and keep no state, so any thread may call them. reterr
 * receives the error and may be NULL. */

/*
 * Packs a C value, for example as a body for a topic, a queue or a cache. The caller owns
 * ret->block. After a failure *ret is {NULL, 0, NULL}, so ferry_free(ret->block) is correct in both
 * cases.
 *
 * -EINVAL: the value is invalid (a text that is not UTF-8, a set with equal elements, a union
 * without a value, more than 32 levels), and reterr names the place: "range.low: …"; -EMSGSIZE:
 * more than 4 GiB; -ENOMEM.
 */
int ferry_value_pack(const ferry_type *type, const void *value, ferry_bytes *ret,
                     ferry_error *reterr);

/*
 * Unpacks a value. For a scalar, ret points to a variable of its type; for a string to a char *,
 * for any other type T to a T *. The result is one block, to be freed with ferry_free(). After a
 * failure, a pointer in ret is NULL and a scalar is unchanged.
 *
 * -EINVAL: bytes are not a value of the type; -EMSGSIZE: the value would take far more memory than
 * its bytes; -ENOMEM.
 */
int ferry_value_unpack(const ferry_type *type, ferry_bytes bytes, void *ret, ferry_error *reterr);

/**
 * Copies a C value with all values that it points to, for example to keep it longer than its block.
 *
 * The value is not checked. If a union has a member that the type does not know, its copy has which
 * = 0.
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
 * Enums are printed by name, uuids and keys of maps as text. Absent fields are left out. A map
 * whose keys are containers or structs becomes a list of pairs. Control characters and marks that
 * change the direction of text are escaped, so the line is safe in a terminal. Bytes that are not
 * UTF-8 become \u0080 to \u00ff.
 *
 * @param ret    Receives the text, one block, which ferry_free() frees; NULL on failure.
 *
 * @return 0, or
 *   -EINVAL  the value is nested deeper than 32 levels;
 *   -ENOMEM  out of memory.
 */
int ferry_value_print(const ferry_type *type, const void *value, char **ret);

/* The name of an enum's value; NULL if the value has no name. The name is part of the table of the
 * type, and is valid as long as the table. */
const char *ferry_enum_name(const ferry_type *type, int32_t value);

/**
 * Finds an entry of a map, by comparing one entry after another.
 *
 * @param type  The type of the map.
 * @param map   Points to the map's C struct.
 * @param key   Points to a C value of the key's type; for a string, to a const char *.
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
 * args points to the method's C struct of arguments. If ret receives a result or an item, it is
 * used as in ferry_value_unpack(). NULL: the result is not wanted. reterr receives the error and
 * may be NULL. Threads: the client's. */

/**
 * Calls a method and waits for its result. A oneway method returns at once.
 *
 * @param service  The name in messages, "calc.Calc". It may differ from the name in the table.
 * @param ret      Receives the result; NULL for void, or if the result is not wanted.
 *
 * @return 0, or an error of ferry_call(); also
 *   -EINVAL    an argument is invalid: the error names its place, "args.range.low: …";
 *   -EMSGSIZE  the arguments are too large;
 *   -EPROTO    the server's result is not a value of the method's type.
 */
int ferry_method_call(ferry_client *client, const char *service, const ferry_method *method,
                      const void *args, void *ret, ferry_error *reterr);

/**
 * Starts a call of a method and returns. fn gets the result.
 *
 * @param fn   A function of the method's own type, cast to ferry_any_fn. It is called once, in a
 *             later turn or in ferry_close(), and not called if this function fails. Its result is
 *             lent until fn returns.
 * @param ctx  The last argument of fn.
 *
 * @return 0, or an error of ferry_call_async(); -EINVAL also: an argument is invalid.
 */
int ferry_method_call_async(ferry_client *client, const char *service, const ferry_method *method,
                            const void *args, ferry_any_fn fn, void *ctx, ferry_error *reterr);

/**
 * Starts a call of a method that takes items, yields items, or both. It does not wait.
 *
 * @param ret  Receives the stream, which ferry_stream_close() ends; untouched on failure.
 *
 * @return 0, or an error of ferry_stream_open(); -EINVAL also: an argument is invalid.
 */
int ferry_method_open(ferry_client *client, const char *service, const ferry_method *method,
                      const void *args, ferry_stream **ret, ferry_error *reterr);

/* Waits for the next item, like ferry_stream_next(). 1: ret has an item; 0: the stream has ended;
 * or an error of ferry_stream_next(); -EPROTO also: the item is not a value of the method's
 * type. */
int ferry_stream_next_typed(ferry_stream *stream, const ferry_method *method, void *ret,
                            ferry_error *reterr);

/* Sends an item, like ferry_stream_send(). item points to a C value. 0, or an error of
 * ferry_stream_send(); -EINVAL also: the value is invalid, and the stream continues. */
int ferry_stream_send_typed(ferry_stream *stream, const ferry_method *method, const void *item,
                            ferry_error *reterr);

/* Ends the caller's items. If the server sends no items, the function also waits for the result. 0,
 * or an error of ferry_stream_end(); -EPROTO also: the result is not a value of the method's
 * type. */
int ferry_stream_end_typed(ferry_stream *stream, const ferry_method *method, void *ret,
                           ferry_error *reterr);

/* The C struct of the exception in an error, which the error owns. NULL: the error is not an
 * exception of this type, or its fields cannot be unpacked. */
const void *ferry_exception_in(const ferry_error *error, const ferry_type *type);

/* ---- services that are discovered at run time ----
 *
 * For tools, gateways and bridges: the methods of a running service, as tables like those of
 * generated code. No program has C structs for these tables: the functions below handle the values
 * as MessagePack. */

typedef struct ferry_instance {
    const char *name;   /* for ferry_options.instance, to call only this instance */
    const char *client; /* the name of the program that serves it */
    uint64_t session;
    uint32_t slots;
    uint32_t busy;   /* slots in use now */
    bool is_ready;   /* false: the instance gets no calls, see ferry_service_ready() */
    bool is_ejected; /* true: its calls failed, so it gets no calls for some time if others work */
} ferry_instance;

typedef struct ferry_description {
    const char *name;
    const ferry_service *service; /* NULL: the servers sent no description */
    const char *problem;          /* why the description cannot be read; NULL: no problem */
    ferry_bytes bytes;            /* the description as the server sent it: docs/description.md */
    size_t n_instances;
    const ferry_instance *instances;
} ferry_description;

/**
 * Asks the broker for the description and the instances of a service.
 *
 * If the service has no description, or an unreadable one, the function succeeds, and ret->service
 * is NULL. dispatch and answer are NULL in every method: the tables can be read, but not served.
 *
 * @param service  "calc.Calc".
 * @param ret      Receives one block with all data, to be freed with ferry_free().
 *
 * @return 0, or
 *   -ENOENT     no server offers the service;
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
 * Like ferry_describe(), but returns at once. fn gets the description.
 *
 * @param fn   Called once, in a later turn or in ferry_close(), with the description or with an
 *             error of ferry_describe(). Not called when this function fails.
 * @param ctx  The last argument of fn.
 *
 * @return 0, or an error of ferry_call_async().
 */
int ferry_describe_async(ferry_client *client, const char *service, ferry_describe_fn fn, void *ctx,
                         ferry_error *reterr);

/* The method with this name ("div") in the table of the service; NULL: the service has no such
 * method. */
const ferry_method *ferry_method_find(const ferry_service *service, const char *name);

/* Writes the service as an interface file with its documentation, which ferry-idl can compile. ret
 * receives the text as one block, to be freed with ferry_free(). 0 or -ENOMEM. */
int ferry_service_print(const ferry_service *service, char **ret);

/**
 * Checks and completes a value that a person wrote as JSON or as words, given as MessagePack.
 *
 * An enum may be its name ("ADD"). Uuids, binaries, numbers and keys of maps may be texts, and a
 * map may be a list of pairs. Arguments (a method's args) may be a list, in order, or a map, by
 * name. A missing field gets its default. Unlike the check of a receiver, this function refuses
 * unknown names, because they are typing mistakes.
 *
 * @param root  The name of the whole value in messages: "args" in "args.range.low: expected i32,
 *              got str".
 * @param ret   Receives the value to send; the caller owns ret->block.
 *
 * @return 0, or -EINVAL (ferry.InvalidArgument, with the place), -EMSGSIZE, -ENOMEM.
 */
int ferry_value_convert(const ferry_type *type, ferry_bytes value, const char *root,
                        ferry_bytes *ret, ferry_error *reterr);

/* Converts a MessagePack value to a form for people, the inverse of ferry_value_convert(): enums by
 * name, uuids as text, keys of maps as text, binaries as text if they are UTF-8. The caller owns
 * ret->block. 0; -EINVAL: the bytes are not a value of the type; -EMSGSIZE: the result is too
 * large; -ENOMEM. */
int ferry_value_format(const ferry_type *type, ferry_bytes value, ferry_bytes *ret,
                       ferry_error *reterr);

/* Makes an example value with every field, for people to fill in; arguments are a map, by name. The
 * result is MessagePack; the caller owns ret->block. 0 or -ENOMEM. */
int ferry_value_example(const ferry_type *type, ferry_bytes *ret);

/* Writes the name of a type, "list<calc.Range>", cut to size bytes with its NUL. Returns `to`. */
const char *ferry_type_format(const ferry_type *type, char *to, size_t size);

/* ---- servers: the functions that generated code calls ----
 *
 * method is the method of the request. If a value is invalid, the function returns -EINVAL, and the
 * caller gets ferry.Internal with the place of the value. Threads: a thread that may answer the
 * request, see <ferry/serve.h>. */

/**
 * Answers a request with a result.
 *
 * @param result  Points to the C value; NULL for void and at the end of a stream.
 *
 * @return 0, or an error of ferry_request_return(); -EINVAL also: the request is for another method
 * or is already answered, or the result is missing or invalid.
 */
int ferry_method_return(ferry_request *request, const ferry_method *method, const void *result);

/* Sends an item to the caller, like ferry_request_yield(). item points to the C value. 0, or an
 * error of ferry_request_yield(); -EINVAL also: as in ferry_method_return(), or the method sends no
 * items. */
int ferry_method_yield(ferry_request *request, const ferry_method *method, const void *item);

/* Waits for the next item of the caller, like ferry_request_receive(). 1: ret has an item, as in
 * ferry_value_unpack(); 0: the caller sends no more items; or an error of ferry_request_receive();
 * -EINVAL also: the item is not a value of the method's type, and the caller has got that error. */
int ferry_method_receive(ferry_request *request, const ferry_method *method, void *ret);

/**
 * Answers a request with an exception.
 *
 * The error's message is the text of the field that the annotation (message = "field") names.
 * Without the annotation it is the text of a string field named message, and without that field the
 * doc comment of the exception.
 *
 * @param file, line, func  The place in the source that the error's trace shows.
 * @param value             Points to the exception's C struct.
 *
 * @return 0, or an error of ferry_request_throw(); -EINVAL also: the request is already answered,
 * or a field is invalid; -EMSGSIZE: the fields are too large.
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
