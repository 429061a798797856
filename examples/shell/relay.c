/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's streams while a command runs. No function here waits for only one direction. */

#include <time.h>
#include <unistd.h>

#include "shell-server.h"

enum { PAUSE_US = 2000 };

static uint64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The loops below poll the stream. Watching it makes yield and receive return at once instead of
 * waiting. */
static void ignore(ferry_request *request, void *ctx) {
    (void)request;
    (void)ctx;
}

int relay_begin(Relay *relay, ferry_request *request, RelayKind kind, int32_t limit_ms) {
    *relay = (Relay){.request = request, .kind = kind, .limit_ms = limit_ms};
    if (limit_ms < 1 || limit_ms > SHELL_LIMIT_MAX_MS)
        return -EINVAL;
    relay->ends_ms = now_ms() + (uint64_t)limit_ms;
    return ferry_request_watch(request, ignore, NULL);
}

void relay_end(Relay *relay) {
    relay->input = ferry_free(relay->input);
}

int relay_look(Relay *relay) {
    if (ferry_request_cancelled(relay->request)) /* this reads new messages, too */
        return -ECANCELED;
    return now_ms() < relay->ends_ms ? 0 : -ETIMEDOUT;
}

int relay_fetch(Relay *relay) {
    int r;

    if (relay->input && relay->at < relay->input->len)
        return 1;
    relay->input = ferry_free(relay->input);
    relay->at = 0;
    if (relay->input_ended)
        return 0;
    r = relay->kind == RELAY_RUN ? shell_run_receive(relay->request, &relay->input)
                                 : shell_ssh_receive(relay->request, &relay->input);
    if (r == -EAGAIN)
        return 0;
    if (r == 0)
        relay->input_ended = true;
    return r > 0 ? relay->input->len > 0 : r;
}

static int put(Relay *relay, const shell_output *output) {
    int r;

    for (;;) {
        r = relay->kind == RELAY_RUN ? shell_run_yield(relay->request, output)
                                     : shell_ssh_yield(relay->request, output);
        if (r != -EAGAIN)
            return r;
        r = relay_look(relay);
        if (r < 0)
            return r;
        usleep(PAUSE_US);
    }
}

int relay_put(Relay *relay, bool is_err, const void *data, size_t len) {
    shell_output output = {.which = is_err ? SHELL_OUTPUT_ERR : SHELL_OUTPUT_OUT};

    if (is_err)
        output.err = ferry_bytes_of(data, len);
    else
        output.out = ferry_bytes_of(data, len);
    return put(relay, &output);
}

int relay_put_exit(Relay *relay, const shell_exit *exit) {
    shell_output output = {.which = SHELL_OUTPUT_EXIT};

    output.exit = *exit;
    return put(relay, &output);
}

int relay_fail(Relay *relay, int r) {
    char message[80];

    if (r != -ETIMEDOUT)
        return ferry_request_fail(relay->request, r, NULL);
    snprintf(message, sizeof(message), "killed after its limit of %d ms", relay->limit_ms);
    return shell_throw_time_limit(relay->request, &(shell_time_limit){relay->limit_ms, message});
}
