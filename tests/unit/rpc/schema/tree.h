/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ferry/schema.h>

/* Hand-made tables with a type of every kind, as ferry-idl would write them for
 *
 *     enum Color { RED = 1, BLUE = -2 }
 *     struct Leaf { 1: i8 tiny, 2: optional string note, 3: i32 n = 7, 4: optional i32 m = 9 }
 *     union Shape { 1: i32 side, 2: Leaf leaf }
 *     struct Tree {
 *         1: string name, 2: list<Leaf> leaves, 3: set<i32> marks, 4: map<string, i64> sizes,
 *         5: Shape shape, 6: optional Tree next, 7: Color color, 8: binary raw, 9: uuid id,
 *         10: bool on, 11: double weight, 12: i16 small
 *     }
 */
typedef struct Leaf {
    int8_t tiny;
    const char *note;
    int32_t n;
    const int32_t *m;
} Leaf;

typedef struct Shape {
    int32_t which;
    union {
        int32_t side;
        Leaf leaf;
    } u;
} Shape;

typedef struct Leaves {
    size_t n;
    const Leaf *v;
} Leaves;

typedef struct Size {
    const char *key;
    int64_t value;
} Size;

typedef struct Sizes {
    size_t n;
    const Size *v;
} Sizes;

typedef struct Tree Tree;
struct Tree {
    const char *name;
    Leaves leaves;
    ferry_set_i32 marks;
    Sizes sizes;
    Shape shape;
    const Tree *next;
    int32_t color;
    ferry_bytes raw;
    ferry_uuid id;
    bool on;
    double weight;
    int16_t small;
};

#define FIELD(owner, name, flags, type, value)                                                     \
    { #name, sizeof(#name) - 1, flags, 1, 0, offsetof(owner, name), 0, type, value, NULL }

static const int32_t seven = 7, nine = 9;
static const ferry_field leaf_fields[] = {
    FIELD(Leaf, tiny, 0, &ferry_type_i8, NULL),
    FIELD(Leaf, note, FERRY_OPTIONAL, &ferry_type_string, NULL),
    FIELD(Leaf, n, 0, &ferry_type_i32, &seven),
    FIELD(Leaf, m, FERRY_OPTIONAL, &ferry_type_i32, &nine),
};
static const ferry_type leaf_type = {.kind = FERRY_KIND_STRUCT,
                                     .size = sizeof(Leaf),
                                     .name = "t.Leaf",
                                     .n = 4,
                                     .fields = leaf_fields};
static const ferry_field shape_fields[] = {
    {"side", 4, 0, 1, 0, offsetof(Shape, u.side), 0, &ferry_type_i32, NULL, NULL},
    {"leaf", 4, 0, 2, 0, offsetof(Shape, u.leaf), 0, &leaf_type, NULL, NULL},
};
static const ferry_type shape_type = {.kind = FERRY_KIND_UNION,
                                      .size = sizeof(Shape),
                                      .name = "t.Shape",
                                      .n = 2,
                                      .fields = shape_fields};
static const ferry_enum_value colors[] = {{"RED", 1, NULL}, {"BLUE", -2, NULL}};
static const ferry_type color_type = {
    .kind = FERRY_KIND_ENUM, .size = sizeof(int32_t), .name = "t.Color", .n = 2, .values = colors};
static const ferry_type leaves_type = {
    .kind = FERRY_KIND_LIST, .size = sizeof(Leaves), .item = &leaf_type};
static const ferry_type marks_type = {
    .kind = FERRY_KIND_SET, .size = sizeof(ferry_set_i32), .item = &ferry_type_i32};
static const ferry_type sizes_type = {.kind = FERRY_KIND_MAP,
                                      .size = sizeof(Sizes),
                                      .value_offset = offsetof(Size, value),
                                      .entry_size = sizeof(Size),
                                      .key = &ferry_type_string,
                                      .item = &ferry_type_i64};
static const ferry_type tree_type;
static const ferry_field tree_fields[] = {
    FIELD(Tree, name, FERRY_REQUIRED, &ferry_type_string, NULL),
    FIELD(Tree, leaves, 0, &leaves_type, NULL),
    FIELD(Tree, marks, 0, &marks_type, NULL),
    FIELD(Tree, sizes, 0, &sizes_type, NULL),
    FIELD(Tree, shape, 0, &shape_type, NULL),
    FIELD(Tree, next, FERRY_OPTIONAL, &tree_type, NULL),
    FIELD(Tree, color, 0, &color_type, NULL),
    FIELD(Tree, raw, 0, &ferry_type_binary, NULL),
    FIELD(Tree, id, 0, &ferry_type_uuid, NULL),
    FIELD(Tree, on, 0, &ferry_type_bool, NULL),
    FIELD(Tree, weight, 0, &ferry_type_double, NULL),
    FIELD(Tree, small, 0, &ferry_type_i16, NULL),
};
static const ferry_type tree_type = {.kind = FERRY_KIND_STRUCT,
                                     .size = sizeof(Tree),
                                     .name = "t.Tree",
                                     .n = 12,
                                     .fields = tree_fields};

typedef struct Args {
    int32_t a;
    const Leaf *leaf;
    const int32_t *b;
} Args;
static const ferry_field args_fields[] = {
    FIELD(Args, a, 0, &ferry_type_i32, NULL),
    FIELD(Args, leaf, FERRY_POINTER, &leaf_type, NULL),
    FIELD(Args, b, FERRY_OPTIONAL, &ferry_type_i32, NULL),
};
static const ferry_type args_type = {
    .kind = FERRY_KIND_ARGS, .size = sizeof(Args), .n = 3, .fields = args_fields};

static const ferry_annotation slow[] = {
    {"timeout", "2s"}, {"deprecated", "use \"grow\""}, {"x.y", "1"}};
static const ferry_notes plant_notes = {"Plants a tree.\n\nAnd */ waters\x1b it.", 3, slow};
static const ferry_notes service_notes = {"About trees.", 0, NULL};
static const ferry_field bad_fields[] = {{"why", 3, 0, 1, 0, 0, 0, &ferry_type_string, NULL, NULL}};
static const ferry_type bad_type = {.kind = FERRY_KIND_EXCEPTION,
                                    .size = sizeof(const char *),
                                    .name = "other.Bad",
                                    .n = 1,
                                    .fields = bad_fields};
static const ferry_field plant_throws[] = {{"bad", 3, 0, 1, 0, 0, 0, &bad_type, NULL, NULL}};
/* The name of the stream, which is not an argument. */
static const ferry_annotation of_stream[] = {{"stream.in", "leaves"}, {"x.z", "1"}};
static const ferry_notes talk_notes = {NULL, 2, of_stream};
static const ferry_method tree_methods[] = {
    {.name = "plant",
     .flags = FERRY_IDEMPOTENT,
     .timeout_ms = 2000,
     .cache_ttl_ms = 30000,
     .args = &args_type,
     .result = &tree_type,
     .n_throws = 1,
     .throws = plant_throws,
     .notes = &plant_notes},
    {.name = "talk",
     .flags = FERRY_STREAM_IN | FERRY_STREAM_OUT | FERRY_INHERITED,
     .args = &args_type,
     .stream_in = &leaf_type,
     .stream_out = &sizes_type,
     .notes = &talk_notes},
    {.name = "raw"},
    {.name = "forget", .flags = FERRY_ONEWAY},
};
static const ferry_service trees = {
    .schema_version = FERRY_SCHEMA_VERSION,
    .n_methods = 4,
    .name = "t.Trees",
    .extends = "base.Plants",
    .methods = tree_methods,
    .notes = &service_notes,
};
