/* SPDX-License-Identifier: Apache-2.0 */
/* Name resolution with a deadline. See resolve.h. */

#include "cache/connection/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/container.h"

/* Memory to which glibc may still write after the look-up was abandoned. */
typedef struct Resolution {
    struct gaicb gai;
    struct Resolution *next; /* in `abandoned` */
    struct addrinfo hints;
    char port[8];
    char name[];
} Resolution;

static int take(Resolve *resolve, int r, struct addrinfo *found) {
    if (r == 0 && found) {
        if (resolve->found)
            freeaddrinfo(resolve->found);
        resolve->found = resolve->at = found;
        return 0;
    }
    return r == EAI_MEMORY ? -ENOMEM : -ENOENT;
}

int resolve_begin(Resolve *resolve, const CacheHost *host) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    size_t len = strlen(host->name) + 1;
    struct addrinfo *found = NULL;
    Resolution *asked;
    char port[8];

    if (resolve->asked)
        return resolve_poll(resolve, 0);
    snprintf(port, sizeof(port), "%u", host->port);
    if (getaddrinfo(host->name, port, &hints, &found) == 0)
        return take(resolve, 0, found);

    asked = calloc(1, sizeof(*asked) + len);
    if (!asked)
        return -ENOMEM;
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    asked->hints = hints;
    memcpy(asked->name, host->name, len);
    memcpy(asked->port, port, sizeof(port));
    asked->gai = (struct gaicb){
        .ar_name = asked->name, .ar_service = asked->port, .ar_request = &asked->hints};
    if (getaddrinfo_a(GAI_NOWAIT, &(struct gaicb *){&asked->gai}, 1, NULL) != 0) {
        free(asked);
        return -ENOMEM;
    }
    resolve->asked = &asked->gai;
    return -EINPROGRESS;
}

int resolve_poll(Resolve *resolve, uint64_t until_ns) {
    const struct gaicb *list = resolve->asked;
    uint64_t now = clock_ns();
    struct addrinfo *found;
    int r;

    if (gai_error(resolve->asked) == EAI_INPROGRESS && until_ns > now) {
        struct timespec wait = {.tv_sec = (time_t)((until_ns - now) / 1000000000),
                                .tv_nsec = (long)((until_ns - now) % 1000000000)};

        gai_suspend(&list, 1, &wait);
    }
    r = gai_error(resolve->asked);
    if (r == EAI_INPROGRESS)
        return -EINPROGRESS;
    found = resolve->asked->ar_result;
    free(resolve->asked);
    resolve->asked = NULL;
    return take(resolve, r, found);
}

/* ---- abandoned look-ups ---- */

/* glibc's thread may still write to their memory. */
static Resolution *abandoned;
static pthread_mutex_t abandoned_lock = PTHREAD_MUTEX_INITIALIZER;

static void resolution_free(Resolution *asked) {
    if (asked->gai.ar_result && gai_error(&asked->gai) == 0)
        freeaddrinfo(asked->gai.ar_result);
    free(asked);
}

/* Also frees earlier look-ups that have ended. */
static void abandon(Resolution *asked) {
    Resolution **at = &abandoned;

    pthread_mutex_lock(&abandoned_lock);
    asked->next = abandoned;
    abandoned = asked;
    while (*at) {
        Resolution *one = *at;

        if (gai_error(&one->gai) == EAI_INPROGRESS) {
            at = &one->next;
        } else {
            *at = one->next;
            resolution_free(one);
        }
    }
    pthread_mutex_unlock(&abandoned_lock);
}

void resolve_deinit(Resolve *resolve) {
    if (resolve->found)
        freeaddrinfo(resolve->found);
    if (resolve->asked) {
        Resolution *asked = container_of(resolve->asked, Resolution, gai);

        if (gai_cancel(resolve->asked) == EAI_NOTCANCELED)
            abandon(asked);
        else
            resolution_free(asked);
    }
    *resolve = (Resolve){0};
}
