/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of all brokers. See brokers.h. */

#include "clients/cli/run/brokers.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/address/endpoint-list.h"

enum { CONNECT_MS = 3000 };

typedef struct OneBroker {
    ferry_client *client; /* NULL: not opened yet */
    bool is_up;
    char problem[256]; /* why it cannot be reached; "": it was not tried, or is up */
} OneBroker;

/* The brokers in the order of the URL. */
struct CliBrokers {
    EndpointList *list;
    OneBroker each[BROKERS_MAX];
};

/* Reads the URL, and looks up the brokers of its name. If it finds no broker, the caller asks
 * through the client, whose error says so. */
static int read_list(Cli *cli, EndpointList **ret) {
    CLEANUP(endpoint_list_free) EndpointList *list = NULL;
    int r = endpoint_list_new(&list, cli_url(cli), NULL);

    if (r == 0 && list->name)
        return endpoint_list_find(ret, list, CONNECT_MS, NULL);
    if (r == 0)
        *ret = steal(&list);
    return r;
}

static struct CliBrokers *brokers_of(Cli *cli) {
    struct CliBrokers *brokers = cli->brokers;

    if (brokers)
        return brokers;
    brokers = calloc(1, sizeof(*brokers));
    /* cli_open() has accepted the URL. */
    if (!brokers || read_list(cli, &brokers->list) < 0) {
        free(brokers);
        return NULL;
    }
    cli->brokers = brokers;
    return brokers;
}

void brokers_close(Cli *cli) {
    struct CliBrokers *brokers = cli->brokers;

    if (!brokers)
        return;
    for (unsigned i = 0; i < brokers->list->n; i++)
        ferry_close(brokers->each[i].client);
    endpoint_list_free(brokers->list);
    free(brokers);
    cli->brokers = NULL;
}

/* ---- asking ---- */

static void note_event(int event, const ferry_error *error, void *ctx) {
    OneBroker *one = ctx;

    if (event == FERRY_EVENT_UP) {
        one->is_up = true;
        *one->problem = '\0';
    } else if (error && event != FERRY_EVENT_UNDESCRIBED && event != FERRY_EVENT_MISSED) {
        one->is_up = false;
        snprintf(one->problem, sizeof(one->problem), "%s", error->message);
    }
}

/* Connects to one broker, or waits for the result of an attempt. True: it is up. */
static bool reach(const Cli *cli, const char *url, OneBroker *one) {
    const ferry_options options = {.name = "ferry",
                                   .key_file = cli->key_file,
                                   .server_key = cli->server_key,
                                   .n_headers = cli->n_headers,
                                   .headers = cli->headers,
                                   .on_event = note_event,
                                   .ctx = one};
    uint64_t until_ms = clock_ms() + CONNECT_MS;
    struct pollfd input = {.events = POLLIN};

    /* cli_open() has used the same options. */
    if (!one->client && ferry_open(url, &options, &one->client, NULL) < 0)
        return false;
    *one->problem = '\0';
    input.fd = ferry_fd(one->client);
    do
        ferry_process(one->client, NULL);
    while (!one->is_up && !*one->problem && clock_ms() < until_ms && poll(&input, 1, 100) >= 0);
    return one->is_up;
}

static int ask_one(Cli *cli, ferry_client *client, bool quiet, json_t **ret, const char *method,
                   const char *name) {
    return name ? cli_manage(cli, client, quiet, ret, method, "s", name)
                : cli_manage(cli, client, quiet, ret, method, "");
}

static void add_result(json_t *all, json_t *result, const char *url) {
    json_t *row;
    size_t i;

    if (!json_is_array(result)) {
        json_object_set_new(result, "broker", json_string(url));
        json_array_append(all, result);
        return;
    }
    json_array_foreach(result, i, row) {
        json_object_set_new(row, "broker", json_string(url));
        json_array_append(all, row);
    }
}

/* True: an address before this one has led to the same broker. */
static bool is_twin(const struct CliBrokers *brokers, unsigned i) {
    uint8_t id[FERRY_BROKER_ID], other[FERRY_BROKER_ID];

    if (ferry_broker_id(brokers->each[i].client, id) < 0)
        return false;
    for (unsigned j = 0; j < i; j++)
        if (brokers->each[j].client && ferry_broker_id(brokers->each[j].client, other) == 0 &&
            memcmp(id, other, sizeof(id)) == 0)
            return true;
    return false;
}

/* Asks one broker of several. Returns an exit status. */
static int ask_at(Cli *cli, struct CliBrokers *brokers, unsigned i, bool quiet, json_t *all,
                  const char *method, const char *name) {
    CLEANUP(json_decref) json_t *result = NULL;
    OneBroker *one = &brokers->each[i];
    const char *url = brokers->list->urls[i];
    int status;

    if (!reach(cli, url, one)) {
        if (!quiet)
            cli_note(cli, "left out: %s", *one->problem ? one->problem : url);
        return EXIT_CONNECT;
    }
    if (is_twin(brokers, i))
        return EXIT_OK;
    status = ask_one(cli, one->client, true, &result, method, name);
    if (status == EXIT_OK)
        add_result(all, result, url);
    return status;
}

int brokers_ask(Cli *cli, ferry_client *client, bool quiet, json_t **ret, const char *method,
                const char *name) {
    struct CliBrokers *brokers = brokers_of(cli);
    int status = EXIT_OK, n_ok = 0;
    json_t *all;

    if (!brokers || brokers->list->n < 2)
        return ask_one(cli, client, quiet, ret, method, name);
    all = json_array();
    for (unsigned i = 0; i < brokers->list->n; i++) {
        int one = ask_at(cli, brokers, i, quiet, all, method, name);

        n_ok += one == EXIT_OK;
        status = one == EXIT_OK ? status : one;
    }
    if (n_ok > 0) {
        *ret = all;
        return EXIT_OK;
    }
    json_decref(all);
    /* Prints the error of the broker that the client uses. */
    return quiet ? status : ask_one(cli, client, false, ret, method, name);
}

/* ---- sums ---- */

static json_t *sum(const json_t *one, const json_t *other) {
    json_t *list;

    if (json_is_integer(one) && json_is_integer(other))
        return json_integer(json_integer_value(one) + json_integer_value(other));
    if (!json_is_array(one) || !json_is_array(other))
        return json_incref((json_t *)(uintptr_t)one);
    list = json_array();
    for (size_t i = 0; i < json_array_size(one); i++)
        json_array_append_new(list, sum(json_array_get(one, i), json_array_get(other, i)));
    return list;
}

json_t *brokers_total(const json_t *results) {
    json_t *total = json_deep_copy(json_array_get(results, 0)), *value;
    const char *key;

    for (size_t i = 1; i < json_array_size(results); i++)
        json_object_foreach(json_array_get(results, i), key, value) {
            const json_t *before = json_object_get(total, key);

            if (strcmp(key, "uptime_ms") != 0)
                json_object_set_new(total, key, before ? sum(before, value) : json_incref(value));
        }
    json_object_del(total, "broker");
    return total;
}
