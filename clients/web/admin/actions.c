/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to one queue, job, session or schedule. */

#include <string.h>

#include "base/cleanup.h"
#include "clients/web/admin/routes.h"
#include "clients/web/core/core.h"

void admin_pause(HttpRequest *request) {
    ask_for(request, NULL, "pause", "s", http_part(request, 2));
}

void admin_resume(HttpRequest *request) {
    ask_for(request, NULL, "resume", "s", http_part(request, 2));
}

/* Purged jobs cannot be restored: the caller repeats the queue's name. */
void admin_purge(HttpRequest *request) {
    CLEANUP(json_decref) json_t *body = input_object(request);
    const char *confirm = body ? input_text(request, body, "confirm") : NULL;

    if (!confirm)
        return;
    if (strcmp(confirm, http_part(request, 2)) != 0)
        http_reply_problem(request, 400, "ferry.InvalidArgument",
                           "'confirm' must repeat the name of the queue");
    else
        ask_for(request, "n", "purge", "s", http_part(request, 2));
}

void admin_set(HttpRequest *request) {
    CLEANUP(json_decref) json_t *body = input_object(request);
    const char *setting = body ? input_text(request, body, "setting") : NULL;
    const char *value = setting ? input_text(request, body, "value") : NULL;

    if (value)
        ask_for(request, NULL, "configure", "sss", http_part(request, 2), setting, value);
}

static void bind_to(HttpRequest *request, const char *method) {
    CLEANUP(json_decref) json_t *body = input_object(request);
    const char *pattern = body ? input_text(request, body, "pattern") : NULL;

    if (pattern)
        ask_for(request, NULL, method, "ss", http_part(request, 2), pattern);
}

void admin_bind(HttpRequest *request) {
    bind_to(request, "bind");
}

void admin_unbind(HttpRequest *request) {
    bind_to(request, "unbind");
}

static void change(HttpRequest *request, const char *method) {
    uint64_t number;

    if (input_number(request, http_part(request, 2), &number))
        ask_for(request, NULL, method, "u", number);
}

void admin_cancel_job(HttpRequest *request) {
    change(request, "cancel");
}

void admin_run_job(HttpRequest *request) {
    change(request, "run_now");
}

void admin_kick(HttpRequest *request) {
    change(request, "kick");
}

void admin_move_job(HttpRequest *request) {
    CLEANUP(json_decref) json_t *body = input_object(request);
    const char *to = body ? input_text(request, body, "to") : NULL;
    uint64_t job;

    if (to && input_number(request, http_part(request, 2), &job))
        ask_for(request, "job", "move_job", "us", job, to);
}

void admin_remove_schedule(HttpRequest *request) {
    ask_for(request, NULL, "remove_schedule", "s", http_part(request, 2));
}
