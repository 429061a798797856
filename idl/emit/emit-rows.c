/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tables in the source: fields, defaults and notes. See emit-source.h. */

#include <string.h>

#include "idl/emit/emit-source.h"

/* ---- notes ---- */

/* Longer documentation is cut, because compilers need not accept longer literals. */
enum { TEXT_MAX = 4000 };

static const char *quoted(Emit *emit, const char *text) {
    size_t len = strlen(text);

    if (len > TEXT_MAX) {
        len = TEXT_MAX;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
    }
    return c_string(emit->program, text, len);
}

const char *put_notes(Emit *emit, const char *stem, const char *doc,
                      const Annotation *annotations) {
    const char *rows = annotations ? own_name(emit, stem, "_annotations") : "NULL", *name;
    size_t n = 0;

    if (!doc && !annotations)
        return "NULL";
    if (annotations)
        put(&emit->source, "static const ferry_annotation %s[] = {\n", rows);
    for (const Annotation *a = annotations; a; a = a->next, n++)
        put(&emit->source, "    {\"%s\", %s},\n", a->name.text, quoted(emit, a->value));
    if (annotations)
        put(&emit->source, "};\n");
    name = own_name(emit, stem, "_notes");
    put(&emit->source, "static const ferry_notes %s = {%s, %zu, %s};\n", name,
        doc ? quoted(emit, doc) : "NULL", n, rows);
    return region_printf(&emit->program->region, "&%s", name);
}

/* ---- fields ---- */

/* Writes the object of a field's default. Returns "&range_step_value", or "NULL". */
static const char *put_default(Emit *emit, const char *name, const Field *field) {
    Region *region = &emit->program->region;
    Hoist hoist = {.arrays = &emit->source};
    const char *object, *value;

    if (!field->value)
        return "NULL";
    hoist.name = own_name(emit, name, "_items");
    object = own_name(emit, name, "_value");
    value = c_value(emit, field->type, field->value, &hoist);
    put(&emit->source, "static const %s = %s;\n",
        is_string(field->type) ? region_printf(region, "char *const %s", object)
                               : region_printf(region, "%s %s", c_type(emit, field->type), object),
        value);
    return region_printf(region, "&%s", object);
}

const char *flags_of(const Definition *owner, const Field *field) {
    if (field->optional)
        return "FERRY_OPTIONAL";
    if (field->pointer)
        return field->presence == PRESENCE_REQUIRED ? "FERRY_POINTER | FERRY_REQUIRED"
                                                    : "FERRY_POINTER";
    return owner && field->presence == PRESENCE_REQUIRED ? "FERRY_REQUIRED" : "0";
}

void put_row(Emit *emit, Buffer *to, const char *local, const char *owner, const char *member,
             const char *flags, const Field *f) {
    Region *region = &emit->program->region;
    const char *name = region_printf(region, "%s_%s", local, f->name.text);
    const char *value = put_default(emit, name, f);
    const char *notes = put_notes(emit, name, f->doc, f->annotations);

    put_wrapped(to, "    {",
                (const char *const[]){region_printf(region, "\"%s\"", f->name.text),
                                      region_printf(region, "%zu", strlen(f->name.text)), flags,
                                      region_printf(region, "%lld", (long long)f->id), "0",
                                      region_printf(region, "offsetof(%s, %s)", owner, member), "0",
                                      c_table(emit, f->type), value, notes},
                10, "},\n");
}
