/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what the server's machine knows of a host and a service.
 *
 *     names-client [HOST [SERVICE]]   default localhost ssh
 */

#include "names.h"

static const char *family_name(names_family family) {
    return family == NAMES_FAMILY_INET6 ? "AF_INET6" : "AF_INET";
}

static void print_infos(const char *title, const names_list_address_info *infos) {
    printf("%s\n", title);
    for (size_t i = 0; i < infos->n; i++) {
        const names_address_info *info = &infos->v[i];

        printf("    (%s, %s, %d, '%s', ('%s', %d))\n", family_name(info->family),
               info->kind == NAMES_KIND_STREAM ? "SOCK_STREAM" : "SOCK_DGRAM", info->protocol,
               info->canonname, info->address, info->port);
    }
}

static int addresses(ferry_client *client, const char *host, const char *service,
                     names_address_flag flag, ferry_error *error) {
    FERRY_AUTO(ferry_free) names_list_address_info *infos = NULL;
    const names_set_address_flag flags = {flag != 0, &flag};
    char title[320];
    int r = names_getaddrinfo(client, host, service, NAMES_FAMILY_ANY, NAMES_KIND_STREAM, 0, &flags,
                              &infos, error);

    snprintf(title, sizeof(title), "getaddrinfo(%s, %s%s%s)", host ? host : "None", service,
             flag ? ", " : "", flag ? names_address_flag_name(flag) : "");
    if (r == 0)
        print_infos(title, infos);
    return r;
}

static int host(ferry_client *client, const char *name, ferry_error *error) {
    FERRY_AUTO(ferry_free) char *own = NULL, *address = NULL, *full = NULL;
    FERRY_AUTO(ferry_free) names_host *entry = NULL;
    FERRY_AUTO(ferry_free) names_name_info *info = NULL;
    int r = names_gethostname(client, &own, error);

    if (r == 0)
        r = names_getfqdn(client, NULL, &full, error);
    if (r == 0)
        printf("gethostname() = %s, getfqdn() = %s\n", own, full);
    if (r == 0)
        r = names_gethostbyname(client, name, &address, error);
    if (r == 0)
        printf("gethostbyname(%s) = %s\n", name, address);
    if (r == 0)
        r = names_gethostbyaddr(client, address, &entry, error);
    if (r == 0)
        printf("gethostbyaddr(%s) = %s, with %zu other names\n", address, entry->name,
               entry->aliases.n);
    if (r == 0)
        r = names_getnameinfo(client, address, 22, &(names_set_name_flag){0, NULL}, &info, error);
    if (r == 0)
        printf("getnameinfo(%s, 22) = %s, %s\n", address, info->host, info->service);
    return r;
}

static int numbers(ferry_client *client, ferry_error *error) {
    static const char *const services[] = {"ssh", "domain", "telnet", "mysql"};
    FERRY_AUTO(ferry_free) char *www = NULL, *text = NULL;
    FERRY_AUTO(ferry_free) ferry_bytes *packed = NULL;
    int32_t number = 0;
    int64_t swapped = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < 4; i++)
        if ((r = names_getservbyname(client, services[i], NULL, &number, error)) == 0)
            printf("%s protocol port: %d\n", services[i], number);
    if (r == 0 && (r = names_getservbyport(client, 80, NULL, &www, error)) == 0 &&
        (r = names_getprotobyname(client, "TCP", &number, error)) == 0)
        printf("getservbyport(80) = %s, getprotobyname(TCP) = %d\n", www, number);
    if (r == 0)
        r = names_inet_pton(client, NAMES_FAMILY_INET6, "::FFFF:204.152.189.116", &packed, error);
    if (r == 0)
        r = names_inet_ntop(client, NAMES_FAMILY_INET6, *packed, &text, error);
    if (r == 0)
        printf("inet_pton(::FFFF:204.152.189.116): %zu bytes; inet_ntop: %s\n", packed->len, text);
    if (r == 0 && (r = names_htonl(client, 1, &swapped, error)) == 0)
        printf("htonl(1) = %lld\n", (long long)swapped);
    return r;
}

int main(int argc, char **argv) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    const char *name = argc > 1 ? argv[1] : "localhost", *service = argc > 2 ? argv[2] : "ssh";
    const names_gai_error *gai;

    if (ferry_open(NULL, &(ferry_options){.name = "names-client"}, &client, &error) < 0 ||
        host(client, name, &error) < 0 ||
        addresses(client, name, service, NAMES_ADDRESS_FLAG_CANONNAME, &error) < 0 ||
        addresses(client, NULL, service, 0, &error) < 0 ||
        addresses(client, NULL, service, NAMES_ADDRESS_FLAG_PASSIVE, &error) < 0 ||
        numbers(client, &error) < 0) {
        if ((gai = names_gai_error_in(&error)))
            fprintf(stderr, "%s: [Errno %d] %s\n", gai->name, gai->code, gai->message);
        else
            ferry_error_print(&error, stderr);
        return 1;
    }
    return 0;
}
