/* What things are called in C. See c-names.h. */

#include "idl/emit/c-names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static const char *find_namespace(const File *file, const char *scope) {
    const char *name = NULL;

    /* The last one counts, as in Apache Thrift. */
    for (const Header *header = file->headers; header; header = header->next)
        if (header->kind == HEADER_NAMESPACE && strcmp(header->scope.text, scope) == 0)
            name = header->name.text;
    return name;
}

/* Dots, dashes and what else a file's name may hold. */
static const char *as_identifier(Program *program, const char *name) {
    char *text =
        pool_printf(&program->pool, "%s%s", isdigit((unsigned char)*name) ? "_" : "", name);

    for (char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p))
            *p = '_';
    return text;
}

const char *c_prefix(Program *program, const File *file) {
    const char *name = find_namespace(file, "c");

    if (!name)
        name = find_namespace(file, "*");
    return as_identifier(program, name ? name : file->base);
}

const char *wire_prefix(Program *program, const File *file) {
    const char *name = find_namespace(file, "*");

    if (!name)
        name = find_namespace(file, "c");
    return name ? pool_printf(&program->pool, "%s.", name) : "";
}

const char *wire_name(Program *program, const Definition *definition) {
    const Annotation *wire = annotation_find(definition->annotations, "wire.name");

    if (wire && wire->has_value)
        return wire->value;
    return pool_printf(&program->pool, "%s%s", wire_prefix(program, definition->file),
                       definition->name.text);
}

const char *snake_case(Program *program, const char *name) {
    char *text = pool_alloc(&program->pool, 2 * strlen(name) + 1), *to = text;

    for (const char *p = name; *p; p++) {
        bool upper = isupper((unsigned char)*p) != 0;
        bool after_word =
            p > name && (islower((unsigned char)p[-1]) || isdigit((unsigned char)p[-1]));
        bool new_word = p > name && isupper((unsigned char)p[-1]) && islower((unsigned char)p[1]);

        if (upper && (after_word || new_word))
            *to++ = '_';
        *to++ = (char)tolower((unsigned char)*p);
    }
    return text;
}

const char *upper_case(Program *program, const char *name) {
    char *text = pool_text(&program->pool, name, strlen(name));

    for (char *p = text; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return text;
}

const char *c_name(Program *program, const Definition *definition) {
    const char *prefix = c_prefix(program, definition->file), *last = strrchr(prefix, '_');
    const char *name = snake_case(program, definition->name.text);

    /* Service Calc in calc, or in acme.calc. */
    if (definition->kind == DEFINITION_SERVICE &&
        (strcmp(name, prefix) == 0 || (last && strcmp(name, last + 1) == 0)))
        return prefix;
    return pool_printf(&program->pool, "%s_%s", prefix, name);
}

const char *c_part(Program *program, const File *file, const Definition *definition) {
    if (definition->file != file)
        return c_name(program, definition);
    return snake_case(program, definition->name.text);
}

/* Of C11 and C++17, and what headers and compilers define as macros. */
static const char *const words[] = {
    "EOF",
    "NULL",
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "assert",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "class",
    "compl",
    "const",
    "const_cast",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "errno",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "i386",
    "if",
    "inline",
    "int",
    "linux",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "offsetof",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "reinterpret_cast",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "stderr",
    "stdin",
    "stdout",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "union",
    "unix",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
};

static int compare_words(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *c_word(Program *program, const char *name) {
    if (!bsearch(&name, words, sizeof(words) / sizeof(*words), sizeof(*words), compare_words))
        return name;
    return pool_printf(&program->pool, "%s_", name);
}

typedef struct TakenName {
    UT_hash_handle hh;
    Place place;
    const char *name;
} TakenName;

bool names_is_taken(const Names *names, const char *name) {
    TakenName *taken;

    HASH_FIND(hh, names->taken, name, strlen(name), taken);
    return taken != NULL;
}

void names_take(Names *names, const char *name, Place place) {
    TakenName *taken;

    HASH_FIND(hh, names->taken, name, strlen(name), taken);
    if (taken) {
        report_error(&names->program->reports, place, "give one of them another name",
                     "two things would be named '%s' in C", name);
        if (taken->place.source)
            report_also(&names->program->reports, taken->place, "the other one is here");
        return;
    }
    taken = pool_new(&names->program->pool, TakenName);
    *taken = (TakenName){.place = place, .name = name};
    HASH_ADD_KEYPTR(hh, names->taken, name, strlen(name), taken);
    if (!hash_added(taken)) {
        fputs("ferry-idl: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
}

const char *names_own(Names *names, const char *name) {
    const char *own = name;

    for (int i = 2; names_is_taken(names, own); i++)
        own = pool_printf(&names->program->pool, "%s_%d", name, i);
    names_take(names, own, (Place){NULL, 0, 0});
    return own;
}

void names_deinit(Names *names) {
    HASH_CLEAR(hh, names->taken);
}
