/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the syntax tree of Apache Thrift's grammar with stream<T>. See parser.h. */

#include "idl/syntax/parser.h"

#include "idl/syntax/parser-private.h"

/* ---- fields ---- */

static Field *parse_fields(Parser *parser, char close);

static void parse_xsd(Parser *parser, Field *field) {
    field->xsd_optional = take_word(parser, "xsd_optional");
    field->xsd_nillable = take_word(parser, "xsd_nillable");
    if (!take_word(parser, "xsd_attrs"))
        return;
    field->has_xsd_attrs = true;
    if (parser->depth == PARSER_DEPTH_MAX) {
        report_error(parser->reports, parser->token.place, NULL,
                     "fields are nested deeper than %d levels", PARSER_DEPTH_MAX);
    } else if (expect_mark(parser, '{')) {
        parser->depth++;
        field->xsd_attrs = parse_fields(parser, '}');
        parser->depth--;
    }
}

static bool parse_field(Parser *parser, Field *field) {
    field->doc = parser->token.doc;
    field->start = parser->token.place.at;
    if (parser->token.kind == TOKEN_INT) {
        field->has_id = true;
        field->id = parser->token.number;
        field->id_place = parser->token.place;
        advance(parser);
        if (!expect_mark(parser, ':'))
            return false;
    }
    if (take_word(parser, "required"))
        field->presence = PRESENCE_REQUIRED;
    else if (take_word(parser, "optional"))
        field->presence = PRESENCE_OPTIONAL;
    field->type = parse_type(parser);
    if (!field->type)
        return false;
    field->reference = take_mark(parser, '&');
    if (!expect_name(parser, "the field's name", true, &field->name))
        return false;
    if (take_mark(parser, '=')) {
        field->value = parse_value(parser);
        if (!field->value)
            return false;
    }
    parse_xsd(parser, field);
    field->annotations = parse_annotations(parser);
    take_separator(parser);
    field->end = parser->end;
    return true;
}

/* Parses fields and the closing bracket. */
static Field *parse_fields(Parser *parser, char close) {
    Field *first = NULL, **last = &first;

    /* A keyword of a definition means that the closing bracket is missing. */
    while (parser->token.kind != TOKEN_END && !is_mark(parser, close) &&
           !is_definition_word(parser)) {
        Field *field = region_new(parser->region, Field);

        if (!parse_field(parser, field)) {
            skip_element(parser);
            /* A closing bracket of the other kind belongs to an outer element. */
            if (is_mark(parser, close == '}' ? ')' : '}'))
                break;
            continue;
        }
        *last = field;
        last = &field->next;
    }
    expect_mark(parser, close);
    return first;
}

/* ---- definitions ---- */

static bool parse_const(Parser *parser, Definition *definition) {
    definition->kind = DEFINITION_CONST;
    definition->type = parse_type(parser);
    if (!definition->type || !expect_name(parser, "a name", false, &definition->name) ||
        !expect_mark(parser, '='))
        return false;
    definition->value = parse_value(parser);
    return definition->value != NULL;
}

static bool parse_typedef(Parser *parser, Definition *definition) {
    definition->kind = DEFINITION_TYPEDEF;
    definition->type = parse_type(parser);
    if (!definition->type || !expect_name(parser, "a name", false, &definition->name))
        return false;
    definition->annotations = parse_annotations(parser);
    return true;
}

static bool parse_enum_value(Parser *parser, EnumValue *value) {
    value->doc = parser->token.doc;
    value->start = parser->token.place.at;
    if (!expect_name(parser, "a name", true, &value->name))
        return false;
    if (take_mark(parser, '=')) {
        if (parser->token.kind != TOKEN_INT)
            return expected(parser, "a whole number", NULL);
        value->has_number = true;
        value->number = parser->token.number;
        value->number_place = parser->token.place;
        value->spelling = parser->token.text;
        advance(parser);
    }
    value->annotations = parse_annotations(parser);
    take_separator(parser);
    value->end = parser->end;
    return true;
}

static bool parse_enum(Parser *parser, Definition *definition) {
    EnumValue **last = &definition->values;

    definition->kind = DEFINITION_ENUM;
    if (!expect_name(parser, "a name", false, &definition->name) || !expect_mark(parser, '{'))
        return false;
    while (parser->token.kind != TOKEN_END && !is_mark(parser, '}')) {
        EnumValue *value = region_new(parser->region, EnumValue);

        value->owner = definition;
        if (!parse_enum_value(parser, value)) {
            skip_element(parser);
            if (is_mark(parser, ')'))
                break;
            continue;
        }
        *last = value;
        last = &value->next;
    }
    expect_mark(parser, '}');
    definition->annotations = parse_annotations(parser);
    return true;
}

static bool parse_struct(Parser *parser, Definition *definition, DefinitionKind kind) {
    definition->kind = kind;
    if (!expect_name(parser, "a name", false, &definition->name))
        return false;
    definition->xsd_all = kind != DEFINITION_EXCEPTION && take_word(parser, "xsd_all");
    if (!expect_mark(parser, '{'))
        return false;
    definition->fields = parse_fields(parser, '}');
    definition->annotations = parse_annotations(parser);
    return true;
}

