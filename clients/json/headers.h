/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The headers of a message, a job or a request. */

#include <ferry/ferry.h>

enum { HEADERS_MAX = 64 };

/* Fill headers, which has room for HEADERS_MAX, and return the number. The texts live as long as
 * the object. */
size_t headers_of_message(const ferry_message *message, ferry_header *headers);
size_t headers_of_job(const ferry_job *job, ferry_header *headers);
size_t headers_of_request(const ferry_request *request, ferry_header *headers);
