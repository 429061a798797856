/* SPDX-License-Identifier: Apache-2.0 */
/* The brokers that a URL lists. See endpoint-list.h. */

#include "rpc/address/endpoint-list.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "rpc/address/endpoint.h"

static const char query[] = "?prefer=";

/* The comma that ends the URL of a broker; NULL: it is the last one. */
static char *next_comma(char *url) {
    static const char *const begins[] = {"tcp://", "ipc://", "zmq+", "tcp+"};

    for (char *comma = strchr(url, ','); comma; comma = strchr(comma + 1, ','))
        for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++)
            if (strncmp(comma + 1, begins[i], strlen(begins[i])) == 0)
                return comma;
    return NULL;
}

static int cannot_use(const char *url, const char *problem, ferry_error *reterr) {
    char shown[TEXT_ESCAPED_MAX];

    /* A URL for another program may have a password, which must not reach a log. */
    return error_set(reterr, "ferry.Misuse", "'%s' is not the URL of a broker: %s",
                     text_escape_url(shown, url), problem);
}

/* Cuts "?prefer=…" off. */
static int read_prefer(EndpointList *list, ferry_error *reterr) {
    static const char *const names[] = {"any", "local", "order"};
    char *at = strstr(list->text, query);

    if (!at)
        return 0;
    *at = '\0';
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(at + strlen(query), names[i]) == 0) {
            list->prefer = (EndpointPrefer)i;
            list->has_prefer = true;
            return 0;
        }
    return error_set(reterr, "ferry.Misuse",
                     "the URL ends in ?prefer=, which is followed by any, local or order");
}

static bool is_over_libzmq(const char *url) {
    return endpoint_after_transport(url) != url;
}

static const char name_of_all[] =
    "it is the name of all brokers: a URL has no other broker beside it";

static int check_last(const EndpointList *list, ferry_error *reterr) {
    const char *url = list->urls[list->n - 1];
    const char *problem = endpoint_problem(url, ENDPOINT_CONNECT);

    if (lookup_finds_brokers(url))
        problem = name_of_all;
    else if (problem && strncmp(url, "tcp://", 6) == 0 && strchr(url, ','))
        problem = "each broker of a list is a URL: tcp://A:5877,tcp://B:5877";
    if (problem)
        return cannot_use(url, problem, reterr);
    if (is_over_libzmq(url) != is_over_libzmq(list->urls[0]))
        return error_set(
            reterr, "ferry.Misuse",
            "the URL has 'zmq+' in front of some of its brokers: write it in front of all of "
            "them, or leave it out");
    for (unsigned i = 0; i + 1 < list->n; i++)
        if (strcmp(list->urls[i], url) == 0)
            return error_set(reterr, "ferry.Misuse", "the URL lists the broker '%s' twice", url);
    return 0;
}

/* A URL that has the name of its brokers. */
static int read_name(EndpointList *list, ferry_error *reterr) {
    const char *problem = next_comma(list->text) ? name_of_all : lookup_problem_of(list->text);

    list->name = list->text;
    return problem ? cannot_use(list->text, problem, reterr) : 0;
}

static int read_list(EndpointList *list, ferry_error *reterr) {
    char *comma;
    int r = 0;

    for (char *at = list->text; r == 0 && at; at = comma ? comma + 1 : NULL) {
        comma = next_comma(at);
        if (comma)
            *comma = '\0';
        if (list->n == BROKERS_MAX)
            return error_set(reterr, "ferry.Misuse", "the URL lists more than %d brokers",
                             BROKERS_MAX);
        list->urls[list->n++] = at;
        r = check_last(list, reterr);
    }
    return r;
}

static EndpointList *list_alloc(size_t size) {
    EndpointList *list = malloc(sizeof(*list) + size);

    if (list)
        *list = (EndpointList){.n = 0};
    return list;
}

