/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A broker without sockets, with a server of one service and a caller, for the tests of services.
 */

#include "broker/services/services.h"
#include "broker/sessions/hello.h"
#include "support/fake-hub.h"
#include "support/suite.h"

enum { AHEAD = 1 }; /* number of calls that a new server with one slot gets at once */

static Broker broker;
static Peer *server, *caller;

static inline void serve(Peer *peer, const char *instance, uint64_t slots) {
    const Message *ok;

    fake_say(&broker, peer,
             &(Message){.op = OP_SERVE,
                        .id = 1,
                        .name = span_text("calc.Calc"),
                        .serve.slots = slots,
                        .serve.instance = span_text(instance)});
    ok = fake_next_real(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ok);
    CU_ASSERT_EQUAL(ok->op, OP_OK);
}

static inline void begin(void) {
    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    server = fake_peer_connected(&broker, 's');
    caller = fake_peer_connected(&broker, 'c');
    serve(server, "one", 1);
}

static inline Message call_of(uint64_t id, uint64_t flags) {
    return (Message){.op = OP_CALL,
                     .id = id,
                     .call.timeout_ms = 1000,
                     .call.flags = flags,
                     .name = span_text("calc.Calc"),
                     .call.method = span_text("add"),
                     .body = span_text("\x92\x02\x03")};
}

static inline void call(uint64_t id, uint64_t flags) {
    Message message = call_of(id, flags);

    fake_say(&broker, caller, &message);
}

/* Checks that the next message to a peer has this op; returns its id. */
static inline uint64_t expect(Peer *peer, Op op) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->op, op);
    return m->id;
}

static inline void expect_error(Peer *peer, uint64_t id, const char *type) {
    const Message *m = fake_next_real(peer);

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL_FATAL(m->op, OP_ERROR);
    CU_ASSERT_EQUAL(m->id, id);
    CU_ASSERT_STRING_EQUAL(fake_error(m, "type"), type);
}

static inline void answer(Peer *peer, uint64_t id) {
    fake_say(&broker, peer, &(Message){.op = OP_OK, .id = id, .body = span_text("\x05")});
}

static inline void call_from(Peer *peer, uint64_t id) {
    Message message = call_of(id, 0);

    fake_say(&broker, peer, &message);
}

/* Checks that the next call at the server comes from this caller: the caller gets its answer. */
static inline void expect_call_of(Peer *peer, uint64_t id) {
    answer(server, expect(server, OP_CALL));
    CU_ASSERT_EQUAL(expect(peer, OP_OK), id);
}

static inline int n_calls_at(Peer *peer) {
    int n = 0;

    while (fake_next_real(peer))
        n++;
    return n;
}
