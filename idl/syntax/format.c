/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical text of an interface file. See format.h.
 *
 * The formatter prints the elements of the tree in the order of the text, with a cursor in the list
 * of comments. Comments in front of an element are printed before it. Comments behind it on its
 * line are printed at the end of its line.
 */

#include "idl/syntax/format.h"

#include <string.h>

#include "idl/source/put.h"

enum { COLUMNS = 100 };

typedef struct Formatter {
    Region *region;
    const File *file;
    Buffer *to;
    const Comment *comment; /* the next comment to print */
    bool fresh;             /* the block is empty: no blank line before its first element */
} Formatter;

static const char *source_of(const Formatter *f) {
    return f->file->source.text;
}

/* ---- comments ---- */

static bool is_line_comment(const Formatter *f, const Comment *comment) {
    const char *text = source_of(f) + comment->place.at;

    return text[0] == '#' || text[1] == '/';
}

/* True if there is an empty line before this place. */
static bool blank_before(const Formatter *f, uint32_t at) {
    int newlines = 0;

    while (at > 0 && strchr(" \t\r\n", source_of(f)[at - 1]))
        newlines += source_of(f)[--at] == '\n';
    return newlines >= 2;
}

static bool same_line(const Formatter *f, uint32_t from, uint32_t to) {
    return from <= to && !memchr(source_of(f) + from, '\n', to - from);
}

static void separate(Formatter *f, uint32_t at) {
    if (!f->fresh && blank_before(f, at))
        put(f->to, "\n");
    f->fresh = false;
}

/* Prints a comment. The lines after the first one get the new indentation. */
static void put_one_comment(Formatter *f, const Comment *comment, const char *indent, bool demote) {
    const char *p = source_of(f) + comment->place.at, *end = p + comment->place.len;

    /* Turn a doc comment that moves into a plain comment, so that it does not document another
     * element. */
    if (demote && comment->place.len > 4 && memcmp(p, "/**", 3) == 0) {
        put(f->to, "/*");
        p += 3;
    }
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p)), *trimmed;

        if (!line_end)
            line_end = end;
        trimmed = line_end;
        while (trimmed > p && strchr(" \t\r", trimmed[-1]))
            trimmed--;
        put(f->to, "%.*s", (int)(trimmed - p), p);
        p = line_end < end ? line_end + 1 : end;
        if (line_end == end)
            break;
        put(f->to, "\n");
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
        if (p < end && *p != '\n' && *p != '\r')
            put(f->to, *p == '*' ? "%s " : "%s   ", indent);
    }
}

/* Prints all comments up to this place, each on its own line. */
static void put_comments(Formatter *f, uint32_t until, const char *indent) {
    for (; f->comment && f->comment->place.at < until; f->comment = f->comment->next) {
        separate(f, f->comment->place.at);
        put(f->to, "%s", indent);
        put_one_comment(f, f->comment, indent, false);
        put(f->to, "\n");
    }
}

/* Ends the line of an element that ends at `end`. Prints the comments inside the element, and the
 * comments behind it on its line if they are before `until`. */
static void end_line(Formatter *f, uint32_t end, uint32_t until, const char *indent) {
    bool line_comment = false;

    while (f->comment && !line_comment && f->comment->place.at < until &&
           (f->comment->place.at < end || same_line(f, end, f->comment->place.at))) {
        put(f->to, " ");
        line_comment = is_line_comment(f, f->comment);
        put_one_comment(f, f->comment, indent, f->comment->place.at < end);
        end = f->comment->place.at + f->comment->place.len > end
                  ? f->comment->place.at + f->comment->place.len
                  : end;
        f->comment = f->comment->next;
    }
    put(f->to, "\n");
}

static bool has_comment(const Formatter *f, uint32_t from, uint32_t to) {
    for (const Comment *c = f->comment; c && c->place.at < to; c = c->next)
        if (c->place.at >= from)
            return true;
    return false;
}

/* ---- pieces of a line ---- */

static const char *text_of_string(Formatter *f, const char *text, size_t len) {
    char *quoted = region_alloc(f->region, 2 * len + 3), *to = quoted;

    *to++ = '"';
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '\n' || c == '\r' || c == '\t' || c == '"' || c == '\\')
            *to++ = '\\';
        *to++ = (char)(c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c);
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}

