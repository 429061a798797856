/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A server of the interface in tests/data/idl/y_typed.thrift, its broker and a client, which the
 * tests of typed calls and of typed streams share.
 */

#include "support/broker.h"
#include "y_typed.h"

typedef struct Server {
    int notes;     /* calls of the method note */
    char note[64]; /* of the last one */
} Server;

extern const typed_handlers server_handlers;

extern TestBroker broker;
extern Runner runner; /* the server's thread */
extern Server server;
extern ferry_client *client;

void set_up(void);
void tear_down(void);
