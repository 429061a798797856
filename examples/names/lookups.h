/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Services, protocols, address formats and byte orders: the handlers that use no resolver. */

#include "names.h"

/* AF_UNSPEC, AF_INET, AF_INET6; -1 for another number. */
int names_family_bits(names_family family);

/* Answers that value is not within 0 to high. */
int names_throw_range(ferry_request *request, int64_t value, int64_t high);

int lookup_service(ferry_request *request, const char *service, const char *protocol, void *ctx);
int lookup_port(ferry_request *request, int32_t port, const char *protocol, void *ctx);
int lookup_protocol(ferry_request *request, const char *protocol, void *ctx);
int lookup_pton(ferry_request *request, names_family family, const char *address, void *ctx);
int lookup_ntop(ferry_request *request, names_family family, ferry_bytes packed, void *ctx);
int swap_16(ferry_request *request, int32_t value, void *ctx);
int swap_16_back(ferry_request *request, int32_t value, void *ctx);
int swap_32(ferry_request *request, int64_t value, void *ctx);
int swap_32_back(ferry_request *request, int64_t value, void *ctx);
