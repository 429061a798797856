/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks. See health.h. */

#include "clients/web/health.h"

#include "clients/web/core/core.h"

void health_of_process(HttpRequest *request) {
    http_reply_json(request, 200, json_pack("{s:s}", "status", "ok"));
}

static void reply_unready(HttpRequest *request, const char *what, const char *why) {
    http_reply_json(request, 503,
                    json_pack("{s:s, s:s, s:i, s:s+, s:[s+]}", "type", "about:blank", "title",
                              "Unready", "status", 503, "detail", what, why, "reasons", what, why));
}

static void on_stats(json_t *stats, const ferry_error *error, void *ctx) {
    const char *degraded = json_string_value(json_object_get(stats, "degraded"));

    if (error)
        reply_unready(ctx,
                      error->code == -ESHUTDOWN ? "draining: " : "the broker: ", error->message);
    else if (json_is_true(json_object_get(stats, "draining")))
        reply_unready(ctx, "draining", "");
    else if (degraded)
        reply_unready(ctx, "a store is degraded: ", degraded);
    else
        http_reply_json(ctx, 200, json_pack("{s:s}", "status", "ready"));
}

void health_of_broker(HttpRequest *request) {
    Web *web = http_ctx(request);

    if (web->is_up)
        ask(web, on_stats, request, "stats", "");
    else
        reply_unready(request, "the broker is lost: ", web->problem);
}
