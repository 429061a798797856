/* SPDX-License-Identifier: Apache-2.0 */
/* The example names: every function, flag and failure, against NSD and an /etc/hosts of the test's
 * own. */

#include <arpa/inet.h>
#include <netdb.h>

#include "examples/stage.h"
#include "examples/world.h"
#include "names.h"

static Stage stage;

static const names_address_info *find(const names_list_address_info *infos, const char *address) {
    for (size_t i = 0; infos && i < infos->n; i++)
        if (strcmp(infos->v[i].address, address) == 0)
            return &infos->v[i];
    return NULL;
}

/* Looks up TCP port 80 with up to two flags (0: no flag). */
static int look_up(const char *host, const char *service, names_family family,
                   names_address_flag flag, names_address_flag other,
                   names_list_address_info **ret) {
    const names_address_flag v[] = {flag, other};
    const names_set_address_flag flags = {(flag != 0) + (other != 0), v};

    return names_getaddrinfo(stage.client, host, service, family, NAMES_KIND_STREAM, 0, &flags, ret,
                             &stage.error);
}

static void expect_gai(int r, int code, const char *name) {
    const names_gai_error *e = names_gai_error_in(&stage.error);

    CU_ASSERT_EQUAL(r, -EREMOTEIO);
    CU_ASSERT(e && e->code == code && strcmp(e->name, name) == 0 &&
              strcmp(e->message, gai_strerror(code)) == 0);
}

/* ---- the hazard: the old call knows IPv4 alone ---- */

static void gethostbyname_misses_hosts_with_ipv6_alone(void) {
    names_list_address_info *infos = NULL;
    char *address = NULL;

    CU_ASSERT_PTR_NULL(gethostbyname("six.example.test"));
    expect_gai(names_gethostbyname(stage.client, "six.example.test", &address, &stage.error),
               EAI_NODATA, "EAI_NODATA");
    CU_ASSERT_EQUAL(look_up("six.example.test", "80", NAMES_FAMILY_ANY, 0, 0, &infos), 0);
    CU_ASSERT(infos && infos->n == 1 && find(infos, "::1"));
    ferry_free(infos);
}

/* ---- hosts ---- */

