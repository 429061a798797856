/*
 * The calls that wait for a server: a line for each caller of a service, and the lines take turns,
 * so that who makes ten thousand calls at once waits for those, and nobody else does. See
 * internal.h.
 */

#include <stdlib.h>
#include <utlist.h>

#include "base/hash.h"
#include "broker/services/internal.h"

static LineKey key_of(const Call *call) {
    return (LineKey){(uint64_t)(uintptr_t)call->service, call->caller_number};
}

static Line *line_of(const Call *call) {
    LineKey key = key_of(call);
    Line *line;

    HASH_FIND(hh, call->service->services->lines, &key, sizeof(key), line);
    return line;
}

static Line *line_new(const Call *call) {
    Services *services = call->service->services;
    Line *line = calloc(1, sizeof(*line));

    if (!line)
        return NULL;
    line->key = key_of(call);
    HASH_ADD(hh, services->lines, key, sizeof(line->key), line);
    if (!hash_added(line)) {
        free(line);
        return NULL;
    }
    DL_APPEND(call->service->lines, line);
    call->service->n_lines++;
    return line;
}

static void line_free(Line *line, Service *service) {
    HASH_DEL(service->services->lines, line);
    DL_DELETE(service->lines, line);
    service->n_lines--;
    free(line);
}

int call_join_line(Call *call, bool in_front) {
    Service *service = call->service;
    Line *line = line_of(call);

    if (!line)
        line = line_new(call);
    if (!line)
        return -ENOMEM;
    if (in_front) {
        DL_PREPEND(line->calls, call);
        DL_DELETE(service->lines, line);
        DL_PREPEND(service->lines, line);
    } else {
        DL_APPEND(line->calls, call);
    }
    call->line = line;
    line->n++;
    service->n_waiting++;
    return 0;
}

void call_leave_line(Call *call) {
    Line *line = call->line;

    if (!line)
        return;
    DL_DELETE(line->calls, call);
    call->line = NULL;
    call->service->n_waiting--;
    if (--line->n == 0)
        line_free(line, call->service);
}

void line_served(Line *line, Service *service) {
    DL_DELETE(service->lines, line);
    DL_APPEND(service->lines, line);
}

Call *call_to_give_way(const Call *call) {
    const Service *service = call->service;
    const Line *mine = line_of(call);
    unsigned n = mine ? mine->n : 0, n_lines = service->n_lines + (mine ? 0 : 1);
    Line *line, *longest = NULL;

    /* It has its share: the search is for those who have less. */
    if (n >= service->n_waiting / n_lines)
        return NULL;
    /* One of ten thousand lines costs more than a call does. */
    service->services->broker->work += service->n_lines / 4;
    DL_FOREACH(service->lines, line) {
        if (!longest || line->n > longest->n)
            longest = line;
    }
    return longest && longest->n > n + 1 ? longest->calls->prev : NULL;
}
