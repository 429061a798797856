/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the broker is told again in each session: services, subscriptions, pulls. One is made by a
 * blocking call, which returns when the broker has accepted or refused; from then on it is looked
 * after here, through every reconnection, until it is dropped.
 */

#include "clients/c/core/core.h"

typedef enum RegistrationState {
    REGISTRATION_OFF,   /* the broker does not know it: no connection, or withdrawn */
    REGISTRATION_ASKED, /* no answer yet */
    REGISTRATION_ON,
    REGISTRATION_LEAVING, /* withdrawn; the broker's answer to that is still to come */
} RegistrationState;

typedef struct RegistrationKind {
    /* Puts SERVE, SUBSCRIBE or PULL with this id. */
    int (*announce)(Core *core, Registration *registration, uint64_t id);
    /* Puts UNSERVE, UNSUBSCRIBE or UNPULL with this id; 0: no answer is wanted. */
    int (*withdraw)(Core *core, Registration *registration, uint64_t id);
    void (*free)(Core *core, Registration *registration);
    bool stops; /* ferry_stop() withdraws it */
} RegistrationKind;

struct ferry_registration {
    Await await;
    const RegistrationKind *kind;
    ferry_client *handle;
    Registration *next, *previous;
    uint64_t id;     /* of the message that announced it in this session */
    Outcome *result; /* of the call that makes it, until it is answered */
    Timer retry;     /* after a refusal in a later session */
    RegistrationState state;
    unsigned busy; /* its callback runs: freed after that */
    bool dead;
};

/* Announces it, and waits for the broker's answer. Not kept, nor freed, when it fails. */
int registration_add(ferry_client *client, Registration *registration, const RegistrationKind *kind,
                     ferry_error *reterr);

/* Announces it anew, in the same session, and waits. */
int registration_change(Registration *registration, ferry_error *reterr);

/* Withdraws and frees it: at once, or when its callback has returned. */
void registration_drop(Core *core, Registration *registration);

/* Around a callback of its own. */
void registration_enter(Registration *registration);
void registration_leave(Core *core, Registration *registration);

void registrations_drop(ferry_client *handle); /* those made through it */
void registrations_shut(Core *core);

extern const Part registrations_part;

/* For ferry_stop(): those that bring work are taken back, and announced again by the next run. */
void registrations_withdraw(Core *core);
void registrations_resume(Core *core);
bool registrations_are_off(const Core *core);
