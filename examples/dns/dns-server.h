/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the handlers of this service share. */

#include "dns.h"
#include "resolver.h"

/* Answers that a question led to nothing: r of resolver_ask() or its rcode. */
int dns_throw_failure(ferry_request *request, const char *domain, int r, int rcode);

int mail(ferry_request *request, const char *domain, void *ctx);
int whois(ferry_request *request, const char *domain, const char *server, void *ctx);
