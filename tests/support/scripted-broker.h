/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A broker whose answers a test writes: it listens at a port of loopback, begins sessions, and
 * passes each message of its clients to a function of the test. Each session has a thread.
 */

#include <pthread.h>

#include "support/raw-peer.h"

enum { SCRIPTED_SESSIONS = 16, SCRIPTED_NOTES = 16 };

typedef struct ScriptedBroker ScriptedBroker;

/* Handles one message: not HELLO, PING and CREDIT. At most one such function runs at a time in all
 * scripted brokers of the process. fd is the session: answer with raw_say(). */
typedef void (*ScriptFn)(ScriptedBroker *broker, int fd, const Message *message);

typedef struct ScriptedSession {
    int fd;
    bool is_up, is_over, was_used;
    pthread_t thread;
    uint8_t client[WIRE_TOKEN]; /* of its HELLO */
    uint64_t floor;
    uint64_t notes[SCRIPTED_NOTES]; /* for the test; zero when the session begins */
} ScriptedSession;

struct ScriptedBroker {
    uint16_t port;
    char url[40];
    uint8_t id[WIRE_TOKEN]; /* a new one after each start */
    const char *refusal;    /* answers HELLO with FAULT(ferry.Unsupported) and this text; or NULL */
    ScriptFn fn;
    void *ctx; /* for the test */
    int listener;
    pthread_t thread;
    ScriptedSession sessions[SCRIPTED_SESSIONS];
};

/* Chooses a port, and listens. */
void scripted_start(ScriptedBroker *broker, ScriptFn fn, void *ctx);
/* Closes all sessions and the port. */
void scripted_stop(ScriptedBroker *broker);
/* Listens at the same port again. */
void scripted_restart(ScriptedBroker *broker);

/* Locks out the functions of all scripted brokers, while the test looks at what they have noted. */
void scripted_lock(void);
void scripted_unlock(void);

/* In a ScriptFn: ends the session when the function has returned. */
void scripted_end(ScriptedBroker *broker, int fd);
/* In a ScriptFn: the session. */
ScriptedSession *scripted_session(ScriptedBroker *broker, int fd);

void scripted_ok(int fd, uint64_t id);
void scripted_error(int fd, uint64_t id, const char *type);
/* Answers ferry.Moved. owner: has the queue; NULL: it is not known. number: key `moved`; 0: without
 * this key. */
void scripted_moved(int fd, uint64_t id, const ScriptedBroker *owner, uint64_t number);
/* As scripted_moved(). The broker may have made the change. */
void scripted_moved_unknown(int fd, uint64_t id, const ScriptedBroker *owner);
/* Answers a FORWARD with ferry.Moved: its job is still with the worker. */
void scripted_kept(int fd, uint64_t id, const ScriptedBroker *owner);
