/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that only some users may call. See guards.h. */

#include "broker/services/guards.h"

#include <stdlib.h>
#include <utlist.h>

/* One method and its annotation; servers with the same annotation share it. */
struct MethodGuard {
    MethodGuard *prev, *next; /* in service->guards */
    unsigned n_servers;
    const char *may;
    size_t method_len;
    char method[];
};

static MethodGuard *find(const Service *service, const char *method, const char *may) {
    MethodGuard *guard;

    DL_FOREACH(service->guards, guard) {
        if (strcmp(guard->method, method) == 0 && strcmp(guard->may, may) == 0)
            return guard;
    }
    return NULL;
}

static size_t memory_of(const MethodGuard *guard) {
    return sizeof(*guard) + guard->method_len + strlen(guard->may) + 2;
}

static MethodGuard *guard_get(Service *service, const char *method, const char *may) {
    MethodGuard *guard = find(service, method, may);
    size_t method_size = strlen(method) + 1, may_size = strlen(may) + 1;

    if (!guard) {
        guard = malloc(sizeof(*guard) + method_size + may_size);
        if (!guard)
            return NULL;
        *guard = (MethodGuard){.method_len = method_size - 1, .may = guard->method + method_size};
        memcpy(guard->method, method, method_size);
        memcpy(guard->method + method_size, may, may_size);
        DL_APPEND(service->guards, guard);
        service->n_guards++;
        service->services->broker->budget.bytes[BUDGET_SERVICES] += memory_of(guard);
    }
    guard->n_servers++;
    return guard;
}

static void guard_leave(Service *service, MethodGuard *guard) {
    if (--guard->n_servers > 0)
        return;
    DL_DELETE(service->guards, guard);
    service->n_guards--;
    service->services->broker->budget.bytes[BUDGET_SERVICES] -= memory_of(guard);
    free(guard);
}

/* The annotation of a method; NULL: all callers may call the method. */
static const char *may_of(const ferry_method *method) {
    for (uint32_t i = 0; method->notes && i < method->notes->n_annotations; i++)
        if (strcmp(method->notes->annotations[i].name, "may") == 0)
            return method->notes->annotations[i].value ? method->notes->annotations[i].value : "";
    return NULL;
}

static uint32_t count(const ferry_service *described) {
    uint32_t n = 0;

    for (uint32_t i = 0; described && i < described->n_methods; i++)
        n += may_of(&described->methods[i]) != NULL;
    return n;
}

static void drop(Service *service, MethodGuard **guards, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        guard_leave(service, guards[i]);
    free(guards);
}

int guards_set(Server *server, const ferry_service *described) {
    Service *service = server->service;
    uint32_t n = count(described), n_before = server->n_guards, taken = 0;
    MethodGuard **guards = n > 0 ? calloc(n, sizeof(*guards)) : NULL, **before = server->guards;
    int r = n > 0 && !guards ? -ENOMEM : 0;

    /* Add the new guards before removing the old ones, so that the methods are guarded all the
     * time. */
    for (uint32_t i = 0; r == 0 && n > 0 && i < described->n_methods; i++) {
        const char *may = may_of(&described->methods[i]);

        if (!may)
            continue;
        guards[taken] = guard_get(service, described->methods[i].name, may);
        r = !guards[taken] ? -ENOMEM : 0;
        taken += r == 0;
        if (r == 0 && service->n_guards > GUARDS_MAX)
            r = -ENOBUFS;
    }
    if (r < 0) {
        drop(service, guards, taken);
        return r;
    }
    server->guards = guards;
    server->n_guards = n;
    drop(service, before, n_before);
    return 0;
}

/* True: the user satisfies one of the names in a list like "admins, joe". */
static bool satisfies(const User *user, const char *may) {
    for (may += strspn(may, " ,"); *may; may += strspn(may, " ,")) {
        size_t len = strcspn(may, " ,");

        if (user_is_of(user, may, len))
            return true;
        may += len;
    }
    return user_may(user, ACTION_ADMIN, span_text(">"));
}

bool guards_allow(const Service *service, Span method, const User *user) {
    const MethodGuard *guard;

    DL_FOREACH(service->guards, guard) {
        if (guard->method_len == method.len &&
            memcmp(guard->method, method.data, method.len) == 0 && !satisfies(user, guard->may))
            return false;
    }
    return true;
}
