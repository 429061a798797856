/* SPDX-License-Identifier: Apache-2.0 */
/* Parses constants and defaults. See parser-private.h. */

#include <string.h>

#include "idl/syntax/parser-private.h"

static bool parse_items(Parser *parser, Value *value, char close) {
    Pair **last = &value->items;

    advance(parser);
    while (parser->token.kind != TOKEN_END && !is_mark(parser, close)) {
        Pair *pair = region_new(parser->region, Pair);

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

Value *parse_value(Parser *parser) {
    Value *value = region_new(parser->region, Value);
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
