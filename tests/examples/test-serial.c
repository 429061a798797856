/* SPDX-License-Identifier: Apache-2.0 */
/* The example serial: offsets, unread octets, and octets that are not MessagePack. */

#include <msgpack.h>

#include "examples/stage.h"
#include "serial.h"
#include "support/random.h"

static Stage stage;

/* ---- the hazard ---- */

static void plain_readers_ignore_octets_behind_the_first_object(void) {
    /* Like pickle.loads(): the bytes of "Hello World" are ignored without an error. */
    static const char octets[] = "\x93\x01\x02\x03Hello World";
    msgpack_unpacked unpacked;

    msgpack_unpacked_init(&unpacked);
    CU_ASSERT_EQUAL(msgpack_unpack_next(&unpacked, octets, sizeof(octets) - 1, NULL),
                    MSGPACK_UNPACK_SUCCESS);
    CU_ASSERT(unpacked.data.type == MSGPACK_OBJECT_ARRAY && unpacked.data.via.array.size == 3);
    msgpack_unpacked_destroy(&unpacked);
}

/* ---- in one call ---- */

static int loads(const void *octets, size_t len, serial_loaded **ret) {
    *ret = NULL;
    return serial_loads(stage.client, ferry_bytes_of(octets, len), ret, &stage.error);
}

