/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Functions that all handlers of this service use. */

#include "dns.h"
#include "resolver.h"

/* Answers that a question had no result; r: the error of resolver_ask(), or rcode: the server's. */
int dns_throw_failure(ferry_request *request, const char *domain, int r, int rcode);

int mail(ferry_request *request, const char *domain, void *ctx);
int whois(ferry_request *request, const char *domain, const char *server, void *ctx);
