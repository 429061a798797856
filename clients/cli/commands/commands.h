/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The commands; each is in the file of its name. */

#include "clients/cli/run/cli.h"

extern const Command command_auth, command_bench, command_broker, command_cache, command_caches,
    command_call, command_complete, command_completion, command_context, command_describe,
    command_gather, command_gateway, command_help, command_job, command_key, command_ping,
    command_pipeline, command_pub, command_push, command_queue, command_reload, command_schedule,
    command_serve, command_services, command_session, command_sessions, command_shards,
    command_stats, command_store, command_sub, command_tap, command_top, command_topics,
    command_web, command_work;
