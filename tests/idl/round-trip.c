/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts values to the C of an interface and back: `round-trip LIBRARY`. The lines of its input
 * are
 *
 *     methods SERVICE   the arguments and results of the service's methods, as TYPEs on one line
 *     describe TYPE     the type's table, and the tables that it uses, as JSON on one line
 *     init TYPE         packs the library's object ferry_init_TYPE: HEX, or "! PROBLEM"
 *     TYPE HEX          unpacks the bytes into C, and packs them again: HEX, or "! PROBLEM"
 *
 * TYPE is the end of a symbol of the library, ferry_type_TYPE; or SERVICE/METHOD/PART, where
 * SERVICE is the end of ferry_service_SERVICE, and PART is args, result, in or out. round-trip.py
 * writes the lines.
 */

#include <dlfcn.h>
#include <stdlib.h>

#include <ferry/schema.h>

enum { TYPES_MAX = 4096, LINE_MAX_LEN = 8 * 1024 * 1024 };

static const ferry_type *types[TYPES_MAX];
static size_t n_types;

static size_t number_of(const ferry_type *type) {
    size_t i = 0;

    while (i < n_types && types[i] != type)
        i++;
    if (i == n_types)
        types[n_types++] = type;
    return i;
}

static void write_hex(FILE *to, const void *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        fprintf(to, "%02x", ((const unsigned char *)data)[i]);
}

static void print_default(const ferry_field *field) {
    ferry_bytes bytes;

    if (!field->value || ferry_value_pack(field->type, field->value, &bytes, NULL) < 0) {
        printf("null");
        return;
    }
    printf("\"");
    write_hex(stdout, bytes.data, bytes.len);
    printf("\"");
    ferry_free(bytes.block);
}

static void print_type(const ferry_type *type) {
    printf("{\"kind\": %u, \"values\": [", type->kind);
    for (uint32_t i = 0; type->kind == FERRY_KIND_ENUM && i < type->n; i++)
        printf("%s%d", i ? ", " : "", type->values[i].value);
    printf("], \"key\": %zd, \"item\": %zd, \"fields\": [",
           type->key ? (ssize_t)number_of(type->key) : -1,
           type->item ? (ssize_t)number_of(type->item) : -1);
    for (uint32_t i = 0; type->kind >= FERRY_KIND_STRUCT && i < type->n; i++) {
        const ferry_field *field = &type->fields[i];

        printf("%s{\"name\": \"%s\", \"type\": %zu, \"flags\": %u, \"default\": ", i ? ", " : "",
               field->name, number_of(field->type), field->flags);
        print_default(field);
        printf("}");
    }
    printf("]}");
}

static void describe(const ferry_type *type) {
    n_types = 0;
    number_of(type);
    printf("[");
    for (size_t i = 0; i < n_types; i++) {
        printf(i ? ", " : "");
        print_type(types[i]);
    }
    printf("]\n");
}

static size_t read_hex(const char *hex, unsigned char *to) {
    size_t n = 0;
    unsigned byte;

    while (sscanf(hex + 2 * n, "%2x", &byte) == 1)
        to[n++] = (unsigned char)byte;
    return n;
}

static void write_packed(FILE *to, const ferry_type *type, const void *value) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    ferry_bytes packed;

    if (ferry_value_pack(type, value, &packed, &error) < 0) {
        fprintf(to, "! %s\n", error.message);
        return;
    }
    write_hex(to, packed.data, packed.len);
    fprintf(to, "\n");
    ferry_free(packed.block);
}

/* The unpacker's output for a type of this kind: the value itself, or a pointer to its block.
 */
static bool is_in_place(const ferry_type *type) {
    return type->kind <= FERRY_KIND_ENUM || type->kind == FERRY_KIND_STRING;
}

/* Returns the line for these bytes. The caller frees it. */
static char *come_back(const ferry_type *type, ferry_bytes bytes) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    char *line = NULL;
    size_t len;
    FILE *to = open_memstream(&line, &len);
    union {
        void *block;
        ferry_uuid uuid; /* the largest value that is not in a block */
    } value;

    if (!to)
        exit(1);
    if (ferry_value_unpack(type, bytes, &value, &error) < 0) {
        fprintf(to, "! %s\n", error.message);
    } else {
        write_packed(to, type, is_in_place(type) ? (void *)&value : value.block);
        if (type->kind > FERRY_KIND_ENUM)
            ferry_free(value.block);
    }
    fclose(to);
    return line;
}

/* The generated functions of a type and its table must agree. */
static void round_trip(const ferry_type *type, const char *hex) {
    unsigned char *bytes = malloc(strlen(hex) / 2 + 1);
    ferry_type table = *type;
    char *usual, *by_table;
    ferry_bytes all;

    if (!bytes)
        exit(1);
    all = ferry_bytes_of(bytes, read_hex(hex, bytes));
    table.put = NULL;
    table.get = NULL;
    usual = come_back(type, all);
    by_table = come_back(&table, all);
    printf("%s", strcmp(usual, by_table) == 0 ? usual : "! its functions and its table differ\n");
    free(usual);
    free(by_table);
    free(bytes);
}

/* ---- the symbols of the library ---- */

static void *library;

static void *symbol(const char *kind, const char *name) {
    char text[600];

    snprintf(text, sizeof(text), "ferry_%s_%s", kind, name);
    return dlsym(library, text);
}

static const ferry_type *part_of(const ferry_method *method, const char *part) {
    return strcmp(part, "args") == 0     ? method->args
           : strcmp(part, "result") == 0 ? method->result
           : strcmp(part, "in") == 0     ? method->stream_in
                                         : method->stream_out;
}

static void print_methods(const ferry_service *service, const char *name) {
    static const char *const parts[] = {"args", "result", "in", "out"};

    for (uint32_t i = 0; i < service->n_methods; i++)
        for (size_t k = 0; k < 4; k++)
            if (part_of(&service->methods[i], parts[k]))
                printf("%s/%s/%s ", name, service->methods[i].name, parts[k]);
    printf("\n");
}

/* Splits the name into its parts. */
static const ferry_type *find_type(char *name) {
    char *service_name = strtok(name, "/"), *method = strtok(NULL, "/"), *part = strtok(NULL, "/");
    const ferry_service *service;

    if (!part)
        return symbol("type", service_name);
    service = symbol("service", service_name);
    return service ? part_of(ferry_method_find(service, method), part) : NULL;
}

static bool run(char *first, char *second) {
    bool is_describe = strcmp(first, "describe") == 0, is_init = strcmp(first, "init") == 0;
    const void *init = is_init ? symbol("init", second) : NULL;
    const ferry_type *type;

    if (strcmp(first, "methods") == 0) {
        print_methods(symbol("service", second), second);
        return true;
    }
    type = find_type(is_describe || is_init ? second : first);
    if (!type || (is_init && !init))
        return false;
    if (is_describe)
        describe(type);
    else if (is_init)
        write_packed(stdout, type, init);
    else
        round_trip(type, second);
    return true;
}

int main(int argc, char **argv) {
    char *line = malloc(LINE_MAX_LEN);

    library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library || !line) {
        fprintf(stderr, "round-trip: %s\n", library ? "out of memory" : dlerror());
        return 1;
    }
    while (fgets(line, LINE_MAX_LEN, stdin)) {
        char *first = strtok(line, " \n"), *second = strtok(NULL, " \n");

        if (!first || !second || !run(first, second))
            return 1;
        fflush(stdout);
    }
    free(line);
    dlclose(library);
    return 0;
}
