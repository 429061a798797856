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
    if (!core->on_event || core->is_quiet || core->n_events >= NOTES_MAX)
        return;
    note = calloc(1, sizeof(*note));
    if (!note)
        return;
    note->event = event;
    if (error)
        error_copy(&note->error, error);
    if (core->last_event)
        core->last_event->next = note;
    else
        core->events = note;
    core->last_event = note;
    core->n_events++;
}

static EventNote *take(Core *core) {
    EventNote *note = core->events;

    if (note) {
        core->events = note->next;
        core->n_events--;
    }
    if (!core->events)
        core->last_event = NULL;
    return note;
}

static void note_free(EventNote *note) {
    ferry_error_clear(&note->error);
    free(note);
}

void events_run(Core *core) {
    EventNote *note;

    while (!core->closed && (note = take(core))) {
        core->on_event(note->event, note->error.type ? &note->error : NULL, core->event_ctx);
        note_free(note);
    }
}

void events_deinit(Core *core) {
    EventNote *note;

    while ((note = take(core)))
        note_free(note);
}
