/* SPDX-License-Identifier: Apache-2.0 */
/* Looks up the brokers of a URL that has their name, again and again. See link-private.h. */

#include <sys/epoll.h>

#include "rpc/link/client/link-private.h"

/* The resolver does not say how long a list is valid. A client that holds sessions with all brokers
 * looks them up this often. */
enum { LIST_AGAIN_MS = 30000 };

void link_free_listing(Link *link) {
    if (link->listing)
        epoll_ctl(link->epoll_fd, EPOLL_CTL_DEL, lookup_fd(link->listing), NULL);
    link->listing = lookup_free(link->listing);
}

static void ask(Link *link, uint64_t now_ms) {
    int r = lookup_new(&link->listing, link->brokers->name);

    link->listed_ms = now_ms;
    link->list_next_ms = link->keeps_list ? now_ms + LIST_AGAIN_MS : UINT64_MAX;
    /* If the descriptor is not watched, the next turn sees the result. */
    if (r == 0)
        r = link_watch(link, lookup_fd(link->listing));
    if (r < 0)
        link_doubt_list(link, now_ms);
}

/* The link keeps its broker, even if it is not in the new list. */
static void use_list(Link *link, EndpointList *list) {
    link->at = endpoint_list_index(list, link->url);
    link->brokers = list;
}

/* A refusal counts for the broker, wherever it is in the new list. */
static uint32_t refused_in(const Link *link, const EndpointList *list) {
    uint32_t refused = 0;

    for (unsigned i = 0; i < link->brokers->n; i++) {
        unsigned at = endpoint_list_index(list, link->brokers->urls[i]);

        if (link->refused >> i & 1 && at < list->n)
            refused |= UINT32_C(1) << at;
    }
    return refused;
}

static void replace_list(Link *link, EndpointList *list, uint64_t now_ms) {
    EndpointList *before = link->brokers;

    link_arrange(list);
    link->refused = refused_in(link, list);
    use_list(link, list);
    if (link->leaving)
        use_list(link->leaving, list);
    endpoint_list_free(before);
    /* The broker that is tried has left the list: another one may answer at once. */
    if (link->at == list->n && !link->transport && !link->waits_for_address)
        link->next_attempt_ms = now_ms;
}

/* If the lookup fails, the brokers of the previous one stay in use. */
static void take_list(Link *link, uint64_t now_ms) {
    CLEANUP(endpoint_list_free) EndpointList *list = NULL;
    bool is_found = lookup_endpoint(link->listing, 0) &&
                    endpoint_list_found(&list, link->brokers, link->listing) == 0;
    bool waits = link->waits_for_list;

    if (is_found)
        replace_list(link, steal(&list), now_ms);
    if (is_found && waits) {
        link->waits_for_list = false;
        link_free_listing(link);
        link_attempt(link, now_ms);
    } else if (waits) {
        link_end(link, RETRY, "ferry.NotConnected", "cannot find the brokers of %s: %s", link->url,
                 lookup_problem(link->listing));
    }
    link_free_listing(link);
}

void link_process_list(Link *link, uint64_t now_ms) {
    if (link->listing && lookup_is_done(link->listing))
        take_list(link, now_ms);
    else if (!link->listing && now_ms >= link->list_next_ms)
        ask(link, now_ms);
}

void link_keep_list(Link *link) {
    link->keeps_list = link->brokers->name != NULL;
    if (link->keeps_list && link->list_next_ms > link->listed_ms + LIST_AGAIN_MS)
        link->list_next_ms = link->listed_ms + LIST_AGAIN_MS;
}
