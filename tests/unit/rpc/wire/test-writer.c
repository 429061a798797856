/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire/writer.h"

#include <msgpack.h>

#include "support/oom.h"
#include "support/random.h"
#include "support/suite.h"

/* msgpack-c writes the shortest form too, so the bytes must be the same. */
static void compare(const Buffer *ours, const msgpack_sbuffer *theirs) {
    CU_ASSERT_EQUAL_FATAL(ours->len, theirs->size);
    CU_ASSERT_EQUAL(memcmp(ours->data, theirs->data, ours->len), 0);
}

static void integers_are_written_as_msgpack_c_does(void) {
    Dice dice = dice_new(1);
    CLEANUP(buffer_deinit) Buffer ours = {0};
    msgpack_sbuffer theirs;
    msgpack_packer packer;

    msgpack_sbuffer_init(&theirs);
    msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
    for (int bit = 0; bit < 64; bit++)
        for (int off = -2; off <= 2; off++) {
            uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)off;

            write_uint(&ours, value);
            msgpack_pack_uint64(&packer, value);
            write_int(&ours, (int64_t)value);
            msgpack_pack_int64(&packer, (int64_t)value);
        }
    for (int i = 0; i < 1000; i++) {
        uint64_t value = dice_any(&dice);

        write_int(&ours, (int64_t)~value);
        msgpack_pack_int64(&packer, (int64_t)~value);
    }
    compare(&ours, &theirs);
    msgpack_sbuffer_destroy(&theirs);
}

static void everything_else_is_written_as_msgpack_c_does(void) {
    static const size_t sizes[] = {0, 1, 2, 3, 4, 8, 15, 16, 31, 32, 255, 256, 65535, 65536};
    static uint8_t bytes[65536];
    CLEANUP(buffer_deinit) Buffer ours = {0};
    msgpack_sbuffer theirs;
    msgpack_packer packer;

    msgpack_sbuffer_init(&theirs);
    msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        write_str(&ours, bytes, sizes[i]);
        msgpack_pack_str(&packer, sizes[i]);
        msgpack_pack_str_body(&packer, bytes, sizes[i]);
        write_bin(&ours, bytes, sizes[i]);
        msgpack_pack_bin(&packer, sizes[i]);
        msgpack_pack_bin_body(&packer, bytes, sizes[i]);
        write_ext(&ours, -3, bytes, sizes[i]);
        msgpack_pack_ext(&packer, sizes[i], -3);
        msgpack_pack_ext_body(&packer, bytes, sizes[i]);
        write_array(&ours, (uint32_t)sizes[i]);
        msgpack_pack_array(&packer, sizes[i]);
        write_map(&ours, (uint32_t)sizes[i]);
        msgpack_pack_map(&packer, sizes[i]);
    }
    write_nil(&ours);
    msgpack_pack_nil(&packer);
    write_bool(&ours, true);
    msgpack_pack_true(&packer);
    write_bool(&ours, false);
    msgpack_pack_false(&packer);
    write_double(&ours, -1234.5678);
    msgpack_pack_double(&packer, -1234.5678);
    write_text(&ours, NULL);
    msgpack_pack_nil(&packer);
    write_text(&ours, "");
    msgpack_pack_str(&packer, 0);
    compare(&ours, &theirs);
    msgpack_sbuffer_destroy(&theirs);
}

static void raw_values_are_copied_as_they_are(void) {
    CLEANUP(buffer_deinit) Buffer buffer = {0};

    write_array(&buffer, 1);
    write_raw(&buffer, (Span){(const uint8_t *)"\x81\xa1k\x01", 4});
    write_raw(&buffer, (Span){NULL, 0});
    CU_ASSERT_EQUAL(buffer.len, 5);
    CU_ASSERT_PTR_NULL(wire_check(buffer.data, buffer.len));
}

static void out_of_memory_is_found_at_the_end(void) {
    OOM_EACH(n) {
        CLEANUP(buffer_deinit) Buffer buffer = {0};

        write_map(&buffer, 100);
        for (unsigned i = 0; i < 100; i++) {
            write_uint(&buffer, i);
            write_text(&buffer, "a value of some length, so that the buffer must grow");
        }
        OOM_STOP;
        CU_ASSERT_EQUAL(buffer.failed, oom_happened());
        CU_ASSERT(buffer.failed || !wire_check(buffer.data, buffer.len));
    }
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(integers_are_written_as_msgpack_c_does),
        TEST(everything_else_is_written_as_msgpack_c_does),
        TEST(raw_values_are_copied_as_they_are),
        TEST(out_of_memory_is_found_at_the_end),
        TESTS_END,
    };

    return run_suite("rpc/wire writer", tests);
}
