/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the answer of a name server: read, or refused with a cause. Each record that is read
 * has a host and a port that can be used. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/address/endpoint.h"
#include "rpc/address/srv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* The parser must not read beyond the end of the input, which a sanitizer sees in a block. */
    uint8_t *bytes = malloc(size ? size : 1);
    SrvAnswer answer = {.n = 0};
    uint64_t random[SRV_RECORDS_MAX];

    if (!bytes)
        return 0;
    if (size > 0)
        memcpy(bytes, data, size);
    for (size_t i = 0; i < SRV_RECORDS_MAX; i++)
        random[i] = size > 0 ? bytes[i % size] * (i + 1) : i;
    if (srv_read(bytes, size, &answer) < 0) {
        if (!*answer.problem)
            abort();
        free(bytes);
        return 0;
    }
    free(bytes);
    if (answer.n == 0 || answer.n > SRV_RECORDS_MAX)
        abort();
    srv_arrange(&answer, random);
    for (unsigned i = 0; i < answer.n; i++) {
        char url[SRV_TARGET_SIZE + 16];

        snprintf(url, sizeof(url), "tcp://%s:%u", answer.records[i].target, answer.records[i].port);
        if (endpoint_problem(url, ENDPOINT_CONNECT))
            abort();
        if (i > 0 && answer.records[i].priority < answer.records[i - 1].priority)
            abort();
    }
    return 0;
}
