/* Tokens to a tree. See parser.h; the grammar is Apache Thrift's, and stream<T>. */

#include "idl/parser.h"

#include <string.h>

#include "base/text.h"

typedef struct Parser {
    Pool *pool;
    Reports *reports;
    File *file;
    Lexer lexer;
    Token token;  /* to be read next */
    uint32_t end; /* of the token read last */
    int depth;
} Parser;

static const char *const keywords[] = {
    "namespace", "include",   "cpp_include", "const",    "typedef", "enum",         "struct",
    "union",     "exception", "service",     "extends",  "throws",  "oneway",       "async",
    "void",      "bool",      "byte",        "i8",       "i16",     "i32",          "i64",
    "double",    "string",    "binary",      "uuid",     "map",     "list",         "set",
    "stream",    "required",  "optional",    "cpp_type", "xsd_all", "xsd_optional", "xsd_nillable",
    "xsd_attrs", "true",      "false",
};

bool is_keyword(const char *word) {
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
        if (strcmp(word, keywords[i]) == 0)
            return true;
    return false;
}

/* ---- the next token ---- */

static void advance(Parser *parser) {
    parser->end = parser->token.place.at + parser->token.place.len;
    parser->token = lexer_next(&parser->lexer);
}

static bool is_mark(const Parser *parser, char mark) {
    return parser->token.kind == TOKEN_MARK && parser->token.text[0] == mark;
}

static bool is_word(const Parser *parser, const char *word) {
    return parser->token.kind == TOKEN_WORD && strcmp(parser->token.text, word) == 0;
}

static bool take_mark(Parser *parser, char mark) {
    if (!is_mark(parser, mark))
        return false;
    advance(parser);
    return true;
}

static bool take_word(Parser *parser, const char *word) {
    if (!is_word(parser, word))
        return false;
    advance(parser);
    return true;
}

static bool expected(Parser *parser, const char *what, const char *hint) {
    char shown[TEXT_ESCAPED_MAX];
    const Token *token = &parser->token;

    text_escape(shown, token->text, strlen(token->text));
    report_error(parser->reports, token->place, hint,
                 token->kind == TOKEN_END      ? "expected %s before %s"
                 : token->kind == TOKEN_STRING ? "expected %s, got the string \"%s\""
                                               : "expected %s, got '%s'",
                 what, shown);
    return false;
}

static bool expect_mark(Parser *parser, char mark) {
    char what[] = {'\'', mark, '\'', '\0'};

    return take_mark(parser, mark) || expected(parser, what, NULL);
}

static void take_separator(Parser *parser) {
    if (!take_mark(parser, ','))
        take_mark(parser, ';');
}

/* These stand behind a type or a name: as names they would be taken for that. */
static bool is_never_a_name(const char *word) {
    return is_keyword(word) && (strncmp(word, "xsd_", 4) == 0 || strcmp(word, "cpp_type") == 0);
}

/* A name without dots. */
static bool expect_name(Parser *parser, const char *what, bool keyword_too, Name *ret) {
    if (parser->token.kind != TOKEN_WORD)
        return expected(parser, what, NULL);
    *ret = (Name){parser->token.text, parser->token.place};
    if (strchr(ret->text, '.'))
        report_error(parser->reports, ret->place, NULL, "a name that is declared has no dots");
    else if (!keyword_too && is_keyword(ret->text))
        report_error(parser->reports, ret->place, NULL, "'%s' is a keyword", ret->text);
    else if (is_never_a_name(ret->text))
        report_error(parser->reports, ret->place, NULL, "'%s' is a keyword", ret->text);
    advance(parser);
    return true;
}

static const char *const definition_words[] = {"const",   "typedef",    "enum",    "struct",
                                               "union",   "exception",  "service", "namespace",
                                               "include", "cpp_include"};

enum { N_DEFINITION_WORDS = sizeof(definition_words) / sizeof(*definition_words) };

static bool is_definition_word(const Parser *parser) {
    for (size_t i = 0; i < N_DEFINITION_WORDS; i++)
        if (is_word(parser, definition_words[i]))
            return true;
    return false;
}

static const char *definition_hint(Parser *parser) {
    const Token *token = &parser->token;
    const char *nearest = token->kind == TOKEN_WORD
                              ? text_nearest(token->text, definition_words, N_DEFINITION_WORDS)
                              : NULL;

    if (!nearest)
        return "one of: include, namespace, const, typedef, enum, struct, union, exception, "
               "service";
    return pool_printf(parser->pool, "did you mean '%s'?", nearest);
}

/*
 * After an error inside brackets: on to the next element, that is past a separator or up to the
 * closing bracket. An element usually has a line, so the start of a line ends it too.
 */
static void skip_element(Parser *parser) {
    int depth = 0;

    while (parser->token.kind != TOKEN_END) {
        if (depth == 0 && (is_mark(parser, '}') || is_mark(parser, ')')))
            return;
        if (depth == 0 && (take_mark(parser, ',') || take_mark(parser, ';')))
            return;
        if (is_mark(parser, '{') || is_mark(parser, '(') || is_mark(parser, '['))
            depth++;
        if (depth > 0 && (is_mark(parser, '}') || is_mark(parser, ')') || is_mark(parser, ']')))
            depth--;
        advance(parser);
        if (depth == 0 && parser->token.kind != TOKEN_END &&
            memchr(parser->file->source.text + parser->end, '\n',
                   parser->token.place.at - parser->end))
            return;
    }
}