static bool parse_function(Parser *parser, Function *function) {
    function->doc = parser->token.doc;
    function->start = parser->token.place.at;
    function->oneway = take_word(parser, "oneway") || take_word(parser, "async");
    if (!take_word(parser, "void")) {
        function->result = parse_type(parser);
        if (!function->result)
            return false;
    }
    if (!expect_name(parser, "the method's name", false, &function->name) ||
        !expect_mark(parser, '('))
        return false;
    function->args = parse_fields(parser, ')');
    function->args_end = parser->end;
    if (take_word(parser, "throws")) {
        function->has_throws = true;
        if (!expect_mark(parser, '('))
            return false;
        function->throws = parse_fields(parser, ')');
    }
    function->annotations = parse_annotations(parser);
    take_separator(parser);
    function->end = parser->end;
    return true;
}

static bool parse_service(Parser *parser, Definition *definition) {
    Function **last = &definition->functions;

    definition->kind = DEFINITION_SERVICE;
    if (!expect_name(parser, "a name", false, &definition->name))
        return false;
    if (take_word(parser, "extends")) {
        if (parser->token.kind != TOKEN_WORD)
            return expected(parser, "the name of a service", NULL);
        definition->extends = (Name){parser->token.text, parser->token.place};
        advance(parser);
    }
    if (!expect_mark(parser, '{'))
        return false;
    while (parser->token.kind != TOKEN_END && !is_mark(parser, '}') &&
           !is_definition_word(parser)) {
        Function *function = region_new(parser->region, Function);

        function->owner = definition;
        if (!parse_function(parser, function)) {
            skip_element(parser);
            if (take_mark(parser, ')'))
                take_separator(parser);
            continue;
        }
        *last = function;
        last = &function->next;
    }
    expect_mark(parser, '}');
    definition->annotations = parse_annotations(parser);
    return true;
}

/* True if there is a definition; *good is false if it has an error. */
static bool parse_definition(Parser *parser, Definition *definition, bool *good) {
    definition->doc = parser->token.doc;
    definition->start = parser->token.place.at;
    definition->file = parser->file;
    if (take_word(parser, "const"))
        *good = parse_const(parser, definition);
    else if (take_word(parser, "typedef"))
        *good = parse_typedef(parser, definition);
    else if (take_word(parser, "enum"))
        *good = parse_enum(parser, definition);
    else if (take_word(parser, "struct"))
        *good = parse_struct(parser, definition, DEFINITION_STRUCT);
    else if (take_word(parser, "union"))
        *good = parse_struct(parser, definition, DEFINITION_UNION);
    else if (take_word(parser, "exception"))
        *good = parse_struct(parser, definition, DEFINITION_EXCEPTION);
    else if (take_word(parser, "service"))
        *good = parse_service(parser, definition);
    else
        return false;
    take_separator(parser);
    definition->end = parser->end;
    return true;
}

/* ---- headers ---- */

static bool parse_namespace(Parser *parser, FileHeader *header) {
    header->kind = HEADER_NAMESPACE;
    if (parser->token.kind != TOKEN_WORD && !is_mark(parser, '*'))
        return expected(parser, "a language or '*'", NULL);
    header->scope = (Name){parser->token.text, parser->token.place};
    advance(parser);
    if (parser->token.kind != TOKEN_WORD)
        return expected(parser, "the namespace's name", NULL);
    header->name = (Name){parser->token.text, parser->token.place};
    advance(parser);
    header->annotations = parse_annotations(parser);
    return true;
}

static bool parse_include(Parser *parser, FileHeader *header, bool cpp) {
    header->kind = cpp ? HEADER_CPP_INCLUDE : HEADER_INCLUDE;
    if (parser->token.kind != TOKEN_STRING)
        return expected(parser, "the file's name in quotes", NULL);
    header->name = (Name){parser->token.text, parser->token.place};
    advance(parser);
    return true;
}

static bool parse_header(Parser *parser, FileHeader *header, bool *good) {
    header->start = parser->token.place.at;
    if (take_word(parser, "namespace"))
        *good = parse_namespace(parser, header);
    else if (is_word(parser, "include") || is_word(parser, "cpp_include")) {
        bool cpp = is_word(parser, "cpp_include");

        advance(parser);
        *good = parse_include(parser, header, cpp);
    } else {
        return false;
    }
    take_separator(parser);
    header->end = parser->end;
    return true;
}

static void too_late(Parser *parser, const FileHeader *header, const Definition *first) {
    Place place = {&parser->file->source, header->start, 7};

    report_error(parser->reports, place, "move it to the top of the file",
                 "includes and namespaces come before the first definition");
    report_also(parser->reports, first->name.place, "the first definition is here");
}

void parse_file(File *file, Region *region, Reports *reports) {
    Parser parser = {.region = region, .reports = reports, .file = file};
    Definition **last_definition = &file->definitions;
    FileHeader **last_header = &file->headers;

    lexer_init(&parser.lexer, region, reports, &file->source);
    advance(&parser);
    file->doc = parser.lexer.doc;
    while (parser.token.kind != TOKEN_END) {
        Definition *definition = region_new(region, Definition);
        FileHeader *header = region_new(region, FileHeader);
        const char *doc = parser.token.doc;
        bool good;

        if (parse_header(&parser, header, &good)) {
            /* The first doc comment before a header documents the file. */
            if (!file->doc)
                file->doc = doc;
            if (good && file->definitions)
                too_late(&parser, header, file->definitions);
            *last_header = header;
            if (good)
                last_header = &header->next;
            else
                *last_header = NULL;
        } else if (parse_definition(&parser, definition, &good)) {
            if (good) {
                *last_definition = definition;
                last_definition = &definition->next;
            }
        } else {
            good = expected(&parser, "a definition", definition_hint(&parser));
        }
        if (!good)
            skip_definition(&parser);
    }
    file->comments = parser.lexer.first_comment;
}
