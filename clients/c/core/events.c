/* SPDX-License-Identifier: Apache-2.0 */
/* Events for on_event, queued until a turn may call it. */

#include <stdlib.h>

#include "clients/c/core/core.h"

enum { NOTES_MAX = 64 };

struct EventNote {
    EventNote *next;
    int event;
    ferry_error error;
};

void event_note(Core *core, int event, const ferry_error *error) {
    EventNote *note;

    /* The queue is bounded: if the program runs no turns, it keeps the oldest events. */
    if (!core->events.fn || core->events.is_quiet || core->events.n >= NOTES_MAX)
        return;
    note = calloc(1, sizeof(*note));
    if (!note)
        return;
    note->event = event;
    if (error)
        error_copy(&note->error, error);
    if (core->events.last)
        core->events.last->next = note;
    else
        core->events.first = note;
    core->events.last = note;
    core->events.n++;
}

static EventNote *take(Core *core) {
    EventNote *note = core->events.first;

    if (note) {
        core->events.first = note->next;
        core->events.n--;
    }
    if (!core->events.first)
        core->events.last = NULL;
    return note;
}

static void note_free(EventNote *note) {
    ferry_error_clear(&note->error);
    free(note);
}

void events_run(Core *core) {
    EventNote *note;

    while (!core->closed && (note = take(core))) {
        core->events.fn(note->event, note->error.type ? &note->error : NULL, core->events.ctx);
        note_free(note);
    }
}

void events_deinit(Core *core) {
    EventNote *note;

    while ((note = take(core)))
        note_free(note);
}
