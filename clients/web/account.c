/* SPDX-License-Identifier: Apache-2.0 */
/* One user's client. See account.h. */

#include "clients/web/account.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "clients/web/gateway/descriptions.h"
#include "clients/web/gateway/item-streams.h"
#include "clients/web/gateway/items.h"
#include "clients/web/gateway/topic-streams.h"
#include "clients/web/watch/live.h"
#include "clients/web/watch/sampler.h"

static void on_event(int event, const ferry_error *error, void *ctx) {
    Web *web = ctx;

    if (event == FERRY_EVENT_UP) {
        web->is_up = true;
        web->is_away = false;
    } else if (event == FERRY_EVENT_DOWN || event == FERRY_EVENT_RETRY ||
               event == FERRY_EVENT_CLOSED) {
        web->is_up = false;
        web->is_away = true;
        text_copy_safe(web->problem, sizeof(web->problem), error->message);
    }
}

static int open_client(Web *web, const char *url, const ferry_options *options,
                       ferry_error *reterr) {
    const char *told = url ? url : getenv("FERRY_URL");
    char shown[TEXT_ESCAPED_MAX];

    web->url = strdup(text_escape_url(shown, told && *told ? told : "tcp://127.0.0.1:5877"));
    web->sampler = sampler_new(web);
    web->live = live_new(web);
    web->descriptions = descriptions_new(web);
    web->topic_streams = topic_streams_new(web);
    if (!web->url || !web->sampler || !web->live || !web->descriptions || !web->topic_streams)
        return error_set_code(reterr, -ENOMEM, NULL);
    snprintf(web->problem, sizeof(web->problem), "not connected yet");
    return ferry_open(url, options, &web->client, reterr);
}

int account_open(const char *url, const char *key_file, const char *server_key, const char *name,
                 Web **ret, ferry_error *reterr) {
    Web *web = calloc(1, sizeof(*web));
    int r;

    if (!web)
        return error_set_code(reterr, -ENOMEM, NULL);
    r = open_client(web, url,
                    &(ferry_options){.name = name,
                                     .on_event = on_event,
                                     .ctx = web,
                                     .key_file = key_file,
                                     .server_key = server_key},
                    reterr);
    if (r < 0)
        account_free(web);
    else
        *ret = web;
    return r;
}

void account_tick(Web *web, uint64_t now_ms) {
    sampler_tick(web->sampler, now_ms, live_is_watched(web->live));
    live_tick(web->live);
    topic_streams_tick(web->topic_streams, now_ms);
    uploads_tick(web, now_ms);
    item_streams_tick(web, now_ms);
}

void account_disconnect(Web *web) {
    uploads_end(web);
    if (web->client)
        ferry_process(web->client, NULL); /* functions that the end of streams has posted */
    web->client = ferry_close(web->client);
}

Web *account_free(Web *web) {
    account_disconnect(web);
    sampler_free(web->sampler);
    live_free(web->live);
    descriptions_free(web->descriptions);
    topic_streams_free(web->topic_streams);
    free(web->url);
    free(web);
    return NULL;
}
