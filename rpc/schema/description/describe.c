/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the description of a service from its tables. See description.h. */

#include "rpc/schema/codec/codec.h"
#include "rpc/schema/description/description.h"
#include "rpc/schema/description/type-list.h"
#include "rpc/wire/writer.h"

static const char *const kind_names[] = {
    [FERRY_KIND_BOOL] = "bool",     [FERRY_KIND_I8] = "i8",
    [FERRY_KIND_I16] = "i16",       [FERRY_KIND_I32] = "i32",
    [FERRY_KIND_I64] = "i64",       [FERRY_KIND_DOUBLE] = "double",
    [FERRY_KIND_UUID] = "uuid",     [FERRY_KIND_ENUM] = "enum",
    [FERRY_KIND_STRING] = "string", [FERRY_KIND_BINARY] = "binary",
    [FERRY_KIND_LIST] = "list",     [FERRY_KIND_SET] = "set",
    [FERRY_KIND_MAP] = "map",       [FERRY_KIND_STRUCT] = "struct",
    [FERRY_KIND_UNION] = "union",   [FERRY_KIND_EXCEPTION] = "exception",
};

static void write_type(Buffer *to, const ferry_type *type) {
    if (type->name) {
        write_text(to, type->name);
    } else if (type->kind == FERRY_KIND_MAP) {
        write_array(to, 3);
        write_text(to, "map");
        write_type(to, type->key);
        write_type(to, type->item);
    } else if (type->kind == FERRY_KIND_LIST || type->kind == FERRY_KIND_SET) {
        write_array(to, 2);
        write_text(to, kind_names[type->kind]);
        write_type(to, type->item);
    } else {
        write_text(to, type->kind < FERRY_KIND_ARGS ? kind_names[type->kind] : "?");
    }
}

static uint32_t count_notes(const ferry_notes *notes) {
    return notes ? (notes->doc != NULL) + (uint32_t)(notes->n_annotations > 0) : 0;
}

static void write_notes(Buffer *to, const ferry_notes *notes) {
    if (notes && notes->doc) {
        write_text(to, "doc");
        write_text(to, notes->doc);
    }
    if (!notes || notes->n_annotations == 0)
        return;
    write_text(to, "annotations");
    write_array(to, notes->n_annotations);
    for (uint32_t i = 0; i < notes->n_annotations; i++) {
        write_array(to, 2);
        write_text(to, notes->annotations[i].name);
        write_text(to, notes->annotations[i].value ? notes->annotations[i].value : "1");
    }
}

static void write_flag(Buffer *to, bool set, const char *name) {
    if (!set)
        return;
    write_text(to, name);
    write_bool(to, true);
}

static int write_field(Buffer *to, const ferry_field *field) {
    bool optional = field->flags & FERRY_OPTIONAL, required = field->flags & FERRY_REQUIRED;

    write_map(to, 3 + optional + required + (field->value != NULL) + count_notes(field->notes));
    write_text(to, "name");
    write_text(to, field->name);
    write_text(to, "id");
    write_int(to, field->id);
    write_text(to, "type");
    write_type(to, field->type);
    write_flag(to, optional, "optional");
    write_flag(to, required, "required");
    write_notes(to, field->notes);
    if (!field->value)
        return 0;
    write_text(to, "default");
    return schema_pack(field->type, field->value, field->name, to, NULL);
}

static int write_fields(Buffer *to, const ferry_field *fields, uint32_t n) {
    int r = 0;

    write_array(to, n);
    for (uint32_t i = 0; i < n && r == 0; i++)
        r = write_field(to, &fields[i]);
    return r;
}

static void write_key_type(Buffer *to, const char *key, const ferry_type *type) {
    if (!type)
        return;
    write_text(to, key);
    write_type(to, type);
}

