/* SPDX-License-Identifier: Apache-2.0 */
/* Writes tables as an interface file. See description.h. */

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/text.h"
#include "rpc/schema/codec/values.h"
#include "rpc/schema/description/description.h"
#include "rpc/schema/description/type-list.h"

typedef struct IdlPrinter {
    Buffer *to;
    TypeList types;
    const char *ns; /* "calc", of ns_len bytes: the namespace of the service */
    size_t ns_len;
} IdlPrinter;

static void put(IdlPrinter *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(IdlPrinter *p, const char *format, ...) {
    char text[1024];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buffer_append(p->to, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

/* ---- texts of peers ---- */

/* Control characters can harm a terminal, and a comment must not end early. */
static void put_doc_line(IdlPrinter *p, const char *line, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        bool ends = i > 0 && line[i - 1] == '*' && c == '/';

        if (ends)
            put(p, " ");
        put(p, "%c", (c < 0x20 && c != '\t') || c == 0x7F ? '?' : c);
    }
}

static void put_doc(IdlPrinter *p, const char *indent, const ferry_notes *notes) {
    const char *line = notes ? notes->doc : NULL;

    if (!line)
        return;
    if (!strchr(line, '\n')) {
        put(p, "%s/** ", indent);
        put_doc_line(p, line, strlen(line));
        put(p, " */\n");
        return;
    }
    put(p, "%s/**\n", indent);
    while (*line) {
        size_t len = strcspn(line, "\n");

        put(p, len > 0 ? "%s * " : "%s *", indent);
        put_doc_line(p, line, len);
        put(p, "\n");
        line += len + (line[len] == '\n');
    }
    put(p, "%s */\n", indent);
}

static void put_string(IdlPrinter *p, const char *text, size_t len) {
    put(p, "\"");
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '\n' || c == '\r' || c == '\t')
            put(p, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c == '"' || c == '\\')
            put(p, "\\%c", c);
        else
            put(p, "%c", ((unsigned char)c < 0x20 || c == 0x7F) ? '?' : c);
    }
    put(p, "\"");
}

static void put_annotation(IdlPrinter *p, const char *name, const char *value, size_t *n) {
    put(p, "%s%s", (*n)++ ? ", " : " (", name);
    if (value && strcmp(value, "1") != 0) {
        put(p, " = ");
        put_string(p, value, strlen(value));
    }
}

static void put_annotations(IdlPrinter *p, const ferry_notes *notes, const char *wire_name) {
    size_t n = 0;

    for (uint32_t i = 0; notes && i < notes->n_annotations; i++)
        put_annotation(p, notes->annotations[i].name, notes->annotations[i].value, &n);
    if (wire_name)
        put_annotation(p, "wire.name", wire_name, &n);
    put(p, n > 0 ? ")" : "");
}

/* The name of the argument that is a stream: an annotation of its method. */
#define STREAM_IN "stream.in"

static bool is_identifier(const char *text) {
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    return len > 0 && !text[len] && (*text < '0' || *text > '9');
}

/* Descriptions come from peers: a name is not used if it is not an identifier, or if an argument
 * has the same name. */
static const char *stream_name(const ferry_method *method) {
    const ferry_notes *notes = method->notes;
    const char *name = NULL;

    for (uint32_t i = 0; notes && i < notes->n_annotations; i++)
        if (strcmp(notes->annotations[i].name, STREAM_IN) == 0)
            name = notes->annotations[i].value;
    if (!name || !is_identifier(name))
        return "items";
    for (uint32_t i = 0; method->args && i < method->args->n; i++)
        if (strcmp(method->args->fields[i].name, name) == 0)
            return "items";
    return name;
}

static bool is_annotated(const ferry_notes *notes, const char *name) {
    for (uint32_t i = 0; notes && i < notes->n_annotations; i++)
        if (strcmp(notes->annotations[i].name, name) == 0)
            return true;
    return false;
}

/* Hand-made tables have numbers in place of the annotations of an interface file. */
static void put_ms(IdlPrinter *p, const ferry_notes *notes, const char *name, uint64_t ms,
                   size_t *n) {
    char text[32];

    if (ms == 0 || is_annotated(notes, name))
        return;
    snprintf(text, sizeof(text), "%" PRIu64 "ms", ms);
    put_annotation(p, name, text, n);
}

static void put_method_annotations(IdlPrinter *p, const ferry_method *method) {
    const ferry_notes *notes = method->notes;
    size_t n = 0;

    for (uint32_t i = 0; notes && i < notes->n_annotations; i++)
        if (strcmp(notes->annotations[i].name, STREAM_IN) != 0)
            put_annotation(p, notes->annotations[i].name, notes->annotations[i].value, &n);
    if (method->flags & FERRY_IDEMPOTENT && !is_annotated(notes, "idempotent"))
        put_annotation(p, "idempotent", "true", &n);
    put_ms(p, notes, "timeout", method->timeout_ms, &n);
    put_ms(p, notes, "cache.ttl", method->cache_ttl_ms, &n);
    put(p, n > 0 ? ")" : "");
}

/* ---- names ---- */

