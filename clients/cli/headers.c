/* The headers of what has come. See headers.h. */

#include "clients/cli/headers.h"

size_t headers_of_message(const ferry_message *message, Header *headers) {
    size_t n = 0;

    while (n < HEADERS_MAX && ferry_message_header_at(message, n, &headers[n]) > 0)
        n++;
    return n;
}

size_t headers_of_job(const ferry_job *job, Header *headers) {
    size_t n = 0;

    while (n < HEADERS_MAX && ferry_job_header_at(job, n, &headers[n]) > 0)
        n++;
    return n;
}

size_t headers_of_request(const ferry_request *request, Header *headers) {
    size_t n = 0;

    while (n < HEADERS_MAX && ferry_request_header_at(request, n, &headers[n]) > 0)
        n++;
    return n;
}
