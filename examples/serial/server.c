/* SPDX-License-Identifier: Apache-2.0 */
/* Values to octets; octets to objects, one by one. */

#include <ferry/pack.h>

#include "scan.h"
#include "serial.h"
#include "server.h"

/* ---- to octets ---- */

static void pack(ferry_packer *to, const serial_value *value) {
    switch (value->which) {
    case SERIAL_VALUE_TRUTH:
        ferry_pack_bool(to, value->truth);
        break;
    case SERIAL_VALUE_WHOLE:
        ferry_pack_int(to, value->whole);
        break;
    case SERIAL_VALUE_REAL:
        ferry_pack_double(to, value->real);
        break;
    case SERIAL_VALUE_TEXT:
        ferry_pack_str(to, value->text);
        break;
    case SERIAL_VALUE_OCTETS:
        ferry_pack_bin(to, value->octets.data, value->octets.len);
        break;
    case SERIAL_VALUE_ITEMS:
        ferry_pack_array(to, (uint32_t)value->items.n);
        for (size_t i = 0; i < value->items.n; i++)
            pack(to, &value->items.v[i]);
        break;
    case SERIAL_VALUE_FIELDS:
        ferry_pack_map(to, (uint32_t)value->fields.n);
        for (size_t i = 0; i < value->fields.n; i++) {
            ferry_pack_str(to, value->fields.v[i].key);
            pack(to, &value->fields.v[i].value);
        }
        break;
    default:
        ferry_pack_nil(to);
    }
}

static int dumps(ferry_request *request, const serial_value *value, void *ctx) {
    FERRY_AUTO(ferry_packer_close) ferry_packer *to = ferry_packer_new();

    (void)ctx;
    if (!to)
        return -ENOMEM;
    pack(to, value);
    if (ferry_packer_error(to) < 0)
        return ferry_packer_error(to);
    return serial_dumps_return(request, ferry_packer_bytes(to));
}

/* ---- errors ---- */

/* Answers with the error for a result of scan_next(); SCAN_MORE: the input ended too early. */
static int refuse(ferry_request *request, const Scan *scan, int r) {
    int64_t objects = (int64_t)scan->objects, at = (int64_t)scan->bad_offset;
    char message[96];

    switch (r) {
    case SCAN_MORE:
        snprintf(message, sizeof(message), "the octets end inside object %lld, %zu of it are there",
                 (long long)objects, scan->len);
        return serial_throw_truncated(request, &(serial_truncated){objects, (int64_t)scan->offset,
                                                                   (int64_t)scan->len, message});
    case SCAN_GARBAGE:
        snprintf(message, sizeof(message), "octet 0x%02x at %lld begins no object", scan->bad_octet,
                 (long long)at);
        return serial_throw_garbage(request,
                                    &(serial_garbage){objects, at, scan->bad_octet, message});
    case SCAN_TOO_DEEP:
        return serial_throw_too_deep(request,
                                     &(serial_too_deep){objects, at, SERIAL_LEVELS,
                                                        "more than 32 levels inside each other"});
    case SCAN_TOO_LARGE:
        return serial_throw_too_large(
            request, &(serial_too_large){objects, at, SERIAL_MAX_OCTETS, "more than 16 MiB"});
    default:
        return ferry_request_fail(request, r, NULL);
    }
}

/* ---- from octets ---- */

static serial_object found(const Scan *scan) {
    return (serial_object){(int64_t)scan->offset, (int64_t)(scan->offset + scan->at),
                           ferry_bytes_of(scan->data, scan->at)};
}

static int loads(ferry_request *request, ferry_bytes octets, void *ctx) {
    Scan scan = {0};
    int r = scan_add(&scan, octets);

    (void)ctx;
    if (r == 0)
        r = scan_next(&scan);
    if (r == SCAN_OBJECT)
        r = serial_loads_return(
            request, &(serial_loaded){found(&scan),
                                      ferry_bytes_of(scan.data + scan.at, scan.len - scan.at)});
    else
        r = refuse(request, &scan, r);
    scan_deinit(&scan);
    return r;
}

/* Yields the complete objects. SCAN_MORE: the next object is not complete yet. */
static int yield_objects(ferry_request *request, Scan *scan, int32_t count) {
    int r = SCAN_MORE;

    while ((count == 0 || scan->objects < (uint64_t)count) &&
           (r = scan_next(scan)) == SCAN_OBJECT) {
        r = serial_load_yield(request,
                              &(serial_item){.which = SERIAL_ITEM_OBJECT, .object = found(scan)});
        if (r < 0)
            return r;
        scan_drop(scan);
        r = SCAN_MORE;
    }
    return r;
}

static int yield_unread(ferry_request *request, ferry_bytes octets) {
    return octets.len == 0 ? 0
                           : serial_load_yield(request, &(serial_item){.which = SERIAL_ITEM_UNREAD,
                                                                       .unread = octets});
}

static int load(ferry_request *request, int32_t count, void *ctx) {
    Scan scan = {0};
    bool enough = false;
    ferry_bytes *piece;
    int r;

    (void)ctx;
    count = count < 0 ? 0 : count;
    while ((r = serial_load_receive(request, &piece)) > 0) {
        if (enough) {
            r = yield_unread(request, *piece);
        } else {
            r = scan_add(&scan, *piece);
            if (r == 0)
                r = yield_objects(request, &scan, count);
            enough = r == 0 && count > 0 && scan.objects == (uint64_t)count;
            if (enough)
                r = yield_unread(request, ferry_bytes_of(scan.data, scan.len));
        }
        ferry_free(piece);
        if (r != 0)
            break;
    }
    if (r == 0 && (enough || (count == 0 && scan.len == 0)))
        r = serial_load_return(request);
    else
        r = refuse(request, &scan, r);
    scan_deinit(&scan);
    return r;
}

int serial_start(ferry_client *client, ferry_error *reterr) {
    static const serial_handlers handlers = {.dumps = dumps, .loads = loads, .load = load};

    return serial_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