static int write_method(Buffer *to, const ferry_method *method) {
    bool oneway = method->flags & FERRY_ONEWAY, idempotent = method->flags & FERRY_IDEMPOTENT;
    bool inherited = method->flags & FERRY_INHERITED;
    int r = 0;

    write_map(to, 1u + (method->args != NULL) + (method->result != NULL) +
                      (method->stream_in != NULL) + (method->stream_out != NULL) +
                      (method->n_throws > 0) + oneway + idempotent + inherited +
                      (method->timeout_ms > 0) + (method->cache_ttl_ms > 0) +
                      count_notes(method->notes));
    write_text(to, "name");
    write_text(to, method->name);
    if (method->args) {
        write_text(to, "args");
        r = write_fields(to, method->args->fields, method->args->n);
    }
    write_key_type(to, "result", method->result);
    write_key_type(to, "stream_in", method->stream_in);
    write_key_type(to, "stream_out", method->stream_out);
    if (method->n_throws > 0 && r == 0) {
        write_text(to, "throws");
        r = write_fields(to, method->throws, method->n_throws);
    }
    write_flag(to, oneway, "oneway");
    write_flag(to, idempotent, "idempotent");
    write_flag(to, inherited, "inherited");
    write_nonzero_pair(to, "timeout_ms", method->timeout_ms);
    write_nonzero_pair(to, "cache_ttl_ms", method->cache_ttl_ms);
    write_notes(to, method->notes);
    return r;
}

static void write_enum_values(Buffer *to, const ferry_type *type) {
    write_text(to, "values");
    write_array(to, type->n);
    for (uint32_t i = 0; i < type->n; i++) {
        const ferry_enum_value *value = &type->values[i];

        write_map(to, 2 + count_notes(value->notes));
        write_text(to, "name");
        write_text(to, value->name);
        write_text(to, "value");
        write_int(to, value->value);
        write_notes(to, value->notes);
    }
}

static int write_named(Buffer *to, const ferry_type *type) {
    int r = 0;

    write_map(to, 3 + count_notes(type->notes));
    write_text(to, "name");
    write_text(to, type->name);
    write_text(to, "kind");
    write_text(to, kind_names[type->kind]);
    if (type->kind == FERRY_KIND_ENUM) {
        write_enum_values(to, type);
    } else {
        write_text(to, "fields");
        r = write_fields(to, type->fields, type->n);
    }
    write_notes(to, type->notes);
    return r;
}

static int write_service(const ferry_service *service, const TypeList *types, Buffer *to) {
    int r = 0;

    write_map(to, 4u + (service->extends != NULL) + count_notes(service->notes));
    write_text(to, "v");
    write_uint(to, DESCRIPTION_VERSION);
    write_text(to, "service");
    write_text(to, service->name);
    if (service->extends) {
        write_text(to, "extends");
        write_text(to, service->extends);
    }
    write_notes(to, service->notes);
    write_text(to, "methods");
    write_array(to, service->n_methods);
    for (uint32_t i = 0; i < service->n_methods && r == 0; i++)
        r = write_method(to, &service->methods[i]);
    write_text(to, "types");
    write_array(to, (uint32_t)types->n);
    for (size_t i = 0; i < types->n && r == 0; i++)
        r = write_named(to, types->v[i]);
    return r;
}

int description_write(const ferry_service *service, Buffer *to) {
    CLEANUP(type_list_deinit) TypeList types = {0};
    size_t start = to->len;
    int r = type_list_fill(&types, service);

    if (r == 0)
        r = write_service(service, &types, to);
    if (r == 0 && to->failed)
        r = -ENOMEM;
    if (r == 0 && to->len - start > DESCRIPTION_BYTES_MAX)
        r = -EMSGSIZE;
    if (r < 0)
        to->len = start;
    return r;
}

const ferry_method *description_method(const ferry_service *service, const char *name) {
    for (uint32_t i = 0; i < service->n_methods; i++)
        if (strcmp(service->methods[i].name, name) == 0)
            return &service->methods[i];
    return NULL;
}

const char *description_type_text(const ferry_type *type, char *to, size_t size) {
    char key[256], item[256];

    if (type->kind == FERRY_KIND_MAP)
        snprintf(to, size, "map<%s, %s>", description_type_text(type->key, key, sizeof(key)),
                 description_type_text(type->item, item, sizeof(item)));
    else if (type->kind == FERRY_KIND_LIST || type->kind == FERRY_KIND_SET)
        snprintf(to, size, "%s<%s>", kind_names[type->kind],
                 description_type_text(type->item, item, sizeof(item)));
    else
        snprintf(to, size, "%s", type->name ? type->name : kind_names[type->kind]);
    return to;
}
