/* SPDX-License-Identifier: Apache-2.0 */
/* The example dns: records, mail hosts and their failures against NSD; whois against a server of
 * the test's. */

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>

#include "dns.h"
#include "examples/stage.h"
#include "examples/world.h"

static Stage stage;
static uint16_t whois_port;

/* ---- records ---- */

/* The hazard: a program that asks only for A records fails for a host without an A record. */
static void a_host_with_ipv6_alone_has_no_a_record(void) {
    unsigned char answer[512];
    dns_mail_hosts *mail = NULL;

    CU_ASSERT_EQUAL(res_query("mx6.example.test", ns_c_in, ns_t_a, answer, sizeof(answer)), -1);
    CU_ASSERT_EQUAL(h_errno, NO_DATA);
    CU_ASSERT_EQUAL(dns_mail(stage.client, "six.example.test", &mail, &stage.error), 0);
    CU_ASSERT(mail && mail->hosts.n == 1 && mail->hosts.v[0].addresses.n == 1 &&
              strcmp(mail->hosts.v[0].addresses.v[0], "::1") == 0);
    ferry_free(mail);
}

static void every_type_is_looked_up_with_class_and_ttl(void) {
    static const struct {
        dns_record_type type;
        const char *data;
        int ttl, preference;
    } expected[] = {
        {DNS_RECORD_TYPE_A, "127.0.0.1", 300, -1},
        {DNS_RECORD_TYPE_AAAA, "::1", 300, -1},
        {DNS_RECORD_TYPE_MX, "mx2.example.test.", 300, 20},
        {DNS_RECORD_TYPE_MX, "mx1.example.test.", 300, 10},
        {DNS_RECORD_TYPE_MX, "mx6.example.test.", 300, 15},
        {DNS_RECORD_TYPE_MX, "mxalias.example.test.", 300, 30},
        {DNS_RECORD_TYPE_NS, "ns1.example.test.", 86400, -1},
        {DNS_RECORD_TYPE_NS, "ns2.example.test.", 86400, -1},
    };
    enum { N = sizeof(expected) / sizeof(*expected) };
    dns_list_record *records = NULL;

    CU_ASSERT_EQUAL(dns_lookup(stage.client, "example.test", NULL, &records, &stage.error), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(records);
    CU_ASSERT_EQUAL(records->n, N);
    for (size_t i = 0; i < N; i++) {
        bool found = false;

        for (size_t k = 0; k < records->n; k++) {
            const dns_record *record = &records->v[k];

            found =
                found ||
                (record->type == expected[i].type && strcmp(record->data, expected[i].data) == 0 &&
                 record->ttl == expected[i].ttl && strcmp(record->cls, "IN") == 0 &&
                 strcmp(record->name, "example.test.") == 0 &&
                 (record->preference ? *record->preference : -1) == expected[i].preference);
        }
        CU_ASSERT(found);
    }
    ferry_free(records);
}

static void an_alias_comes_with_its_record_once(void) {
    dns_list_record *records = NULL;

    CU_ASSERT_EQUAL(dns_lookup(stage.client, "mxalias.example.test", NULL, &records, &stage.error),
                    0);
    CU_ASSERT(records && records->n == 2 && records->v[0].type == DNS_RECORD_TYPE_CNAME &&
              strcmp(records->v[0].data, "mx1.example.test.") == 0 &&
              strcmp(records->v[1].data, "127.0.0.11") == 0);
    ferry_free(records);
}

static void a_large_answer_comes_by_tcp(void) {
    const dns_record_type type = DNS_RECORD_TYPE_A;
    dns_list_record *records = NULL;

    CU_ASSERT_EQUAL(dns_lookup(stage.client, "many.example.test", &(dns_list_record_type){1, &type},
                               &records, &stage.error),
                    0);
    CU_ASSERT(records && records->n == 100);
    ferry_free(records);
}

static void failures_of_lookups_are_typed(void) {
    dns_list_record *records = NULL;
    const dns_no_such_domain *missing;
    const dns_server_failure *failure;
    char label[70], *long_name = label;

    CU_ASSERT_EQUAL(dns_lookup(stage.client, "nowhere.example.test", NULL, &records, &stage.error),
                    -EREMOTEIO);
    missing = dns_no_such_domain_in(&stage.error);
    CU_ASSERT(missing && strcmp(missing->domain, "nowhere.example.test") == 0);
    CU_ASSERT_EQUAL(dns_lookup(stage.client, "broken.test", NULL, &records, &stage.error),
                    -EREMOTEIO);
    failure = dns_server_failure_in(&stage.error);
    CU_ASSERT(failure && failure->rcode == 2);
    memset(label, 'a', 64);
    strcpy(label + 64, ".test");
    CU_ASSERT_EQUAL(dns_lookup(stage.client, long_name, NULL, &records, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(dns_bad_name_in(&stage.error));
}

/* ---- mail hosts ---- */

static void mail_hosts_come_in_the_order_of_their_preference(void) {
    static const struct {
        const char *host, *address;
        int32_t priority;
        size_t n;
    } expected[] = {{"mx1.example.test", "127.0.0.11", 10, 1},
                    {"mx6.example.test", "::1", 15, 1},
                    {"mx2.example.test", NULL, 20, 2},
                    {"mxalias.example.test", "127.0.0.11", 30, 1}};
    dns_mail_hosts *mail = NULL;

    CU_ASSERT_EQUAL(dns_mail(stage.client, "example.test", &mail, &stage.error), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mail);
    CU_ASSERT_EQUAL(mail->source, DNS_MAIL_SOURCE_MX);
    CU_ASSERT_EQUAL(mail->hosts.n, 4);
    for (size_t i = 0; i < 4 && i < mail->hosts.n; i++) {
        const dns_mail_host *host = &mail->hosts.v[i];

        CU_ASSERT_STRING_EQUAL(host->host, expected[i].host);
        CU_ASSERT_EQUAL(host->priority, expected[i].priority);
        CU_ASSERT_EQUAL(host->addresses.n, expected[i].n);
        CU_ASSERT(!expected[i].address || strcmp(host->addresses.v[0], expected[i].address) == 0);
    }
    ferry_free(mail);
}

static void without_mx_the_domain_itself_takes_the_mail(void) {
    static const struct {
        const char *domain, *end, *address;
        dns_mail_source source;
    } good[] = {
        {"bare.example.test", "bare.example.test.", "127.0.0.31", DNS_MAIL_SOURCE_ADDRESS},
        {"redirect.example.test", "bare.example.test.", "127.0.0.31", DNS_MAIL_SOURCE_CNAME},
        {"onward.example.test", "bare.example.test.", "127.0.0.31", DNS_MAIL_SOURCE_CNAME},
        {"six.example.test.", "six.example.test.", "::1", DNS_MAIL_SOURCE_ADDRESS},
    };
    dns_mail_hosts *mail = NULL;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CU_ASSERT_EQUAL(dns_mail(stage.client, good[i].domain, &mail, &stage.error), 0);
        CU_ASSERT(mail && mail->source == good[i].source &&
                  strcmp(mail->domain, good[i].end) == 0 && mail->hosts.n == 1 &&
                  mail->hosts.v[0].addresses.n == 1 &&
                  strcmp(mail->hosts.v[0].addresses.v[0], good[i].address) == 0);
        mail = (dns_mail_hosts *)ferry_free(mail);
    }
    /* An alias of a domain with MX records has the mail hosts of this domain. */
    CU_ASSERT_EQUAL(dns_mail(stage.client, "www.example.test", &mail, &stage.error), 0);
    CU_ASSERT(mail && mail->source == DNS_MAIL_SOURCE_MX && mail->hosts.n == 4 &&
              strcmp(mail->domain, "example.test.") == 0);
    ferry_free(mail);
}

static void failures_of_mail_are_typed(void) {
    dns_mail_hosts *mail = NULL;
    const dns_alias_loop *loop;
    const dns_server_failure *failure;
    const dns_no_such_domain *missing;

    CU_ASSERT_EQUAL(dns_mail(stage.client, "nomail.example.test", &mail, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(dns_no_mail_in(&stage.error));
    CU_ASSERT_EQUAL(dns_mail(stage.client, "text.example.test", &mail, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(dns_no_mail_host_in(&stage.error));
    CU_ASSERT_EQUAL(dns_mail(stage.client, "loop1.example.test", &mail, &stage.error), -EREMOTEIO);
    loop = dns_alias_loop_in(&stage.error);
    CU_ASSERT(loop && loop->names.n == 3 && strcmp(loop->names.v[0], "loop1.example.test.") == 0 &&
              strcmp(loop->names.v[1], "loop2.example.test.") == 0 &&
              strcmp(loop->names.v[2], "loop1.example.test.") == 0);
    CU_ASSERT_EQUAL(dns_mail(stage.client, "nowhere.example.test", &mail, &stage.error),
                    -EREMOTEIO);
    missing = dns_no_such_domain_in(&stage.error);
    CU_ASSERT(missing && strcmp(missing->domain, "nowhere.example.test.") == 0);
    CU_ASSERT_EQUAL(dns_mail(stage.client, "dangling.example.test", &mail, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(dns_no_such_domain_in(&stage.error));
    CU_ASSERT_EQUAL(dns_mail(stage.client, "broken.test", &mail, &stage.error), -EREMOTEIO);
    failure = dns_server_failure_in(&stage.error);
    CU_ASSERT(failure && failure->rcode == 2);
    CU_ASSERT_EQUAL(dns_mail(stage.client, "", &mail, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(dns_bad_name_in(&stage.error));
}

/* ---- whois ---- */

/* Answers each question with itself and a byte of latin-1; "break" with a reset. */
static void *serve_whois(void *arg) {
    int listener = *(int *)arg, fd;

    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        char question[300], answer[400];
        size_t len = 0;
        ssize_t n;

        /* A question may come in pieces; bytes left unread would reset the connection. */
        do {
            n = recv(fd, question + len, sizeof(question) - 1 - len, 0);
            len += n > 0 ? (size_t)n : 0;
            question[len] = '\0';
        } while (n > 0 && !strchr(question, '\n'));
        question[strcspn(question, "\r\n")] = '\0';
        n = snprintf(answer, sizeof(answer), "Domain Name: %s\r\nRegistrar: M\xfcller\r\n",
                     question);
        send(fd, answer, (size_t)n, MSG_NOSIGNAL);
        if (strcmp(question, "break") == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(fd);
    }
    return NULL;
}

static void whois_answers_with_text(void) {
    char *text = NULL;

    CU_ASSERT_EQUAL(dns_whois(stage.client, "example.test", NULL, &text, &stage.error), 0);
    CU_ASSERT_STRING_EQUAL(text, "Domain Name: example.test\r\nRegistrar: M?ller\r\n");
    ferry_free(text);
}

static void failures_of_whois_are_typed(void) {
    const dns_whois_failure *failure;
    const dns_not_allowed *refused;
    char *text = NULL;

    CU_ASSERT_EQUAL(dns_whois(stage.client, "a", "192.0.2.1", &text, &stage.error), -EREMOTEIO);
    refused = dns_not_allowed_in(&stage.error);
    CU_ASSERT(refused && strcmp(refused->host, "192.0.2.1") == 0);
    CU_ASSERT_EQUAL(dns_whois(stage.client, "a\r\nb", NULL, &text, &stage.error), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(dns_bad_name_in(&stage.error));
    CU_ASSERT_EQUAL(dns_whois(stage.client, "break", NULL, &text, &stage.error), -EREMOTEIO);
    failure = dns_whois_failure_in(&stage.error);
    CU_ASSERT(failure && failure->os_errno == ECONNRESET);
    CU_ASSERT_EQUAL(dns_whois(stage.client, "a", "localhost:1", &text, &stage.error), -EREMOTEIO);
    failure = dns_whois_failure_in(&stage.error);
    CU_ASSERT(failure && failure->os_errno == ECONNREFUSED && failure->received == 0);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_host_with_ipv6_alone_has_no_a_record),
        TEST(every_type_is_looked_up_with_class_and_ttl),
        TEST(an_alias_comes_with_its_record_once),
        TEST(a_large_answer_comes_by_tcp),
        TEST(failures_of_lookups_are_typed),
        TEST(mail_hosts_come_in_the_order_of_their_preference),
        TEST(without_mx_the_domain_itself_takes_the_mail),
        TEST(failures_of_mail_are_typed),
        TEST(whois_answers_with_text),
        TEST(failures_of_whois_are_typed),
        TESTS_END,
    };
    pthread_t thread;
    char allow[64];
    int listener, r;

    world_start();
    listener = listen_on("127.0.0.1", &whois_port);
    pthread_create(&thread, NULL, serve_whois, &listener);
    snprintf(allow, sizeof(allow), "127.0.0.1:%u localhost:1", whois_port);
    setenv("WHOIS_ALLOW", allow, 1);
    stage_open(&stage, dns_start);
    r = run_suite("example dns", tests);
    stage_close(&stage);
    shutdown(listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(listener);
    world_end();
    return r;
}