/* After an error outside: on to what can only be the next definition, or what looks like one:
 * behind the brackets of this one, or a word that begins a line. */
static void skip_definition(Parser *parser) {
    const char *text = parser->file->source.text;
    int depth = 0;

    while (parser->token.kind != TOKEN_END && (depth > 0 || !is_definition_word(parser))) {
        if (is_mark(parser, '{'))
            depth++;
        if (is_mark(parser, '}') && depth-- <= 1) {
            advance(parser);
            return;
        }
        advance(parser);
        if (depth == 0 && parser->token.kind == TOKEN_WORD && parser->token.place.at > 0 &&
            text[parser->token.place.at - 1] == '\n')
            return;
    }
}

/* ---- annotations ---- */

static bool parse_annotation(Parser *parser, Annotation *annotation) {
    if (parser->token.kind != TOKEN_WORD)
        return expected(parser, "the name of an annotation", NULL);
    annotation->name = (Name){parser->token.text, parser->token.place};
    annotation->value = "1";
    advance(parser);
    if (!take_mark(parser, '='))
        return true;
    if (parser->token.kind != TOKEN_STRING)
        return expected(parser, "a string", "an annotation's value is quoted: (timeout = \"2s\")");
    annotation->value = parser->token.text;
    annotation->value_place = parser->token.place;
    annotation->has_value = true;
    advance(parser);
    return true;
}

static Annotation *parse_annotations(Parser *parser) {
    Annotation *first = NULL, **last = &first;

    if (!take_mark(parser, '('))
        return NULL;
    while (parser->token.kind != TOKEN_END && !is_mark(parser, ')') && !is_mark(parser, '}')) {
        Annotation *annotation = pool_new(parser->pool, Annotation);

        if (!parse_annotation(parser, annotation)) {
            skip_element(parser);
            continue;
        }
        *last = annotation;
        last = &annotation->next;
        take_separator(parser);
    }
    expect_mark(parser, ')');
    return first;
}

/* ---- types ---- */

static Type *parse_type(Parser *parser);

static const struct {
    const char *word;
    TypeKind kind;
} type_words[] = {
    {"bool", TYPE_BOOL},     {"byte", TYPE_I8},       {"i8", TYPE_I8},
    {"i16", TYPE_I16},       {"i32", TYPE_I32},       {"i64", TYPE_I64},
    {"double", TYPE_DOUBLE}, {"string", TYPE_STRING}, {"binary", TYPE_BINARY},
    {"uuid", TYPE_UUID},     {"list", TYPE_LIST},     {"set", TYPE_SET},
    {"map", TYPE_MAP},       {"stream", TYPE_STREAM},
};

static TypeKind type_kind(const char *word) {
    for (size_t i = 0; i < sizeof(type_words) / sizeof(*type_words); i++)
        if (strcmp(word, type_words[i].word) == 0)
            return type_words[i].kind;
    return TYPE_NAMED;
}

static void parse_cpp_type(Parser *parser, Type *type) {
    if (!take_word(parser, "cpp_type"))
        return;
    if (parser->token.kind != TOKEN_STRING) {
        expected(parser, "a string", NULL);
        return;
    }
    type->cpp_type = parser->token.text;
    advance(parser);
}

static bool parse_inside(Parser *parser, Type *type) {
    parse_cpp_type(parser, type);
    if (!expect_mark(parser, '<'))
        return false;
    if (type->kind == TYPE_MAP) {
        type->key = parse_type(parser);
        if (!type->key || !expect_mark(parser, ','))
            return false;
    }
    type->item = parse_type(parser);
    if (!type->item || !expect_mark(parser, '>'))
        return false;
    parse_cpp_type(parser, type);
    return true;
}

static Type *parse_type(Parser *parser) {
    Type *type = pool_new(parser->pool, Type);
    bool good = true;

    if (parser->token.kind != TOKEN_WORD) {
        expected(parser, "a type", NULL);
        return NULL;
    }
    if (parser->depth == PARSER_DEPTH_MAX) {
        report_error(parser->reports, parser->token.place, "name a part of it with typedef",
                     "types are nested deeper than %d levels", PARSER_DEPTH_MAX);
        return NULL;
    }
    type->name = parser->token.text;
    type->kind = type_kind(type->name);
    type->place = parser->token.place;
    if (type->kind == TYPE_NAMED && is_keyword(type->name)) {
        expected(parser, "a type", is_word(parser, "void") ? "only a result can be void" : NULL);
        return NULL;
    }
    advance(parser);
    if (type->kind == TYPE_NAMED && is_mark(parser, '<')) {
        static const char *const words[] = {"list", "set", "map", "stream"};
        const char *nearest = text_nearest(type->name, words, 4);

        report_error(parser->reports, type->place,
                     nearest ? pool_printf(parser->pool, "did you mean '%s'?", nearest)
                             : "they are list<T>, set<T>, map<K, V> and stream<T>",
                     "there is no type '%s' that has others inside", type->name);
        return NULL;
    }
    parser->depth++;
    if (type->kind >= TYPE_LIST && type->kind <= TYPE_STREAM)
        good = parse_inside(parser, type);
    parser->depth--;
    if (!good)
        return NULL;
    type->place.len = parser->end - type->place.at;
    type->annotations = parse_annotations(parser);
    return type;
}

