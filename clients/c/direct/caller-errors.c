/* SPDX-License-Identifier: Apache-2.0 */
/* Errors that direct callers get, and the ends of their connections. See direct-private.h. */

#include <stdarg.h>

#include "clients/c/direct/direct-private.h"
#include "rpc/schema/remote-error.h"

static int write_error(Buffer *to, const char *type, const char *text) {
    ferry_error error = FERRY_ERROR_INIT;
    int r;

    error_set(&error, type, "%s", text);
    r = remote_error_write(to, &error);
    ferry_error_clear(&error);
    return r;
}

void caller_error(Caller *caller, uint64_t id, const char *type, const char *format, ...) {
    CLEANUP(buffer_deinit) Buffer map = {0};
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (id == 0 || write_error(&map, type, text) < 0)
        return;
    peer_put(caller->peer, LANE_CALLS,
             &(Message){.op = OP_ERROR, .id = id, .error.map = span_of(map.data, map.len)}, NULL);
    caller->endpoint->is_dirty = true;
}

void caller_fault(Peer *peer, const char *type, const char *problem) {
    CLEANUP(buffer_deinit) Buffer map = {0};

    outbox_hurry(&peer->out);
    if (write_error(&map, type, problem) == 0)
        peer_put(peer, LANE_CONTROL,
                 &(Message){.op = OP_FAULT, .fault.map = span_of(map.data, map.len)}, NULL);
    peer_close(peer);
}

void caller_end(Caller *caller, const char *text) {
    peer_put(caller->peer, LANE_CONTROL, &(Message){.op = OP_BYE, .bye.text = span_text(text)},
             NULL);
    peer_close(caller->peer);
    caller->endpoint->is_dirty = true;
}