static void hosts_come_from_the_file_and_from_dns(void) {
    char *text = NULL, own[256] = "";

    gethostname(own, sizeof(own) - 1);
    CU_ASSERT_EQUAL(names_gethostname(stage.client, &text, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(text, own);
    text = ferry_free(text);
    CU_ASSERT_EQUAL(names_gethostbyname(stage.client, "annie", &text, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(text, "127.0.0.2");
    text = ferry_free(text);
    CU_ASSERT_EQUAL(names_gethostbyname(stage.client, "four.example.test", &text, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(text, "127.0.0.4");
    text = ferry_free(text);
    CU_ASSERT_EQUAL(names_getfqdn(stage.client, "anna", &text, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(text, "anna.lan.test");
    text = ferry_free(text);
    CU_ASSERT_EQUAL(names_getfqdn(stage.client, "nowhere.example.test", &text, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(text, "nowhere.example.test");
    text = ferry_free(text);
    CU_ASSERT_EQUAL(names_getfqdn(stage.client, NULL, &text, &stage.error), 0);
    ferry_free(text);
}

static void addresses_have_names_and_aliases(void) {
    const names_host_error *e;
    names_host *host = NULL;

    CU_ASSERT_EQUAL(names_gethostbyaddr(stage.client, "127.0.0.2", &host, &stage.error), 0);
    CU_ASSERT(host && strcmp(host->name, "anna.lan.test") == 0 && host->aliases.n == 2 &&
              strcmp(host->aliases.v[1], "annie") == 0 && host->addresses.n == 1 &&
              strcmp(host->addresses.v[0], "127.0.0.2") == 0);
    host = (names_host *)ferry_free(host);
    CU_ASSERT_EQUAL(names_gethostbyaddr(stage.client, "127.0.0.4", &host, &stage.error), 0);
    CU_ASSERT(host && strcmp(host->name, "four.example.test") == 0 && host->aliases.n == 0);
    host = (names_host *)ferry_free(host);
    CU_ASSERT_EQUAL(names_gethostbyaddr(stage.client, "127.0.0.99", &host, &stage.error),
                    -EREMOTEIO);
    e = names_host_error_in(&stage.error);
    CU_ASSERT(e && e->code == HOST_NOT_FOUND && strcmp(e->message, hstrerror(HOST_NOT_FOUND)) == 0);
}

/* ---- the seven flags of getaddrinfo ---- */

static void passive_is_the_wildcard(void) {
    names_list_address_info *infos = NULL;

    CU_ASSERT_EQUAL(look_up(NULL, "ssh", NAMES_FAMILY_ANY, 0, 0, &infos), 0);
    CU_ASSERT(infos && infos->n == 2 && find(infos, "127.0.0.1") && find(infos, "::1"));
    CU_ASSERT(infos && infos->v[0].port == 22 && infos->v[0].protocol == IPPROTO_TCP &&
              infos->v[0].kind == NAMES_KIND_STREAM);
    infos = (names_list_address_info *)ferry_free(infos);
    CU_ASSERT_EQUAL(look_up(NULL, "ssh", NAMES_FAMILY_ANY, NAMES_ADDRESS_FLAG_PASSIVE, 0, &infos),
                    0);
    CU_ASSERT(infos && infos->n == 2 && find(infos, "0.0.0.0") && find(infos, "::"));
    ferry_free(infos);
}

static void canonname_is_that_of_the_first(void) {
    names_list_address_info *infos = NULL;

    CU_ASSERT_EQUAL(look_up("www.example.test", "http", NAMES_FAMILY_INET,
                            NAMES_ADDRESS_FLAG_CANONNAME, 0, &infos),
                    0);
    CU_ASSERT(infos && infos->n == 1 && strcmp(infos->v[0].canonname, "example.test") == 0);
    infos = (names_list_address_info *)ferry_free(infos);
    CU_ASSERT_EQUAL(look_up("www.example.test", "http", NAMES_FAMILY_INET, 0, 0, &infos), 0);
    CU_ASSERT(infos && infos->n == 1 && infos->v[0].canonname[0] == '\0');
    ferry_free(infos);
}

static void numeric_means_that_nothing_is_looked_up(void) {
    names_list_address_info *infos = NULL;

    expect_gai(
        look_up("localhost", "80", NAMES_FAMILY_ANY, NAMES_ADDRESS_FLAG_NUMERICHOST, 0, &infos),
        EAI_NONAME, "EAI_NONAME");
    expect_gai(
        look_up("localhost", "http", NAMES_FAMILY_ANY, NAMES_ADDRESS_FLAG_NUMERICSERV, 0, &infos),
        EAI_NONAME, "EAI_NONAME");
    CU_ASSERT_EQUAL(look_up("127.0.0.1", "80", NAMES_FAMILY_ANY, NAMES_ADDRESS_FLAG_NUMERICHOST,
                            NAMES_ADDRESS_FLAG_NUMERICSERV, &infos),
                    0);
    CU_ASSERT(infos && infos->n == 1 && infos->v[0].port == 80);
    ferry_free(infos);
}

static void mapped_addresses_stand_in_for_ipv6(void) {
    names_list_address_info *infos = NULL;

    expect_gai(look_up("four.example.test", "80", NAMES_FAMILY_INET6, 0, 0, &infos), EAI_NODATA,
               "EAI_NODATA");
    CU_ASSERT_EQUAL(look_up("four.example.test", "80", NAMES_FAMILY_INET6,
                            NAMES_ADDRESS_FLAG_V4_MAPPED, 0, &infos),
                    0);
    CU_ASSERT(infos && infos->n == 1 && find(infos, "::ffff:127.0.0.4"));
    infos = (names_list_address_info *)ferry_free(infos);
    /* A host that has IPv6 is not mapped, unless all are asked for. */
    CU_ASSERT_EQUAL(
        look_up("example.test", "80", NAMES_FAMILY_INET6, NAMES_ADDRESS_FLAG_V4_MAPPED, 0, &infos),
        0);
    CU_ASSERT(infos && infos->n == 1 && find(infos, "::1"));
    infos = (names_list_address_info *)ferry_free(infos);
    CU_ASSERT_EQUAL(look_up("example.test", "80", NAMES_FAMILY_INET6, NAMES_ADDRESS_FLAG_V4_MAPPED,
                            NAMES_ADDRESS_FLAG_ALL, &infos),
                    0);
    CU_ASSERT(infos && infos->n == 2 && find(infos, "::1") && find(infos, "::ffff:127.0.0.1"));
    ferry_free(infos);
}

/* This world has an IPv4 address beside loopback, and no IPv6 address. */
static void addrconfig_leaves_out_families_without_an_address(void) {
    names_list_address_info *infos = NULL;

    CU_ASSERT_EQUAL(look_up("example.test", "80", NAMES_FAMILY_ANY, 0, 0, &infos), 0);
    CU_ASSERT(infos && infos->n == 2);
    infos = (names_list_address_info *)ferry_free(infos);
    CU_ASSERT_EQUAL(
        look_up("example.test", "80", NAMES_FAMILY_ANY, NAMES_ADDRESS_FLAG_ADDRCONFIG, 0, &infos),
        0);
    CU_ASSERT(infos && infos->n == 1 && find(infos, "127.0.0.1"));
    ferry_free(infos);
}

static void resolver_errors_have_their_codes(void) {
    names_list_address_info *infos = NULL;

    expect_gai(look_up("not-exists-website.aaa", "80", NAMES_FAMILY_ANY, 0, 0, &infos), EAI_NONAME,
               "EAI_NONAME");
    expect_gai(look_up("www.broken.test", "80", NAMES_FAMILY_ANY, 0, 0, &infos), EAI_AGAIN,
               "EAI_AGAIN");
    expect_gai(look_up("localhost", "no-such-service", NAMES_FAMILY_ANY, 0, 0, &infos), EAI_SERVICE,
               "EAI_SERVICE");
    expect_gai(look_up("localhost", "80", 7, 0, 0, &infos), EAI_FAMILY, "EAI_FAMILY");
    expect_gai(look_up(NULL, NULL, NAMES_FAMILY_ANY, 0, 0, &infos), EAI_NONAME, "EAI_NONAME");
    expect_gai(look_up(NULL, "80", NAMES_FAMILY_ANY, NAMES_ADDRESS_FLAG_CANONNAME, 0, &infos),
               EAI_BADFLAGS, "EAI_BADFLAGS");
    expect_gai(look_up("localhost", "80", NAMES_FAMILY_ANY, 99, 0, &infos), EAI_BADFLAGS,
               "EAI_BADFLAGS");
    expect_gai(names_getaddrinfo(stage.client, "localhost", "80", NAMES_FAMILY_ANY, 42, 0,
                                 &(names_set_address_flag){0, NULL}, &infos, &stage.error),
               EAI_SOCKTYPE, "EAI_SOCKTYPE");
}

/* ---- the five flags of getnameinfo ---- */

static int name_of(const char *address, int32_t port, names_name_flag flag, names_name_info **ret) {
    return names_getnameinfo(stage.client, address, port, &(names_set_name_flag){flag != 0, &flag},
                             ret, &stage.error);
}

static void expect_name(const char *address, int32_t port, names_name_flag flag, const char *host,
                        const char *service) {
    names_name_info *info = NULL;

    CU_ASSERT_EQUAL(name_of(address, port, flag, &info), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(info);
    CU_ASSERT_STRING_EQUAL(info->host, host);
    CU_ASSERT_STRING_EQUAL(info->service, service);
    ferry_free(info);
}

static void name_flags_choose_what_is_looked_up(void) {
    names_name_info *info = NULL;
    const names_out_of_range *range;

    expect_name("127.0.0.4", 22, 0, "four.example.test", "ssh");
    expect_name("127.0.0.4", 22, NAMES_NAME_FLAG_NUMERICHOST, "127.0.0.4", "ssh");
    expect_name("127.0.0.4", 22, NAMES_NAME_FLAG_NUMERICSERV, "four.example.test", "22");
    expect_name("127.0.0.2", 514, 0, "anna.lan.test", "shell");
    expect_name("127.0.0.2", 514, NAMES_NAME_FLAG_DGRAM, "anna.lan.test", "syslog");
    expect_name("127.0.0.99", 22, 0, "127.0.0.99", "ssh");
    expect_gai(name_of("127.0.0.99", 22, NAMES_NAME_FLAG_NAMEREQD, &info), EAI_NONAME,
               "EAI_NONAME");
    CU_ASSERT_EQUAL(name_of("four.example.test", 22, 0, &info), -EREMOTEIO);
    CU_ASSERT(names_bad_address_in(&stage.error) &&
              strcmp(names_bad_address_in(&stage.error)->address, "four.example.test") == 0);
    CU_ASSERT_EQUAL(name_of("127.0.0.1", 65536, 0, &info), -EREMOTEIO);
    range = names_out_of_range_in(&stage.error);
    CU_ASSERT(range && range->value == 65536 && range->low == 0 && range->high == 65535);
}

/* The world's own name is here.lan.test. */
static void nofqdn_shortens_names_of_the_own_domain(void) {
    expect_name("127.0.0.2", 22, NAMES_NAME_FLAG_NOFQDN, "anna", "ssh");
    expect_name("127.0.0.4", 22, NAMES_NAME_FLAG_NOFQDN, "four.example.test", "ssh");
}

/* ---- tables, formats, orders ---- */

static void services_and_protocols_have_numbers(void) {
    static const struct {
        const char *name, *protocol;
        int32_t port;
    } good[] = {{"ssh", NULL, 22},     {"domain", "udp", 53}, {"telnet", "tcp", 23},
                {"mysql", NULL, 3306}, {"www", NULL, 80},     {"http", NULL, 80}};
    const names_no_such_service *e;
    int32_t number = 0;
    char *name = NULL;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_EQUAL(names_getservbyname(stage.client, good[i].name, good[i].protocol, &number,
                                            &stage.error),
                        0);
        CU_ASSERT_EQUAL(number, good[i].port);
    }
    CU_ASSERT_EQUAL(names_getservbyname(stage.client, "ssh", "udp", &number, &stage.error),
                    -EREMOTEIO);
    e = names_no_such_service_in(&stage.error);
    CU_ASSERT(e && strcmp(e->service, "ssh") == 0 && strcmp(e->protocol, "udp") == 0);
    CU_ASSERT_EQUAL(names_getservbyport(stage.client, 80, NULL, &name, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(name, "http");
    ferry_free(name);
    CU_ASSERT_EQUAL(names_getservbyport(stage.client, 49151, "tcp", &name, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(names_no_such_service_in(&stage.error));
    CU_ASSERT_EQUAL(names_getprotobyname(stage.client, "TCP", &number, &stage.error), 0);
    CU_ASSERT_EQUAL(number, 6);
    CU_ASSERT_EQUAL(names_getprotobyname(stage.client, "carrier-pigeon", &number, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(names_no_such_protocol_in(&stage.error));
}

static void addresses_turn_into_bytes_and_back(void) {
    static const struct {
        names_family family;
        const char *text, *bytes;
        int len;
    } good[] = {
        {NAMES_FAMILY_INET, "204.152.189.116", "\xcc\x98\xbd\x74", 4},
        {NAMES_FAMILY_INET6, "::1", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16},
        {NAMES_FAMILY_INET6, "::ffff:204.152.189.116",
         "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcc\x98\xbd\x74", 16},
    };
    const names_bad_address *e;
    char *text = NULL;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        ferry_bytes *packed = NULL;

        CU_ASSERT_EQUAL(
            names_inet_pton(stage.client, good[i].family, good[i].text, &packed, &stage.error), 0);
        CU_ASSERT(packed && packed->len == (size_t)good[i].len &&
                  memcmp(packed->data, good[i].bytes, packed->len) == 0);
        CU_ASSERT_EQUAL(names_inet_ntop(stage.client, good[i].family, *packed, &text, &stage.error),
                        0);
        CU_ASSERT_STRING_EQUAL(text, good[i].text);
        ferry_free(packed);
        text = ferry_free(text);
    }
    CU_ASSERT_EQUAL(
        names_inet_pton(stage.client, NAMES_FAMILY_INET, "256.1.1.1", NULL, &stage.error),
        -EREMOTEIO);
    e = names_bad_address_in(&stage.error);
    CU_ASSERT(e && strcmp(e->address, "256.1.1.1") == 0 && !e->received);
    CU_ASSERT_EQUAL(names_inet_ntop(stage.client, NAMES_FAMILY_INET6, ferry_bytes_of("12345", 5),
                                    &text, &stage.error),
                    -EREMOTEIO);
    e = names_bad_address_in(&stage.error);
    CU_ASSERT(e && e->received && *e->received == 5 && e->expected && *e->expected == 16);
}

static void numbers_change_their_byte_order(void) {
    const names_out_of_range *e;
    int32_t small = 0;
    int64_t large = 0;

    CU_ASSERT(names_htons(stage.client, 80, &small, &stage.error) == 0 && small == htons(80));
    CU_ASSERT(names_ntohs(stage.client, small, &small, &stage.error) == 0 && small == 80);
    CU_ASSERT(names_htonl(stage.client, 4253, &large, &stage.error) == 0 && large == htonl(4253));
    CU_ASSERT(names_ntohl(stage.client, large, &large, &stage.error) == 0 && large == 4253);
    CU_ASSERT_EQUAL(names_htonl(stage.client, INT64_C(1) << 32, &large, &stage.error), -EREMOTEIO);
    e = names_out_of_range_in(&stage.error);
    CU_ASSERT(e && e->value == INT64_C(1) << 32 && e->high == UINT32_MAX);
    CU_ASSERT_EQUAL(names_ntohs(stage.client, -1, &small, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(names_out_of_range_in(&stage.error));
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(gethostbyname_misses_hosts_with_ipv6_alone),
        TEST(hosts_come_from_the_file_and_from_dns),
        TEST(addresses_have_names_and_aliases),
        TEST(passive_is_the_wildcard),
        TEST(canonname_is_that_of_the_first),
        TEST(numeric_means_that_nothing_is_looked_up),
        TEST(mapped_addresses_stand_in_for_ipv6),
        TEST(addrconfig_leaves_out_families_without_an_address),
        TEST(resolver_errors_have_their_codes),
        TEST(name_flags_choose_what_is_looked_up),
        TEST(nofqdn_shortens_names_of_the_own_domain),
        TEST(services_and_protocols_have_numbers),
        TEST(addresses_turn_into_bytes_and_back),
        TEST(numbers_change_their_byte_order),
        TESTS_END,
    };
    int r;

    world_start();
    stage_open(&stage, names_start);
    r = run_suite("example names", tests);
    stage_close(&stage);
    world_end();
    return r;
}
