/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of a message, a job or a request. See headers.h. */

#include "clients/json/headers.h"

size_t headers_of_message(const ferry_message *message, ferry_header *headers) {
    const char *name = NULL;
    size_t n = 0;

    while (n < HEADERS_MAX && (name = ferry_message_header_after(message, name)))
        headers[n++] = (ferry_header){name, ferry_message_header(message, name)};
    return n;
}

size_t headers_of_job(const ferry_job *job, ferry_header *headers) {
    const char *name = NULL;
    size_t n = 0;

    while (n < HEADERS_MAX && (name = ferry_job_header_after(job, name)))
        headers[n++] = (ferry_header){name, ferry_job_header(job, name)};
    return n;
}

size_t headers_of_request(const ferry_request *request, ferry_header *headers) {
    const char *name = NULL;
    size_t n = 0;

    while (n < HEADERS_MAX && (name = ferry_request_header_after(request, name)))
        headers[n++] = (ferry_header){name, ferry_request_header(request, name)};
    return n;
}
