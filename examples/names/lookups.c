/* SPDX-License-Identifier: Apache-2.0 */
/* Services, protocols, address formats and byte orders. See lookups.h. */

#include "lookups.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <netdb.h>

enum { BUFFER = 4096 };

int names_family_bits(names_family family) {
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};

    return family >= 0 && family <= NAMES_FAMILY_INET6 ? families[family] : -1;
}

int names_throw_range(ferry_request *request, int64_t value, int64_t high) {
    char message[80];

    snprintf(message, sizeof(message), "%" PRId64 " is not within 0 to %" PRId64, value, high);
    return names_throw_out_of_range(request, &(names_out_of_range){value, 0, high, message});
}

static int no_service(ferry_request *request, const char *service, const char *protocol) {
    return names_throw_no_such_service(
        request,
        &(names_no_such_service){service, protocol ? protocol : "", "service/protocol not found"});
}

int lookup_service(ferry_request *request, const char *service, const char *protocol, void *ctx) {
    struct servent entry, *found = NULL;
    char buffer[BUFFER];

    (void)ctx;
    if (getservbyname_r(service, protocol, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
        return no_service(request, service, protocol);
    return names_getservbyname_return(request, ntohs((uint16_t)found->s_port));
}

int lookup_port(ferry_request *request, int32_t port, const char *protocol, void *ctx) {
    struct servent entry, *found = NULL;
    char buffer[BUFFER], digits[16];

    (void)ctx;
    if (port < 0 || port > UINT16_MAX)
        return names_throw_range(request, port, UINT16_MAX);
    snprintf(digits, sizeof(digits), "%d", port);
    if (getservbyport_r(htons((uint16_t)port), protocol, &entry, buffer, sizeof(buffer), &found) !=
            0 ||
        !found)
        return no_service(request, digits, protocol);
    return names_getservbyport_return(request, found->s_name);
}

int lookup_protocol(ferry_request *request, const char *protocol, void *ctx) {
    struct protoent entry, *found = NULL;
    char buffer[BUFFER], small[64];
    size_t n = strlen(protocol);

    (void)ctx;
    for (size_t i = 0; i <= n && i < sizeof(small); i++)
        small[i] = (char)tolower((unsigned char)protocol[i]);
    if (n >= sizeof(small) ||
        getprotobyname_r(small, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
        return names_throw_no_such_protocol(
            request, &(names_no_such_protocol){protocol, "protocol not found"});
    return names_getprotobyname_return(request, found->p_proto);
}

/* ---- addresses ---- */

int lookup_pton(ferry_request *request, names_family family, const char *address, void *ctx) {
    unsigned char packed[16];

    (void)ctx;
    if (family == NAMES_FAMILY_ANY || inet_pton(names_family_bits(family), address, packed) != 1)
        return names_throw_bad_address(
            request, &(names_bad_address){address, NULL, NULL,
                                          family == NAMES_FAMILY_INET    ? "not an IPv4 address"
                                          : family == NAMES_FAMILY_INET6 ? "not an IPv6 address"
                                                                         : "no family is given"});
    return names_inet_pton_return(request,
                                  ferry_bytes_of(packed, family == NAMES_FAMILY_INET ? 4 : 16));
}

int lookup_ntop(ferry_request *request, names_family family, ferry_bytes packed, void *ctx) {
    const int32_t received = (int32_t)packed.len, expected = family == NAMES_FAMILY_INET ? 4 : 16;
    char text[INET6_ADDRSTRLEN];

    (void)ctx;
    if (received != expected ||
        !inet_ntop(names_family_bits(family), packed.data, text, sizeof(text))) {
        snprintf(text, sizeof(text), "%d bytes, instead of %d", received, expected);
        return names_throw_bad_address(request,
                                       &(names_bad_address){"", &received, &expected, text});
    }
    return names_inet_ntop_return(request, text);
}

/* ---- byte orders ---- */

int swap_16(ferry_request *request, int32_t value, void *ctx) {
    (void)ctx;
    if (value < 0 || value > UINT16_MAX)
        return names_throw_range(request, value, UINT16_MAX);
    return names_htons_return(request, htons((uint16_t)value));
}

int swap_16_back(ferry_request *request, int32_t value, void *ctx) {
    (void)ctx;
    if (value < 0 || value > UINT16_MAX)
        return names_throw_range(request, value, UINT16_MAX);
    return names_ntohs_return(request, ntohs((uint16_t)value));
}

int swap_32(ferry_request *request, int64_t value, void *ctx) {
    (void)ctx;
    if (value < 0 || value > UINT32_MAX)
        return names_throw_range(request, value, UINT32_MAX);
    return names_htonl_return(request, htonl((uint32_t)value));
}

int swap_32_back(ferry_request *request, int64_t value, void *ctx) {
    (void)ctx;
    if (value < 0 || value > UINT32_MAX)
        return names_throw_range(request, value, UINT32_MAX);
    return names_ntohl_return(request, ntohl((uint32_t)value));
}