static void the_rest_is_given_back(void) {
    serial_loaded *loaded;

    CU_ASSERT_EQUAL(loads("\x93\x01\x02\x03Hello World", 15, &loaded), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(loaded);
    CU_ASSERT(loaded->object.offset == 0 && loaded->object.end == 4);
    CU_ASSERT(loaded->unread.len == 11 && memcmp(loaded->unread.data, "Hello World", 11) == 0);
    ferry_free(loaded);
}

static void values_become_octets(void) {
    static const serial_value numbers[] = {{.which = SERIAL_VALUE_WHOLE, .whole = 1},
                                           {.which = SERIAL_VALUE_WHOLE, .whole = -2},
                                           {.which = SERIAL_VALUE_NIL}};
    static const serial_map_string_value_entry entry = {
        "k", {.which = SERIAL_VALUE_ITEMS, .items = {3, numbers}}};
    static const serial_value map = {.which = SERIAL_VALUE_FIELDS, .fields = {1, &entry}};
    ferry_bytes *octets = NULL;

    CU_ASSERT_EQUAL(serial_dumps(stage.client, &map, &octets, &stage.error), 0);
    CU_ASSERT(octets && octets->len == 7 &&
              memcmp(octets->data, "\x81\xa1k\x93\x01\xfe\xc0", 7) == 0);
    ferry_free(octets);
}

static void bad_octets_are_typed_with_their_place(void) {
    static char deep[20000];
    const serial_truncated *cut;
    const serial_garbage *garbage;
    const serial_too_deep *too_deep;
    serial_loaded *loaded;

    CU_ASSERT_EQUAL(loads("\x93\x01\x02", 3, &loaded), -EREMOTEIO);
    cut = serial_truncated_in(&stage.error);
    CU_ASSERT(cut && cut->objects == 0 && cut->offset == 0 && cut->received == 3);
    CU_ASSERT_EQUAL(loads("", 0, &loaded), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(serial_truncated_in(&stage.error));
    CU_ASSERT_EQUAL(loads("\x92\x01\xc1", 3, &loaded), -EREMOTEIO);
    garbage = serial_garbage_in(&stage.error);
    CU_ASSERT(garbage && garbage->offset == 2 && garbage->octet == 0xc1);
    memset(deep, '\x91', 10000); /* a list in a list in a list… */
    CU_ASSERT_EQUAL(loads(deep, 10001, &loaded), -EREMOTEIO);
    too_deep = serial_too_deep_in(&stage.error);
    CU_ASSERT(too_deep && too_deep->limit == 32 && too_deep->offset == 32);
    /* Four gigabytes are announced; the reader does not wait for them. */
    CU_ASSERT_EQUAL(loads("\xc6\xff\xff\xff\xff", 5, &loaded), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(serial_too_large_in(&stage.error));
}

/* ---- as a stream ---- */

typedef struct Seen {
    int objects;
    int64_t end;
    char unread[64];
    size_t n_unread;
} Seen;

/* Pieces of `piece` octets. */
static int load(const void *octets, size_t len, size_t piece, int32_t count, Seen *seen) {
    ferry_stream *stream = NULL;
    serial_item *item;
    int r = serial_load(stage.client, count, &stream, &stage.error);

    *seen = (Seen){0};
    for (size_t at = 0; r == 0 && at < len; at += piece)
        r = serial_load_send(
            stream, ferry_bytes_of((const char *)octets + at, len - at < piece ? len - at : piece),
            &stage.error);
    if (r == 0)
        r = serial_load_end(stream, &stage.error);
    while (r >= 0 && (r = serial_load_next(stream, &item, &stage.error)) > 0) {
        if (item->which == SERIAL_ITEM_OBJECT) {
            CU_ASSERT_EQUAL(item->object.offset, seen->end);
            CU_ASSERT_EQUAL(item->object.packed.len,
                            (size_t)(item->object.end - item->object.offset));
            seen->end = item->object.end;
            seen->objects++;
        } else {
            memcpy(seen->unread + seen->n_unread, item->unread.data, item->unread.len);
            seen->n_unread += item->unread.len;
        }
        ferry_free(item);
    }
    ferry_stream_close(stream);
    return r;
}

static void objects_come_with_their_offsets(void) {
    static const char octets[] = "\x93\x01\x02\x03\xa3two\xc0Hello World";
    Seen seen;

    for (size_t piece = 1; piece < sizeof(octets); piece++) {
        CU_ASSERT_EQUAL(load(octets, sizeof(octets) - 1, piece, 3, &seen), 0);
        CU_ASSERT(seen.objects == 3 && seen.end == 9);
        CU_ASSERT(seen.n_unread == 11 && memcmp(seen.unread, "Hello World", 11) == 0);
    }
    CU_ASSERT_EQUAL(load(octets, 9, 4, 0, &seen), 0);
    CU_ASSERT(seen.objects == 3 && seen.n_unread == 0);
}

static void a_stream_that_ends_inside_an_object_is_typed(void) {
    const serial_truncated *cut;
    const serial_garbage *garbage;
    Seen seen;

    CU_ASSERT_EQUAL(load("\x01\x02\xa5xy", 5, 2, 0, &seen), -EREMOTEIO);
    cut = serial_truncated_in(&stage.error);
    CU_ASSERT(seen.objects == 2 && cut && cut->objects == 2 && cut->offset == 2 &&
              cut->received == 3);
    CU_ASSERT_EQUAL(load("\x01\x02", 2, 2, 3, &seen), -EREMOTEIO); /* two of three */
    CU_ASSERT_PTR_NOT_NULL(serial_truncated_in(&stage.error));
    CU_ASSERT_EQUAL(load("\x01\x02\xc1", 3, 1, 0, &seen), -EREMOTEIO);
    garbage = serial_garbage_in(&stage.error);
    CU_ASSERT(seen.objects == 2 && garbage && garbage->objects == 2 && garbage->offset == 2);
}

/* Random objects, as msgpack-c finds their ends. */
static void msgpack_c_finds_the_same_ends(void) {
    Dice dice = dice_new(8);
    unsigned char octets[64];

    for (int i = 0; i < 3000; i++) {
        size_t len = dice_below(&dice, sizeof(octets)) + 1, at = 0;
        msgpack_unpacked unpacked;
        serial_loaded *loaded;
        int r;

        for (size_t k = 0; k < len; k++) {
            octets[k] = (unsigned char)dice_u64(&dice);
            if ((octets[k] & 0xfc) == 0xdc) /* for billions of values msgpack-c allocates memory */
                octets[k] = 0x92;
            if (dice_below(&dice, 3) == 0) /* small lists and maps more often */
                octets[k] = (unsigned char)(0x80 + dice_below(&dice, 32));
        }
        r = loads(octets, len, &loaded);
        msgpack_unpacked_init(&unpacked);
        if (msgpack_unpack_next(&unpacked, (const char *)octets, len, &at) ==
            MSGPACK_UNPACK_SUCCESS)
            CU_ASSERT(r == 0 && loaded && loaded->object.end == (int64_t)at)
        else
            CU_ASSERT_EQUAL(r, -EREMOTEIO);
        msgpack_unpacked_destroy(&unpacked);
        ferry_free(loaded);
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(plain_readers_ignore_octets_behind_the_first_object),
        TEST(the_rest_is_given_back),
        TEST(values_become_octets),
        TEST(bad_octets_are_typed_with_their_place),
        TEST(objects_come_with_their_offsets),
        TEST(a_stream_that_ends_inside_an_object_is_typed),
        TEST(msgpack_c_finds_the_same_ends),
        TESTS_END,
    };
    int status;

    stage_open(&stage, serial_start);
    status = run_suite("example serial", tests);
    stage_close(&stage);
    return status;
}