static bool in_namespace(const IdlPrinter *p, const char *name) {
    const char *dot = strrchr(name, '.');

    return (dot ? (size_t)(dot - name) : 0) == p->ns_len && memcmp(name, p->ns, p->ns_len) == 0;
}

/* A file has one namespace. The type "shared.Range" of another namespace becomes Range, or
 * shared_Range if Range is taken; the annotation wire.name has its name on the wire. */
static void put_name(IdlPrinter *p, const char *name) {
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    bool taken = false;

    if (!in_namespace(p, name))
        for (size_t i = 0; i < p->types.n && !taken; i++) {
            const char *other = p->types.v[i]->name, *other_dot = strrchr(other, '.');

            taken =
                strcmp(other, name) != 0 && strcmp(other_dot ? other_dot + 1 : other, last) == 0;
        }
    if (!taken) {
        put(p, "%s", last);
        return;
    }
    for (const char *c = name; *c; c++)
        put(p, "%c", *c == '.' ? '_' : *c);
}

static void put_type(IdlPrinter *p, const ferry_type *type) {
    char text[64];

    if (type->kind == FERRY_KIND_MAP) {
        put(p, "map<");
        put_type(p, type->key);
        put(p, ", ");
        put_type(p, type->item);
        put(p, ">");
    } else if (type->kind == FERRY_KIND_LIST || type->kind == FERRY_KIND_SET) {
        put(p, type->kind == FERRY_KIND_SET ? "set<" : "list<");
        put_type(p, type->item);
        put(p, ">");
    } else if (type->name) {
        put_name(p, type->name);
    } else {
        put(p, "%s", description_type_text(type, text, sizeof(text)));
    }
}

/* ---- values ---- */

static void put_value(IdlPrinter *p, const ferry_type *type, const void *value);