int endpoint_list_new(EndpointList **ret, const char *url, ferry_error *reterr) {
    CLEANUP(endpoint_list_free) EndpointList *list = list_alloc(strlen(url) + 1);
    int r;

    if (!list)
        return error_set_code(reterr, -ENOMEM, NULL);
    strcpy(list->text, url);
    r = read_prefer(list, reterr);
    if (r == 0)
        r = lookup_finds_brokers(list->text) ? read_name(list, reterr) : read_list(list, reterr);
    if (r == 0)
        *ret = steal(&list);
    return r;
}

static char *add_text(char **at, const char *text) {
    char *to = *at;

    strcpy(to, text);
    *at += strlen(text) + 1;
    return to;
}

int endpoint_list_found(EndpointList **ret, const EndpointList *named, const Lookup *lookup) {
    size_t size = strlen(named->name) + 1;
    const char *url;
    EndpointList *list;
    char *at;

    for (unsigned i = 0; (url = lookup_endpoint(lookup, i)); i++)
        size += strlen(url) + 1;
    list = list_alloc(size);
    if (!list)
        return -ENOMEM;
    list->prefer = named->prefer;
    list->has_prefer = named->has_prefer;
    list->number = named->number + 1;
    at = list->text;
    list->name = add_text(&at, named->name);
    for (unsigned i = 0; (url = lookup_endpoint(lookup, i)); i++)
        if (endpoint_list_index(list, url) == list->n && list->n < BROKERS_MAX)
            list->urls[list->n++] = add_text(&at, url);
    *ret = list;
    return 0;
}

int endpoint_list_find(EndpointList **ret, const EndpointList *named, uint64_t timeout_ms,
                       ferry_error *reterr) {
    CLEANUP(lookup_free) Lookup *lookup = NULL;
    int r = lookup_new(&lookup, named->name);
    struct pollfd done = {.events = POLLIN};

    if (r < 0)
        return error_set_code(reterr, r, NULL);
    done.fd = lookup_fd(lookup);
    while (poll(&done, 1, (int)timeout_ms) < 0 && errno == EINTR)
        ;
    if (!lookup_is_done(lookup) || !lookup_endpoint(lookup, 0))
        return error_set(
            reterr, "ferry.NotConnected", "cannot find the brokers of %s: %s", named->name,
            lookup_is_done(lookup) ? lookup_problem(lookup) : "no name server answers");
    r = endpoint_list_found(ret, named, lookup);
    return r < 0 ? error_set_code(reterr, r, NULL) : 0;
}

bool endpoint_list_is_local(const EndpointList *list) {
    bool is_local = list->name == NULL;

    for (unsigned i = 0; i < list->n; i++)
        is_local &= strncmp(endpoint_after_transport(list->urls[i]), "ipc://", 6) == 0;
    return is_local;
}

unsigned endpoint_list_index(const EndpointList *list, const char *url) {
    unsigned i = 0;

    while (i < list->n && strcmp(list->urls[i], url) != 0)
        i++;
    return i;
}

EndpointList *endpoint_list_free(EndpointList *list) {
    free(list);
    return NULL;
}

static void swap(const char **one, const char **other) {
    const char *before = *one;

    *one = *other;
    *other = before;
}

static void move_up(const char **urls, unsigned from, unsigned to) {
    const char *url = urls[from];

    memmove(&urls[to + 1], &urls[to], (from - to) * sizeof(*urls));
    urls[to] = url;
}

/* The order of SRV records has been chosen by their priorities and weights. */
static bool has_priorities(const EndpointList *list) {
    return list->name && strncmp(list->name, "tcp+srv://", 10) == 0;
}

void endpoint_list_arrange(EndpointList *list, const uint64_t *random) {
    unsigned n_local = 0;

    if (list->prefer == PREFER_ANY && has_priorities(list))
        list->prefer = PREFER_ORDER;
    if (list->prefer == PREFER_ORDER)
        return;
    for (unsigned i = list->n; i > 1 && !has_priorities(list); i--)
        swap(&list->urls[i - 1], &list->urls[random[i - 1] % i]);
    for (unsigned i = 0; i < list->n && list->prefer == PREFER_LOCAL; i++)
        if (endpoint_is_local(endpoint_after_transport(list->urls[i])))
            move_up(list->urls, i, n_local++);
}
