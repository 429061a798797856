#pragma once

/* The headers of what has come: a message, a job, a request. */

#include <ferry/ferry.h>

enum { HEADERS_MAX = 64 };

typedef ferry_header Header;

/* Fill headers, which has room for HEADERS_MAX; return how many. Lent like what they belong to. */
size_t headers_of_message(const ferry_message *message, Header *headers);
size_t headers_of_job(const ferry_job *job, Header *headers);
size_t headers_of_request(const ferry_request *request, Header *headers);