static void put_double(IdlPrinter *p, double number) {
    char text[40];

    if (!isfinite(number))
        number = 0; /* an interface file cannot contain it */
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    put(p, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void put_items(IdlPrinter *p, const ferry_type *type, const ValueList *list) {
    size_t stride = type->kind == FERRY_KIND_MAP ? type->entry_size : type->item->size;
    const char *item = list->v;

    put(p, type->kind == FERRY_KIND_MAP ? "{" : "[");
    for (size_t i = 0; i < list->n; i++, item += stride) {
        put(p, i > 0 ? ", " : "");
        if (type->kind == FERRY_KIND_MAP) {
            put_value(p, type->key, item);
            put(p, ": ");
        }
        put_value(p, type->item, item + type->value_offset);
    }
    put(p, type->kind == FERRY_KIND_MAP ? "}" : "]");
}

static void put_members(IdlPrinter *p, const ferry_type *type, const void *value) {
    int32_t which = type->kind == FERRY_KIND_UNION ? *(const int32_t *)value : 0;
    bool any = false;

    put(p, "{");
    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_field *field = &type->fields[i];
        const void *inside;

        if (type->kind == FERRY_KIND_UNION && which != (int32_t)i + 1)
            continue;
        inside = field_value(field, value);
        if (!inside)
            continue;
        put(p, "%s\"%s\": ", any ? ", " : "", field->name);
        put_value(p, field->type, inside);
        any = true;
    }
    put(p, "}");
}

static void put_value(IdlPrinter *p, const ferry_type *type, const void *value) {
    const ferry_bytes *bytes = value;
    const char *name;
    char uuid[37];

    switch (type->kind) {
    case FERRY_KIND_BOOL:
        put(p, *(const bool *)value ? "true" : "false");
        break;
    case FERRY_KIND_I8:
        put(p, "%d", *(const int8_t *)value);
        break;
    case FERRY_KIND_I16:
        put(p, "%d", *(const int16_t *)value);
        break;
    case FERRY_KIND_I32:
        put(p, "%" PRId32, *(const int32_t *)value);
        break;
    case FERRY_KIND_I64:
        put(p, "%" PRId64, *(const int64_t *)value);
        break;
    case FERRY_KIND_DOUBLE:
        put_double(p, *(const double *)value);
        break;
    case FERRY_KIND_UUID:
        put(p, "\"%s\"", ferry_uuid_format(value, uuid));
        break;
    case FERRY_KIND_ENUM:
        name = ferry_enum_name(type, *(const int32_t *)value);
        if (name) {
            put_name(p, type->name);
            put(p, ".%s", name);
        } else {
            put(p, "%" PRId32, *(const int32_t *)value);
        }
        break;
    case FERRY_KIND_STRING:
        put_string(p, *(const char *const *)value, strlen(*(const char *const *)value));
        break;
    case FERRY_KIND_BINARY:
        if (text_is_utf8(bytes->data, bytes->len))
            put_string(p, bytes->data, bytes->len);
        else
            put(p, "\"\"");
        break;
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
    case FERRY_KIND_MAP:
        put_items(p, type, value);
        break;
    default:
        put_members(p, type, value);
        break;
    }
}

/* ---- definitions ---- */

static void put_field(IdlPrinter *p, const ferry_field *field) {
    if (field->id > 0)
        put(p, "%d: ", field->id);
    if (field->flags & FERRY_OPTIONAL)
        put(p, "optional ");
    else if (field->flags & FERRY_REQUIRED)
        put(p, "required ");
    put_type(p, field->type);
    put(p, " %s", field->name);
    if (field->value) {
        put(p, " = ");
        put_value(p, field->type, field->value);
    }
    put_annotations(p, field->notes, NULL);
}

static const char *foreign_name(const IdlPrinter *p, const char *name) {
    return in_namespace(p, name) ? NULL : name;
}

static void put_enum(IdlPrinter *p, const ferry_type *type) {
    put(p, "\n");
    put_doc(p, "", type->notes);
    put(p, "enum ");
    put_name(p, type->name);
    put(p, " {\n");
    for (uint32_t i = 0; i < type->n; i++) {
        put_doc(p, "  ", type->values[i].notes);
        put(p, "  %s = %" PRId32, type->values[i].name, type->values[i].value);
        put_annotations(p, type->values[i].notes, NULL);
        put(p, "\n");
    }
    put(p, "}");
    put_annotations(p, type->notes, foreign_name(p, type->name));
    put(p, "\n");
}

static void put_struct(IdlPrinter *p, const ferry_type *type) {
    put(p, "\n");
    put_doc(p, "", type->notes);
    put(p, "%s ",
        type->kind == FERRY_KIND_UNION       ? "union"
        : type->kind == FERRY_KIND_EXCEPTION ? "exception"
                                             : "struct");
    put_name(p, type->name);
    put(p, " {\n");
    for (uint32_t i = 0; i < type->n; i++) {
        put_doc(p, "  ", type->fields[i].notes);
        put(p, "  ");
        put_field(p, &type->fields[i]);
        put(p, "\n");
    }
    put(p, "}");
    put_annotations(p, type->notes, foreign_name(p, type->name));
    put(p, "\n");
}

static void put_fields(IdlPrinter *p, const ferry_field *fields, uint32_t n, bool *any) {
    for (uint32_t i = 0; i < n; i++) {
        put(p, *any ? ", " : "");
        *any = true;
        put_field(p, &fields[i]);
    }
}

static void put_stream(IdlPrinter *p, const ferry_type *type) {
    put(p, "stream<");
    put_type(p, type);
    put(p, ">");
}

static void put_method(IdlPrinter *p, const ferry_method *method) {
    bool any = false;

    put_doc(p, "  ", method->notes);
    if (!method->args)
        put(p, "  // its arguments are not described\n");
    put(p, method->flags & FERRY_ONEWAY ? "  oneway " : "  ");
    if (method->stream_out)
        put_stream(p, method->stream_out);
    else if (method->result)
        put_type(p, method->result);
    else
        put(p, "void");
    put(p, " %s(", method->name);
    if (method->args)
        put_fields(p, method->args->fields, method->args->n, &any);
    if (method->stream_in) {
        /* The position does not matter: a stream is not an argument on the wire. */
        put(p, any ? ", " : "");
        put_stream(p, method->stream_in);
        put(p, " %s", stream_name(method));
    }
    put(p, ")");
    any = false;
    if (method->n_throws > 0) {
        put(p, " throws (");
        put_fields(p, method->throws, method->n_throws, &any);
        put(p, ")");
    }
    put_method_annotations(p, method);
    put(p, "\n");
}

static void put_service(IdlPrinter *p, const ferry_service *service) {
    const char *name = p->ns_len > 0 ? service->name + p->ns_len + 1 : service->name;

    put(p, "\n");
    put_doc(p, "", service->notes);
    if (service->extends)
        put(p, "// extends %s, whose methods are listed here\n", service->extends);
    put(p, "service %s {\n", name);
    for (uint32_t i = 0; i < service->n_methods; i++) {
        bool blank = i > 0 && service->methods[i].notes && service->methods[i].notes->doc;

        put(p, blank ? "\n" : "");
        put_method(p, &service->methods[i]);
    }
    put(p, "}");
    put_annotations(p, service->notes, NULL);
    put(p, "\n");
}

int description_print(const ferry_service *service, Buffer *to) {
    const char *dot = strrchr(service->name, '.');
    IdlPrinter p = {
        .to = to, .ns = service->name, .ns_len = dot ? (size_t)(dot - service->name) : 0};
    int r = type_list_fill(&p.types, service);

    if (r == 0) {
        if (p.ns_len > 0)
            put(&p, "namespace * %.*s\n", (int)p.ns_len, p.ns);
        /* C names that begin with ferry_ belong to the library. */
        if (p.ns_len == 5 && memcmp(p.ns, "ferry", 5) == 0)
            put(&p, "namespace c ferry_service\n");
        for (size_t i = 0; i < p.types.n; i++)
            if (p.types.v[i]->kind == FERRY_KIND_ENUM)
                put_enum(&p, p.types.v[i]);
            else
                put_struct(&p, p.types.v[i]);
        put_service(&p, service);
        r = to->failed ? -ENOMEM : 0;
    }
    type_list_deinit(&p.types);
    return r;
}
