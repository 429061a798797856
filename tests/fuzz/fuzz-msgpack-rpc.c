/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a client of msgpack-rpc: the ends of its values do not depend on how the bytes are cut
 * into pieces, and agree with the reader of whole values. Each value that is a message is answered
 * with its own parameters, which must be well-formed.
 */

#include <stdlib.h>

#include "clients/msgpack-rpc/protocol.h"
#include "clients/msgpack-rpc/scanner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void check_message(Span value) {
    CLEANUP(buffer_deinit) Buffer out = {0};
    const char *problem = NULL;
    RpcMessage message;

    if (rpc_read(value, &message, &problem) < 0) {
        must(problem != NULL);
        return;
    }
    must(message.kind == RPC_RESPONSE || message.params.len > 0);
    rpc_write_result(&out, message.id, message.params);
    if (message.kind != RPC_RESPONSE && !message.problem)
        rpc_write_message(&out, message.method, message.params, "t", message.method, true);
    for (Reader reader = reader_of(out.data, out.len); reader.at != reader.end;) {
        Span written = reader_value(&reader);

        must(!reader.problem && wire_check(written.data, written.len) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    RpcScanner whole = {0}, bytewise = {0};
    size_t at = 0, used, one;

    while (at < size) {
        ScanOutcome outcome = scanner_feed(&whole, data + at, size - at, &used);

        must(used > 0);
        for (size_t i = 0; i < used; i++)
            must(scanner_feed(&bytewise, data + at + i, 1, &one) ==
                     (i + 1 < used ? SCAN_MORE : outcome) &&
                 one == 1);
        if (outcome != SCAN_VALUE) {
            must(outcome == SCAN_BAD || at + used == size);
            must(wire_check(data + at, size - at) != NULL);
            return 0;
        }
        check_message((Span){data + at, used});
        at += used;
    }
    return 0;
}
