/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole broker without sockets: any bytes, as batches of four peers, connections that end, and
 * time that passes. The input is a list of steps: a byte (bits 0-1: the peer; bits 2-3: the kind of
 * step), two bytes of length n, and n bytes.
 *
 *   0  a batch; the head is added, and a HELLO before it if there is no session yet
 *   1  a batch, unchanged
 *   2  the connection ends
 *   3  n milliseconds pass; no bytes follow
 */

#include <stdlib.h>

#include "base/log.h"
#include "broker/sessions/session.h"
#include "support/fake-hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_PEERS = 4 };

static Broker broker;
static Peer *connected[N_PEERS];

/* The broker's output must be readable: fake_next() aborts if it is not. */
static void read_all(Peer *peer) {
    while (fake_next(peer))
        continue;
}

static void end(unsigned i) {
    if (!connected[i])
        return;
    read_all(connected[i]);
    fake_peer_gone(&broker, connected[i]);
    connected[i] = NULL;
}

static void batch(unsigned i, const uint8_t *data, size_t len, bool raw) {
    if (connected[i] && connected[i]->closing)
        end(i);
    if (!connected[i])
        connected[i] = fake_peer_new(&broker);
    if (raw) {
        fake_receive(&broker, connected[i], data, len);
    } else {
        uint8_t *whole = malloc(len + WIRE_HEAD);

        if (!whole)
            abort();
        if (!connected[i]->session)
            fake_hello(&broker, connected[i], (uint8_t)('a' + i));
        whole[0] = WIRE_MAGIC;
        whole[1] = WIRE_PROTOCOL;
        if (len > 0)
            memcpy(whole + WIRE_HEAD, data, len);
        fake_receive(&broker, connected[i], whole, len + WIRE_HEAD);
        free(whole);
    }
    for (unsigned k = 0; k < N_PEERS; k++)
        if (connected[k])
            read_all(connected[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *at = data, *stop = data + size;

    log_level = LOG_LEVEL_ERROR;
    fake_hub_init(&broker);
    /* Small, so that an input can reach it. */
    broker.limits.max_body = 1000;
    while (stop - at >= 3) {
        unsigned i = at[0] % N_PEERS, what = at[0] / N_PEERS % 4;
        size_t len = (size_t)at[1] << 8 | at[2];

        at += 3;
        if (what == 3) {
            fake_wait(&broker, len);
            continue;
        }
        len = len > (size_t)(stop - at) ? (size_t)(stop - at) : len;
        if (what == 2)
            end(i);
        else
            batch(i, at, len, what == 1);
        at += what == 2 ? 0 : len;
    }
    for (unsigned i = 0; i < N_PEERS; i++)
        end(i);
    fake_hub_deinit(&broker);
    return 0;
}
