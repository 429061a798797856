/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A fake Redis whose answers a test chooses: one thread, on a port of the loopback interface. */

#include <stddef.h>
#include <stdint.h>

typedef struct FakeRedis FakeRedis;

/*
 * Called for each command; command is its words with spaces between. Writes an answer to reply and
 * returns its length; 0: no answer; -1: close the connection. The PING of the greeting is already
 * answered.
 */
typedef int (*FakeAnswerFn)(const char *command, char *reply, size_t size, void *ctx);

FakeRedis *fake_redis_start(FakeAnswerFn answer, void *ctx);
uint16_t fake_redis_port(const FakeRedis *fake);
void fake_redis_stop(FakeRedis *fake);
