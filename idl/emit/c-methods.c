/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of types and methods in C. See emit.h. */

#include <string.h>

#include "idl/emit/emit.h"

size_t count_fields(const Field *field) {
    size_t n = 0;

    for (; field; field = field->next)
        n++;
    return n;
}

const char *member_name(Emit *emit, const Definition *owner, const Field *field) {
    const char *spelling = c_spelling(field->annotations, field->name.text);
    const char *name = c_word(emit->program, spelling);

    if (owner->kind == DEFINITION_UNION && strcmp(name, "which") == 0)
        return "which_";
    /* C++ refuses a member with the name of a type that its struct uses. */
    for (const Field *f = names_is_taken(&emit->names, name) ? owner->fields : NULL; f; f = f->next)
        if (strcmp(c_type(emit, f->type), name) == 0)
            return region_printf(&emit->program->region, "%s_", name);
    return name;
}

const char *argument_name(Emit *emit, const Field *field) {
    /* Names of other parameters and locals in the same functions. */
    static const char *const ours[] = {"args",     "client",  "ctx", "fn",
                                       "handlers", "request", "ret", "reterr"};
    const char *name = c_word(emit->program, c_spelling(field->annotations, field->name.text));

    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        if (strcmp(name, ours[i]) == 0)
            return region_printf(&emit->program->region, "%s_", name);
    /* A parameter that hides a table of the source causes a compiler warning. */
    if (names_is_taken(&emit->names, name) || names_is_taken(&emit->hidden, name))
        return region_printf(&emit->program->region, "%s_", name);
    return name;
}

const char *args_name(Emit *emit, const EmitMethod *m) {
    return region_printf(&emit->program->region, "%s_args", emit->tables ? m->c : m->local);
}

void put_args_struct(Emit *emit, Buffer *to, const EmitMethod *m) {
    const char *name = args_name(emit, m);

    if (m->n_args == 0)
        return;
    put(to, "typedef struct %s {\n", name);
    for (const Field *f = m->function->args; f; f = f->next)
        if (f != m->in)
            put(to, "    %s;\n", c_parameter(emit, f->type, f->optional, argument_name(emit, f)));
    put(to, "} %s;\n", name);
}

typedef struct Items {
    const char **v;
    size_t n;
} Items;

static void add(Items *items, const char *item) {
    items->v[items->n++] = item;
}

static void add_args(Emit *emit, Items *items, const EmitMethod *m) {
    for (const Field *f = m->function->args; f; f = f->next)
        if (f != m->in)
            add(items, c_parameter(emit, f->type, f->optional, argument_name(emit, f)));
}

static const char *sent(Emit *emit, const Type *type, const char *name) {
    return c_parameter(emit, type, false, name);
}

/* Adds the parameters. Returns the suffix of the function's name. */
static const char *parameters(Emit *emit, Items *items, const EmitMethod *m, Prototype prototype) {
    switch (prototype) {
    case PROTOTYPE_CALL:
        add(items, "ferry_client *client");
        add_args(emit, items, m);
        if (m->in || m->out)
            add(items, "ferry_stream **ret");
        else if (m->result)
            add(items, c_output(emit, m->result, "ret"));
        add(items, "ferry_error *reterr");
        return "";
    case PROTOTYPE_ASYNC:
        add(items, "ferry_client *client");
        add_args(emit, items, m);
        add(items, region_printf(&emit->program->region, "%s_fn fn", m->c));
        add(items, "void *ctx");
        add(items, "ferry_error *reterr");
        return "_async";
    case PROTOTYPE_NEXT:
        add(items, "ferry_stream *stream");
        add(items, c_output(emit, m->out, "ret"));
        add(items, "ferry_error *reterr");
        return "_next";
    case PROTOTYPE_SEND:
        add(items, "ferry_stream *stream");
        add(items, sent(emit, m->in->type->item, "item"));
        add(items, "ferry_error *reterr");
        return "_send";
    case PROTOTYPE_END:
        add(items, "ferry_stream *stream");
        if (m->result)
            add(items, c_output(emit, m->result, "ret"));
        add(items, "ferry_error *reterr");
        return "_end";
    case PROTOTYPE_HANDLER:
        add(items, "ferry_request *request");
        add_args(emit, items, m);
        add(items, "void *ctx");
        return "";
    case PROTOTYPE_RETURN:
        add(items, "ferry_request *request");
        if (m->result)
            add(items, sent(emit, m->result, "result"));
        return "_return";
    case PROTOTYPE_YIELD:
        add(items, "ferry_request *request");
        add(items, sent(emit, m->out, "item"));
        return "_yield";
    case PROTOTYPE_RECEIVE:
        add(items, "ferry_request *request");
        add(items, c_output(emit, m->in->type->item, "ret"));
        return "_receive";
    }
    return "";
}

void put_prototype(Emit *emit, Buffer *to, const EmitMethod *m, Prototype prototype,
                   const char *tail) {
    Region *region = &emit->program->region;
    Items items = {region_alloc(region, (m->n_args + 5) * sizeof(char *)), 0};
    const char *suffix = parameters(emit, &items, m, prototype), *head;

    if (prototype == PROTOTYPE_HANDLER)
        head = region_printf(region, "    int (*%s)(", c_word(emit->program, m->word));
    else
        head = region_printf(region, "int %s%s(", m->c, suffix);
    put_wrapped(to, head, items.v, items.n, region_printf(region, ")%s", tail));
}

void put_value_prototype(Emit *emit, Buffer *to, const char *c, ValueFunction function,
                         const char *tail) {
    static const char *const suffixes[] = {"_pack", "_unpack", "_copy", "_print"};
    Region *region = &emit->program->region;
    const char *items[3];
    size_t n = 0;

    items[n++] = function == VALUE_UNPACK ? "ferry_bytes bytes"
                                          : region_printf(region, "const %s *value", c);
    items[n++] = function == VALUE_PACK    ? "ferry_bytes *ret"
                 : function == VALUE_PRINT ? "char **ret"
                                           : region_printf(region, "%s **ret", c);
    if (function != VALUE_PRINT)
        items[n++] = "ferry_error *reterr";
    put_wrapped(to, region_printf(region, "int %s%s(", c, suffixes[function]), items, n,
                region_printf(region, ")%s", tail));
}
