/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The headers of a message, a job or a request. */

#include <ferry/ferry.h>

enum { HEADERS_MAX = 64 };

typedef ferry_header Header;

/* Fill headers, which has room for HEADERS_MAX, and return the number. The texts live as long as
 * the object. */
size_t headers_of_message(const ferry_message *message, Header *headers);
size_t headers_of_job(const ferry_job *job, Header *headers);
size_t headers_of_request(const ferry_request *request, Header *headers);