/* ---- values ---- */

static Value *parse_value(Parser *parser);

static bool parse_items(Parser *parser, Value *value, char close) {
    Pair **last = &value->items;

    advance(parser);
    while (parser->token.kind != TOKEN_END && !is_mark(parser, close)) {
        Pair *pair = pool_new(parser->pool, Pair);

        if (close == '}') {
            pair->key = parse_value(parser);
            if (!pair->key || !expect_mark(parser, ':'))
                return false;
        }
        pair->value = parse_value(parser);
        if (!pair->value)
            return false;
        *last = pair;
        last = &pair->next;
        value->n++;
        take_separator(parser);
    }
    return expect_mark(parser, close);
}

static bool parse_simple_value(Parser *parser, Value *value) {
    const Token *token = &parser->token;

    value->number = token->number;
    value->real = token->real;
    value->text = token->text;
    value->len = token->len;
    switch (token->kind) {
    case TOKEN_INT:
        value->kind = VALUE_INT;
        break;
    case TOKEN_DOUBLE:
        value->kind = VALUE_DOUBLE;
        break;
    case TOKEN_STRING:
        value->kind = VALUE_STRING;
        break;
    case TOKEN_WORD:
        value->kind = VALUE_NAME;
        if (strcmp(token->text, "true") == 0 || strcmp(token->text, "false") == 0) {
            value->kind = VALUE_INT;
            value->number = token->text[0] == 't';
        }
        break;
    default:
        return expected(parser, "a value", NULL);
    }
    advance(parser);
    return true;
}

static Value *parse_value(Parser *parser) {
    Value *value = pool_new(parser->pool, Value);
    bool good;

    value->place = parser->token.place;
    if (parser->depth == PARSER_DEPTH_MAX) {
        report_error(parser->reports, value->place, NULL, "values are nested deeper than %d levels",
                     PARSER_DEPTH_MAX);
        return NULL;
    }
    parser->depth++;
    if (is_mark(parser, '[')) {
        value->kind = VALUE_LIST;
        good = parse_items(parser, value, ']');
    } else if (is_mark(parser, '{')) {
        value->kind = VALUE_MAP;
        good = parse_items(parser, value, '}');
    } else {
        good = parse_simple_value(parser, value);
    }
    parser->depth--;
    value->place.len = parser->end - value->place.at;
    return good ? value : NULL;
}

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

/* Up to the closing bracket, which is read too. */
static Field *parse_fields(Parser *parser, char close) {
    Field *first = NULL, **last = &first;

    /* No field begins like a definition: there, a bracket was forgotten. */
    while (parser->token.kind != TOKEN_END && !is_mark(parser, close) &&
           !is_definition_word(parser)) {
        Field *field = pool_new(parser->pool, Field);

        if (!parse_field(parser, field)) {
            skip_element(parser);
            /* A bracket of the other kind closes something that we have not opened. */
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
        EnumValue *value = pool_new(parser->pool, EnumValue);

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
        Function *function = pool_new(parser->pool, Function);

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

/* True: there was one, good or bad (*good says which). */
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

static bool parse_namespace(Parser *parser, Header *header) {
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

static bool parse_include(Parser *parser, Header *header, bool cpp) {
    header->kind = cpp ? HEADER_CPP_INCLUDE : HEADER_INCLUDE;
    if (parser->token.kind != TOKEN_STRING)
        return expected(parser, "the file's name in quotes", NULL);
    header->name = (Name){parser->token.text, parser->token.place};
    advance(parser);
    return true;
}

static bool parse_header(Parser *parser, Header *header, bool *good) {
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

static void too_late(Parser *parser, const Header *header, const Definition *first) {
    Place place = {&parser->file->source, header->start, 7};

    report_error(parser->reports, place, "move it to the top of the file",
                 "includes and namespaces come before the first definition");
    report_also(parser->reports, first->name.place, "the first definition is here");
}

void parse_file(File *file, Pool *pool, Reports *reports) {
    Parser parser = {.pool = pool, .reports = reports, .file = file};
    Definition **last_definition = &file->definitions;
    Header **last_header = &file->headers;

    lexer_init(&parser.lexer, pool, reports, &file->source);
    advance(&parser);
    file->doc = parser.lexer.doc;
    while (parser.token.kind != TOKEN_END) {
        Definition *definition = pool_new(pool, Definition);
        Header *header = pool_new(pool, Header);
        const char *doc = parser.token.doc;
        bool good;

        if (parse_header(&parser, header, &good)) {
            /* The first one is about the file; what stands before a definition is its own. */
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
