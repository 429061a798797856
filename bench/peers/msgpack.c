/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack-c, written by hand: the struct of ten fields is a map by field name. Buffer and zone are
 * reused, and texts and bytes are not copied. Only types are checked. The search for a key begins
 * at the place where the sender put it.
 */

#include <msgpack.h>
#include <string.h>

#include "bench/lab.h"
#include "bench/order-value.h"

typedef struct Text {
    const char *data;
    size_t len;
} Text;

typedef struct Order {
    int64_t id;
    Text customer;
    bool paid;
    double total;
    int32_t quantity;
    Text currency;
    int32_t items[16];
    size_t n_items;
    int64_t created_ms;
    Text note;
    Text token;
} Order;

static void pack_text(msgpack_packer *packer, const char *text, size_t len) {
    msgpack_pack_str(packer, len);
    msgpack_pack_str_body(packer, text, len);
}

#define PACK_KEY(packer, name) pack_text(packer, name, sizeof(name) - 1)

static void pack_order(msgpack_packer *packer, const Order *order) {
    msgpack_pack_map(packer, 10);
    PACK_KEY(packer, "id");
    msgpack_pack_int64(packer, order->id);
    PACK_KEY(packer, "customer");
    pack_text(packer, order->customer.data, order->customer.len);
    PACK_KEY(packer, "paid");
    order->paid ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
    PACK_KEY(packer, "total");
    msgpack_pack_double(packer, order->total);
    PACK_KEY(packer, "quantity");
    msgpack_pack_int32(packer, order->quantity);
    PACK_KEY(packer, "currency");
    pack_text(packer, order->currency.data, order->currency.len);
    PACK_KEY(packer, "items");
    msgpack_pack_array(packer, order->n_items);
    for (size_t i = 0; i < order->n_items; i++)
        msgpack_pack_int32(packer, order->items[i]);
    PACK_KEY(packer, "created_ms");
    msgpack_pack_int64(packer, order->created_ms);
    PACK_KEY(packer, "note");
    pack_text(packer, order->note.data, order->note.len);
    PACK_KEY(packer, "token");
    msgpack_pack_bin(packer, order->token.len);
    msgpack_pack_bin_body(packer, order->token.data, order->token.len);
}

/* ---- unpacking ---- */

static bool take_int(const msgpack_object *object, int64_t low, int64_t high, int64_t *ret) {
    if (object->type != MSGPACK_OBJECT_POSITIVE_INTEGER &&
        object->type != MSGPACK_OBJECT_NEGATIVE_INTEGER)
        return false;
    *ret = object->via.i64;
    return *ret >= low && *ret <= high;
}

static bool take_text(const msgpack_object *object, Text *ret) {
    *ret = (Text){object->via.str.ptr, object->via.str.size};
    return object->type == MSGPACK_OBJECT_STR;
}

static bool take_bytes(const msgpack_object *object, Text *ret) {
    *ret = (Text){object->via.bin.ptr, object->via.bin.size};
    return object->type == MSGPACK_OBJECT_BIN;
}

static bool take_items(const msgpack_object *object, Order *order) {
    const msgpack_object_array *array = &object->via.array;
    int64_t item;

    if (object->type != MSGPACK_OBJECT_ARRAY || array->size > 16)
        return false;
    order->n_items = array->size;
    for (uint32_t i = 0; i < array->size; i++) {
        if (!take_int(&array->ptr[i], INT32_MIN, INT32_MAX, &item))
            return false;
        order->items[i] = (int32_t)item;
    }
    return true;
}

/* The value of a key. The search begins at index `at`, where the key nearly always is. */
static const msgpack_object *value_of(const msgpack_object_map *map, uint32_t at, const char *name,
                                      size_t len) {
    for (uint32_t tries = 0; tries < map->size; tries++, at++) {
        const msgpack_object_kv *pair = &map->ptr[at < map->size ? at : at % map->size];

        if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == len &&
            memcmp(pair->key.via.str.ptr, name, len) == 0)
            return &pair->val;
    }
    return NULL;
}

#define FIND(at, name) (value = value_of(map, at, name, sizeof(name) - 1))

static bool read_order(const msgpack_object *object, Order *order) {
    const msgpack_object_map *map = &object->via.map;
    const msgpack_object *value;
    int64_t quantity;

    if (object->type != MSGPACK_OBJECT_MAP)
        return false;
    if (!FIND(0, "id") || !take_int(value, INT64_MIN, INT64_MAX, &order->id) ||
        !FIND(1, "customer") || !take_text(value, &order->customer) || !FIND(2, "paid") ||
        value->type != MSGPACK_OBJECT_BOOLEAN)
        return false;
    order->paid = value->via.boolean;
    if (!FIND(3, "total") || value->type != MSGPACK_OBJECT_FLOAT64)
        return false;
    order->total = value->via.f64;
    if (!FIND(4, "quantity") || !take_int(value, INT32_MIN, INT32_MAX, &quantity) ||
        !FIND(5, "currency") || !take_text(value, &order->currency) || !FIND(6, "items") ||
        !take_items(value, order) || !FIND(7, "created_ms") ||
        !take_int(value, INT64_MIN, INT64_MAX, &order->created_ms) || !FIND(8, "note") ||
        !take_text(value, &order->note) || !FIND(9, "token") || !take_bytes(value, &order->token))
        return false;
    order->quantity = (int32_t)quantity;
    return true;
}

static void codec(const LabArgs *args) {
    Order order = {ORDER_ID,
                   {ORDER_CUSTOMER, sizeof(ORDER_CUSTOMER) - 1},
                   ORDER_PAID,
                   ORDER_TOTAL,
                   ORDER_QUANTITY,
                   {ORDER_CURRENCY, sizeof(ORDER_CURRENCY) - 1},
                   {0},
                   ORDER_N_ITEMS,
                   ORDER_CREATED_MS,
                   {ORDER_NOTE, sizeof(ORDER_NOTE) - 1},
                   {(const char *)order_token, ORDER_TOKEN_BYTES}};
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_zone zone;
    LabMeter meter;

    memcpy(order.items, order_items, sizeof(order_items));
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    LAB_CHECK(msgpack_zone_init(&zone, 2048));
    lab_meter_start(&meter, args);
    do {
        msgpack_object object;
        Order back;

        msgpack_sbuffer_clear(&buffer);
        pack_order(&packer, &order);
        msgpack_zone_clear(&zone);
        LAB_CHECK(msgpack_unpack(buffer.data, buffer.size, NULL, &zone, &object) ==
                  MSGPACK_UNPACK_SUCCESS);
        LAB_CHECK(read_order(&object, &back));
        LAB_CHECK(back.id == ORDER_ID && back.n_items == ORDER_N_ITEMS);
    } while (!lab_meter_add(&meter, 1));
    lab_meter_report(&meter);
}

int main(int argc, char **argv) {
    static const LabRow rows[] = {{"codec", "msgpack", codec}, {0}};

    return lab_main(argc, argv, rows);
}