static const char *annotations_text(Formatter *f, const Annotation *annotations) {
    Region *region = f->region;
    CLEANUP(buffer_deinit) Buffer text = {0};

    if (!annotations)
        return "";
    for (const Annotation *a = annotations; a; a = a->next) {
        put(&text, "%s%s", a == annotations ? " (" : ", ", a->name.text);
        if (a->has_value)
            put(&text, " = %s", text_of_string(f, a->value, strlen(a->value)));
    }
    return region_printf(region, "%s)", (const char *)text.data);
}

static const char *type_text(Formatter *f, const Type *type) {
    static const char *const words[] = {
        [TYPE_LIST] = "list", [TYPE_SET] = "set", [TYPE_MAP] = "map", [TYPE_STREAM] = "stream"};
    Region *region = f->region;
    const char *text = type->name;

    if (type->kind >= TYPE_LIST && type->kind <= TYPE_STREAM) {
        text = words[type->kind];
        /* The place of cpp_type is not stored. cpp_type may always be in front. */
        if (type->cpp_type)
            text = region_printf(region, "%s cpp_type %s ", text,
                                 text_of_string(f, type->cpp_type, strlen(type->cpp_type)));
        if (type->key)
            text = region_printf(region, "%s<%s, %s>", text, type_text(f, type->key),
                                 type_text(f, type->item));
        else
            text = region_printf(region, "%s<%s>", text, type_text(f, type->item));
    }
    return region_printf(region, "%s%s", text, annotations_text(f, type->annotations));
}

/* Writes a value on one line, or each element on its own line if one line is too short. */
static void put_value(Formatter *f, const Value *value, const char *indent, Buffer *to);

static void put_items(Formatter *f, const Value *value, const char *indent, Buffer *to,
                      bool lines) {
    const char *inner = region_printf(f->region, "%s  ", indent);

    put(to, value->kind == VALUE_MAP ? "{" : "[");
    for (const Pair *pair = value->items; pair; pair = pair->next) {
        if (lines)
            put(to, "\n%s", inner);
        if (pair->key) {
            put_value(f, pair->key, inner, to);
            put(to, ": ");
        }
        put_value(f, pair->value, inner, to);
        if (pair->next)
            put(to, lines ? "," : ", ");
    }
    if (lines)
        put(to, "\n%s", indent);
    put(to, value->kind == VALUE_MAP ? "}" : "]");
}

static void put_value(Formatter *f, const Value *value, const char *indent, Buffer *to) {
    CLEANUP(buffer_deinit) Buffer one_line = {0};

    if (value->kind == VALUE_STRING) {
        put(to, "%s", text_of_string(f, value->text, value->len));
    } else if (value->kind != VALUE_LIST && value->kind != VALUE_MAP) {
        put(to, "%.*s", (int)value->place.len, source_of(f) + value->place.at);
    } else {
        put_items(f, value, indent, &one_line, false);
        if (one_line.len + strlen(indent) <= COLUMNS - 20 &&
            !memchr(one_line.data, '\n', one_line.len))
            buffer_append(to, one_line.data, one_line.len);
        else
            put_items(f, value, indent, to, true);
    }
}

static const char *value_text(Formatter *f, const Value *value, const char *indent) {
    CLEANUP(buffer_deinit) Buffer text = {0};

    put_value(f, value, indent, &text);
    return region_text(f->region, (const char *)text.data, text.len);
}

static const char *field_text(Formatter *f, const Field *field, const char *indent);

static const char *xsd_text(Formatter *f, const Field *field) {
    Region *region = f->region;
    const char *text = region_printf(region, "%s%s%s", field->xsd_optional ? " xsd_optional" : "",
                                     field->xsd_nillable ? " xsd_nillable" : "",
                                     field->has_xsd_attrs ? " xsd_attrs {" : "");

    for (const Field *inside = field->xsd_attrs; inside; inside = inside->next)
        text = region_printf(region, "%s %s%s", text, field_text(f, inside, ""),
                             inside->next ? "," : " ");
    return field->has_xsd_attrs ? region_printf(region, "%s}", text) : text;
}

