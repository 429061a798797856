/* SPDX-License-Identifier: Apache-2.0 */
/* Names in C. See c-names.h. */

#include "idl/emit/c-names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static const char *find_namespace(const File *file, const char *scope) {
    const char *name = NULL;

    /* The last namespace counts, as in Apache Thrift. */
    for (const FileHeader *header = file->headers; header; header = header->next)
        if (header->kind == HEADER_NAMESPACE && strcmp(header->scope.text, scope) == 0)
            name = header->name.text;
    return name;
}

/* Replaces dots, dashes and other characters of a file's name. */
static const char *as_identifier(Program *program, const char *name) {
    char *text =
        region_printf(&program->region, "%s%s", isdigit((unsigned char)*name) ? "_" : "", name);

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
    return name ? region_printf(&program->region, "%s.", name) : "";
}

const char *wire_name(Program *program, const Definition *definition) {
    const Annotation *wire = annotation_find(definition->annotations, "wire.name");

    if (wire && wire->has_value)
        return wire->value;
    return region_printf(&program->region, "%s%s", wire_prefix(program, definition->file),
                         definition->name.text);
}

const char *c_spelling(const Annotation *annotations, const char *name) {
    const Annotation *own = annotation_find(annotations, "c.name");

    return own && own->has_value ? own->value : name;
}

/* "DivisionByZero" to "division_by_zero". */
static const char *snake_case(Program *program, const char *name) {
    char *text = region_alloc(&program->region, 2 * strlen(name) + 1), *to = text;

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
    char *text = region_text(&program->region, name, strlen(name));

    for (char *p = text; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return text;
}

const char *c_name(Program *program, const Definition *definition) {
    const char *prefix = c_prefix(program, definition->file), *last = strrchr(prefix, '_');
    const char *name =
        snake_case(program, c_spelling(definition->annotations, definition->name.text));

    /* The service Calc in the namespace calc or acme.calc has the prefix as its name. */
    if (definition->kind == DEFINITION_SERVICE &&
        (strcmp(name, prefix) == 0 || (last && strcmp(name, last + 1) == 0)))
        return prefix;
    return region_printf(&program->region, "%s_%s", prefix, name);
}

const char *c_part(Program *program, const File *file, const Definition *definition) {
    if (definition->file != file)
        return c_name(program, definition);
    return snake_case(program, c_spelling(definition->annotations, definition->name.text));
}

const char *c_constant(Program *program, const Definition *owner, const Annotation *annotations,
                       const char *name) {
    return region_printf(&program->region, "%s_%s", upper_case(program, c_name(program, owner)),
                         upper_case(program, snake_case(program, c_spelling(annotations, name))));
}

const char *c_guard(Program *program, const char *base) {
    return region_printf(&program->region, "%s_H",
                         upper_case(program, as_identifier(program, base)));
}

/* Keywords of C11 and C++17, macros of compilers, and names of the headers that ferry.h includes.
 */
static const char *const words[] = {
    "BUFSIZ",
    "EOF",
    "FILE",
    "NULL",
    "PTRDIFF_MAX",
    "PTRDIFF_MIN",
    "SEEK_CUR",
    "SEEK_END",
    "SEEK_SET",
    "SIZE_MAX",
    "SIZE_MIN",
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
    "int16_t",
    "int32_t",
    "int64_t",
    "int8_t",
    "intmax_t",
    "intptr_t",
    "linux",
    "long",
    "max_align_t",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "nullptr_t",
    "off_t",
    "offsetof",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "ptrdiff_t",
    "public",
    "register",
    "reinterpret_cast",
    "restrict",
    "return",
    "short",
    "signed",
    "size_t",
    "sizeof",
    "ssize_t",
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
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "uint8_t",
    "uintmax_t",
    "uintptr_t",
    "union",
    "unix",
    "unsigned",
    "using",
    "va_list",
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

static bool ends_with(const char *name, const char *end) {
    size_t len = strlen(name);

    return len >= strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

/* INT32_MAX, UINT8_C: macros of stdint.h. */
static bool is_integer_macro(const char *name) {
    return (strncmp(name, "INT", 3) == 0 || strncmp(name, "UINT", 4) == 0) &&
           (ends_with(name, "_MAX") || ends_with(name, "_MIN") || ends_with(name, "_C"));
}

/* EINVAL and other names of errno.h. A list of them would be long, and each system has its own. */
static bool is_errno_macro(const char *name) {
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

    return name[0] == 'E' && len >= 4 && !name[len];
}

/* The C standard reserves _Bool, __func__ and all names of this form. */
static bool is_reserved(const char *name) {
    return (name[0] == '_' && (name[1] == '_' || isupper((unsigned char)name[1]))) ||
           strncmp(name, "ferry_", 6) == 0 || strncmp(name, "FERRY_", 6) == 0 ||
           is_integer_macro(name) || is_errno_macro(name);
}

const char *c_word(Program *program, const char *name) {
    if (!is_reserved(name) &&
        !bsearch(&name, words, sizeof(words) / sizeof(*words), sizeof(*words), compare_words))
        return name;
    return region_printf(&program->region, "%s_", name);
}

typedef struct TakenName {
    UT_hash_handle hh;
    Place place;
    const char *name;
} TakenName;

bool names_is_taken(const CNames *names, const char *name) {
    TakenName *taken;

    HASH_FIND(hh, names->taken, name, strlen(name), taken);
    return taken != NULL;
}

void names_take(CNames *names, const char *name, Place place) {
    TakenName *taken;

    HASH_FIND(hh, names->taken, name, strlen(name), taken);
    if (taken && names->quiet)
        return;
    if (taken) {
        report_error(&names->program->reports, place,
                     "rename one of them, or only its C name with (c.name = \"other_name\")",
                     "two things would be named '%s' in C", name);
        if (taken->place.source)
            report_also(&names->program->reports, taken->place, "the other one is here");
        return;
    }
    taken = region_new(&names->program->region, TakenName);
    *taken = (TakenName){.place = place, .name = name};
    HASH_ADD_KEYPTR(hh, names->taken, name, strlen(name), taken);
    if (!hash_added(taken)) {
        fputs("ferry-idl: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
}

const char *names_own(CNames *names, const char *name) {
    const char *own = name;

    for (int i = 2; names_is_taken(names, own); i++)
        own = region_printf(&names->program->region, "%s_%d", name, i);
    names_take(names, own, (Place){NULL, 0, 0});
    return own;
}

void names_deinit(CNames *names) {
    HASH_CLEAR(hh, names->taken);
}
