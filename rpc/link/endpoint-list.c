/* SPDX-License-Identifier: Apache-2.0 */
/* The brokers that a URL lists. See endpoint-list.h. */

#include "rpc/link/endpoint-list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "rpc/link/endpoint.h"

static const char query[] = "?prefer=";

/* The comma that ends the URL of a broker; NULL: it is the last one. */
static char *next_comma(char *url) {
    static const char *const begins[] = {"tcp://", "ipc://", "zmq+"};

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
            return 0;
        }
    return error_set(reterr, "ferry.Misuse",
                     "the URL ends in ?prefer=, which is followed by any, local or order");
}

static bool is_over_libzmq(const char *url) {
    return endpoint_after_transport(url) != url;
}

static int check_last(const EndpointList *list, ferry_error *reterr) {
    const char *url = list->urls[list->n - 1];
    const char *problem = endpoint_problem(url, ENDPOINT_CONNECT);

    if (problem && strncmp(url, "tcp://", 6) == 0 && strchr(url, ','))
        problem = "each broker of a list is a URL: tcp://A:5877,tcp://B:5877";
    if (problem)
        return cannot_use(url, problem, reterr);
    if (is_over_libzmq(url) != is_over_libzmq(list->urls[0]))
        return error_set(reterr, "ferry.Misuse",
                         "the URL has 'zmq+' in front of some of its brokers: in front of all of "
                         "them, or of none");
    for (unsigned i = 0; i + 1 < list->n; i++)
        if (strcmp(list->urls[i], url) == 0)
            return error_set(reterr, "ferry.Misuse", "the URL lists the broker '%s' twice", url);
    return 0;
}

int endpoint_list_new(EndpointList **ret, const char *url, ferry_error *reterr) {
    CLEANUP(endpoint_list_free) EndpointList *list = malloc(sizeof(*list) + strlen(url) + 1);
    char *comma;
    int r;

    if (!list)
        return error_set_code(reterr, -ENOMEM, NULL);
    list->n = 0;
    list->prefer = PREFER_ANY;
    strcpy(list->text, url);
    r = read_prefer(list, reterr);
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
    if (r == 0)
        *ret = steal(&list);
    return r;
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

void endpoint_list_arrange(EndpointList *list, const uint64_t *random) {
    unsigned n_local = 0;

    if (list->prefer == PREFER_ORDER)
        return;
    for (unsigned i = list->n; i > 1; i--)
        swap(&list->urls[i - 1], &list->urls[random[i - 1] % i]);
    for (unsigned i = 0; i < list->n && list->prefer == PREFER_LOCAL; i++)
        if (endpoint_is_local(endpoint_after_transport(list->urls[i])))
            swap(&list->urls[n_local++], &list->urls[i]);
}