static const char *field_text(Formatter *f, const Field *field, const char *indent) {
    Region *region = f->region;

    return region_printf(region, "%s%s%s%s %s%s%s%s%s",
                         field->has_id ? region_printf(region, "%lld: ", (long long)field->id) : "",
                         field->presence == PRESENCE_REQUIRED   ? "required "
                         : field->presence == PRESENCE_OPTIONAL ? "optional "
                                                                : "",
                         type_text(f, field->type), field->reference ? " &" : "", field->name.text,
                         field->value ? " = " : "",
                         field->value ? value_text(f, field->value, indent) : "",
                         xsd_text(f, field), annotations_text(f, field->annotations));
}

/* ---- blocks ---- */

static void put_fields(Formatter *f, const Field *fields, const char *indent) {
    for (const Field *field = fields; field; field = field->next) {
        put_comments(f, field->start, indent);
        separate(f, field->start);
        put(f->to, "%s%s", indent, field_text(f, field, indent));
        end_line(f, field->end, UINT32_MAX, indent);
    }
}

/* The place behind the next bracket. The tree does not keep the places of brackets. */
static uint32_t find_mark(const Formatter *f, uint32_t from, char mark) {
    const Comment *comment = f->comment;

    for (uint32_t at = from; at < f->file->source.len; at++) {
        while (comment && comment->place.at < at)
            comment = comment->next;
        if (comment && comment->place.at == at)
            at += comment->place.len - 1;
        else if (source_of(f)[at] == mark)
            return at + 1;
    }
    return from;
}

/* The place of the last bracket before end. */
static uint32_t last_mark(const Formatter *f, uint32_t from, uint32_t end, char mark) {
    uint32_t found = end;

    for (uint32_t at = from; (at = find_mark(f, at, mark)) <= end && at > from; from = at)
        found = at - 1;
    return found;
}

static void open_block(Formatter *f, uint32_t from) {
    uint32_t at = find_mark(f, from, '{');

    put(f->to, " {");
    end_line(f, at, UINT32_MAX, "  ");
    f->fresh = true;
}

static void close_block(Formatter *f, const Definition *d, uint32_t body_end) {
    /* The search starts behind the body, because strings in annotations may contain brackets. */
    put_comments(f, last_mark(f, body_end, d->end, '}'), "  ");
    put(f->to, "}%s", annotations_text(f, d->annotations));
    f->fresh = false;
}

static uint32_t fields_end(const Field *field, uint32_t otherwise) {
    for (; field; field = field->next)
        otherwise = field->end;
    return otherwise;
}

/* Writes arguments on one line; or each on its own line, if they have comments or one line is too
 * short. */
static void put_arguments(Formatter *f, const Field *fields, const char *indent, bool lines,
                          uint32_t end) {
    const char *inner = region_printf(f->region, "%s  ", indent);

    put(f->to, "(");
    if (lines)
        put(f->to, "\n");
    f->fresh = true;
    for (const Field *field = fields; field; field = field->next) {
        if (!lines) {
            put(f->to, "%s%s", field_text(f, field, indent), field->next ? ", " : "");
            continue;
        }
        put_comments(f, field->start, inner);
        put(f->to, "%s%s%s", inner, field_text(f, field, inner), field->next ? "," : "");
        end_line(f, field->end, end, inner);
        f->fresh = true;
    }
    if (lines)
        put_comments(f, end, inner);
    put(f->to, lines ? "%s)" : ")", indent);
}

static bool needs_lines(Formatter *f, const Function *function) {
    size_t len = strlen(function->name.text) + 20;

    for (const Field *field = function->args; field; field = field->next)
        len += strlen(field_text(f, field, "  ")) + 2;
    return function->args && (len > COLUMNS || has_comment(f, function->start, function->args_end));
}

static void put_function(Formatter *f, const Function *function) {
    put_comments(f, function->start, "  ");
    separate(f, function->start);
    put(f->to, "  %s%s %s", function->oneway ? "oneway " : "",
        function->result ? type_text(f, function->result) : "void", function->name.text);
    put_arguments(f, function->args, "  ", needs_lines(f, function), function->args_end);
    if (function->has_throws && function->throws) {
        put(f->to, " throws ");
        put_arguments(f, function->throws, "  ", false, function->end);
    }
    f->fresh = false;
    put(f->to, "%s", annotations_text(f, function->annotations));
    end_line(f, function->end, UINT32_MAX, "  ");
}

