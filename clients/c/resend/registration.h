/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Registrations: services, subscriptions and pulls. A blocking function makes a registration and
 * returns when the broker has accepted or refused it. An accepted registration is announced again
 * after each reconnection, until it is dropped.
 */

#include "clients/c/core/core.h"

typedef enum RegistrationState {
    REGISTRATION_OFF,   /* unknown to the broker: no connection, or withdrawn */
    REGISTRATION_ASKED, /* announced, without an answer yet */
    REGISTRATION_ON,
    REGISTRATION_LEAVING, /* withdrawn, without an answer yet */
} RegistrationState;

typedef struct RegistrationKind {
    /* Puts SERVE, SUBSCRIBE or PULL with this id into the outbox. */
    int (*announce)(Core *core, Registration *registration, uint64_t id);
    /* Puts UNSERVE, UNSUBSCRIBE or UNPULL with this id into the outbox; id 0 requests no answer. */
    int (*withdraw)(Core *core, Registration *registration, uint64_t id);
    void (*dropped)(Core *core, Registration *registration); /* no longer in use; may be NULL */
    void (*free)(Core *core, Registration *registration);
    void (*accepted)(Registration *registration); /* the broker's OK has come; may be NULL */
    void (*close)(Registration *registration);    /* of a front, see brokers/brokers.h; else NULL */
    /* Makes the same registration at another member of a client of several brokers. */
    int (*copy)(const Registration *from, ferry_client *member, Registration **ret);
    bool stops; /* ferry_stop() withdraws it */
} RegistrationKind;

struct ferry_registration {
    Await await;
    const RegistrationKind *kind;
    ferry_client *handle;
    Registration *prev, *next; /* of core->registrations */
    Registration *front;       /* the program's one, which stands for this one; NULL */
    uint64_t id;               /* of its announcement in this session */
    Outcome *result;           /* of the blocking call, until the broker has answered */
    Timer retry;               /* the next attempt after a refusal in a later session */
    RegistrationState state;
    unsigned busy; /* running callbacks; it is freed after the last one */
    bool dead;
};

/* Announces the registration and waits for the broker's answer. On failure the caller still owns
 * the registration. */
int registration_add(ferry_client *client, Registration *registration, const RegistrationKind *kind,
                     ferry_error *reterr);

/* Announces the registration again in the same session and waits for the answer. */
int registration_change(Registration *registration, ferry_error *reterr);

/* Withdraws and frees the registration: at once, or when its callback has returned. */
void registration_drop(Core *core, Registration *registration);

/* The broker has ended the registration with this error: tries again soon. */
void registration_ended(Core *core, Registration *registration, const ferry_error *error);

/* Call these around each callback of the registration. */
void registration_enter(Registration *registration);
void registration_leave(Core *core, Registration *registration);

extern const Part registrations_part;

/* For ferry_stop(): withdraws services and workers. The next run announces them again. */
void registrations_withdraw(Core *core);
void registrations_resume(Core *core);
bool registrations_are_off(const Core *core);
