/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The handlers below /api: lists of the broker, and changes to it. */

#include "clients/web/http/server.h"

/* ---- lists.c ---- */

void admin_services(HttpRequest *request);
void admin_topics(HttpRequest *request);
void admin_queues(HttpRequest *request);
void admin_queue(HttpRequest *request);
void admin_jobs(HttpRequest *request);
void admin_job(HttpRequest *request);
void admin_sessions(HttpRequest *request);
void admin_cache_list(HttpRequest *request);
void admin_schedules(HttpRequest *request);
void admin_pipelines(HttpRequest *request);

/* ---- service.c ---- */

void admin_service(HttpRequest *request);

/* ---- actions.c ---- */

void admin_pause(HttpRequest *request);
void admin_resume(HttpRequest *request);
void admin_purge(HttpRequest *request);
void admin_set(HttpRequest *request);
void admin_bind(HttpRequest *request);
void admin_unbind(HttpRequest *request);
void admin_cancel_job(HttpRequest *request);
void admin_run_job(HttpRequest *request);
void admin_move_job(HttpRequest *request);
void admin_kick(HttpRequest *request);
void admin_remove_schedule(HttpRequest *request);

/* ---- bulk.c ---- */

void admin_move(HttpRequest *request);
void admin_retry(HttpRequest *request);
void admin_drop(HttpRequest *request);