/* ---- definitions ---- */

static void put_enum(Formatter *f, const Definition *d) {
    uint32_t end = d->name.place.at + d->name.place.len;

    put(f->to, "enum %s", d->name.text);
    open_block(f, end);
    end = find_mark(f, end, '{');
    for (const EnumValue *v = d->values; v; v = v->next) {
        put_comments(f, v->start, "  ");
        separate(f, v->start);
        put(f->to, "  %s", v->name.text);
        if (v->has_number)
            put(f->to, " = %s", v->spelling);
        put(f->to, "%s", annotations_text(f, v->annotations));
        end_line(f, v->end, UINT32_MAX, "  ");
        end = v->end;
    }
    close_block(f, d, end);
}

static void put_struct(Formatter *f, const Definition *d) {
    static const char *const words[] = {[DEFINITION_STRUCT] = "struct",
                                        [DEFINITION_UNION] = "union",
                                        [DEFINITION_EXCEPTION] = "exception"};
    uint32_t end = d->name.place.at + d->name.place.len;

    put(f->to, "%s %s%s", words[d->kind], d->name.text, d->xsd_all ? " xsd_all" : "");
    open_block(f, end);
    end = find_mark(f, end, '{');
    put_fields(f, d->fields, "  ");
    close_block(f, d, fields_end(d->fields, end));
}

static void put_service(Formatter *f, const Definition *d) {
    uint32_t end = d->name.place.at + d->name.place.len;

    put(f->to, "service %s", d->name.text);
    if (d->extends.text)
        put(f->to, " extends %s", d->extends.text);
    open_block(f, end);
    end = find_mark(f, end, '{');
    for (const Function *function = d->functions; function; function = function->next) {
        put_function(f, function);
        end = function->end;
    }
    close_block(f, d, end);
}

static void put_definition(Formatter *f, const Definition *d) {
    switch (d->kind) {
    case DEFINITION_CONST:
        put(f->to, "const %s %s = %s", type_text(f, d->type), d->name.text,
            value_text(f, d->value, ""));
        break;
    case DEFINITION_TYPEDEF:
        put(f->to, "typedef %s %s%s", type_text(f, d->type), d->name.text,
            annotations_text(f, d->annotations));
        break;
    case DEFINITION_ENUM:
        put_enum(f, d);
        break;
    case DEFINITION_SERVICE:
        put_service(f, d);
        break;
    default:
        put_struct(f, d);
        break;
    }
    end_line(f, d->end, UINT32_MAX, "");
}

static void put_header(Formatter *f, const FileHeader *h) {
    put_comments(f, h->start, "");
    separate(f, h->start);
    if (h->kind == HEADER_NAMESPACE)
        put(f->to, "namespace %s %s%s", h->scope.text, h->name.text,
            annotations_text(f, h->annotations));
    else
        put(f->to, "%s %s", h->kind == HEADER_INCLUDE ? "include" : "cpp_include",
            text_of_string(f, h->name.text, strlen(h->name.text)));
    end_line(f, h->end, UINT32_MAX, "");
}

static bool is_line(const Definition *d) {
    return d && (d->kind == DEFINITION_CONST || d->kind == DEFINITION_TYPEDEF);
}

/* Separates definitions with an empty line, except neighbouring constants and neighbouring
 * typedefs. */
static void put_gap(Formatter *f, const Definition *before, const Definition *d) {
    uint32_t at = f->comment && f->comment->place.at < d->start ? f->comment->place.at : d->start;

    if (f->fresh || blank_before(f, at))
        return;
    if (!is_line(d) || !is_line(before) || before->kind != d->kind)
        put(f->to, "\n");
}

void format_file(Region *region, const File *file, Buffer *to) {
    Formatter f = {region, file, to, file->comments, true};
    const Definition *before = NULL;

    for (const FileHeader *h = file->headers; h; h = h->next)
        put_header(&f, h);
    for (const Definition *d = file->definitions; d; d = d->next) {
        put_gap(&f, before, d);
        put_comments(&f, d->start, "");
        separate(&f, d->start);
        put_definition(&f, d);
        before = d;
    }
    put_comments(&f, UINT32_MAX, "");
}
