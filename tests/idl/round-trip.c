/*
 * Puts values through the C of an interface: `round-trip LIBRARY`, whose lines of input are
 *
 *     describe TYPE     the type's table, and all that it mentions, as JSON on one line
 *     TYPE HEX          unpacks the bytes into C and packs them again: HEX, or "! what is wrong"
 *
 * TYPE is the end of a symbol of the library, ferry_type_TYPE. round-trip.py is at the other end.
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

static void print_hex(const void *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        printf("%02x", ((const unsigned char *)data)[i]);
}

static void print_default(const ferry_field *field) {
    ferry_bytes bytes;

    if (!field->value || ferry_value_pack(field->type, field->value, &bytes, NULL) < 0) {
        printf("null");
        return;
    }
    printf("\"");
    print_hex(bytes.data, bytes.len);
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

        printf("%s{\"name\": \"%s\", \"type\": %zu, \"optional\": %d, \"default\": ", i ? ", " : "",
               field->name, number_of(field->type),
               (field->flags & FERRY_OPTIONAL) ||
                   (field->value && !(field->flags & FERRY_REQUIRED)));
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

static void round_trip(const ferry_type *type, const char *hex) {
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    unsigned char *bytes = malloc(strlen(hex) / 2 + 1);
    ferry_bytes packed;
    void *value = NULL;
    int r;

    if (!bytes)
        exit(1);
    r = ferry_value_unpack(type, ferry_bytes_of(bytes, read_hex(hex, bytes)), &value, &error);
    free(bytes);
    /* An enum is no block but a number. */
    if (r == 0)
        r = ferry_value_pack(type, type->kind == FERRY_KIND_ENUM ? (void *)&value : value, &packed,
                             &error);
    if (r == 0) {
        print_hex(packed.data, packed.len);
        printf("\n");
        ferry_free(packed.block);
    } else {
        printf("! %s\n", error.message);
    }
    if (type->kind != FERRY_KIND_ENUM)
        ferry_free(value);
}

int main(int argc, char **argv) {
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    char *line = malloc(LINE_MAX_LEN);

    if (!library || !line) {
        fprintf(stderr, "round-trip: %s\n", library ? "out of memory" : dlerror());
        return 1;
    }
    while (fgets(line, LINE_MAX_LEN, stdin)) {
        char *first = strtok(line, " \n"), *second = strtok(NULL, " \n"), symbol[300];
        int is_describe = first && strcmp(first, "describe") == 0;
        const ferry_type *type;

        if (!first || !second)
            return 1;
        snprintf(symbol, sizeof(symbol), "ferry_type_%s", is_describe ? second : first);
        type = dlsym(library, symbol);
        if (!type)
            return 1;
        if (is_describe)
            describe(type);
        else
            round_trip(type, second);
        fflush(stdout);
    }
    free(line);
    dlclose(library);
    return 0;
}
