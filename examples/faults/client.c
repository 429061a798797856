/* SPDX-License-Identifier: Apache-2.0 */
/* Raises every fault, and handles each twice: by its type, call by call (granular), and all of them
 * in one place (blanket). */

#include "faults.h"

/* ---- granular: each fault has its own answer ---- */

static void handle_each(const ferry_error *error) {
    const faults_os_error *os = faults_os_error_in(error);
    const faults_gai_error *gai = faults_gai_error_in(error);
    const faults_timeout *timeout = faults_timeout_in(error);
    const faults_value_error *value = faults_value_error_in(error);
    const faults_url_error *url = faults_url_error_in(error);

    if (gai)
        printf("Name service failure: %s is %s, %d\n", gai->host, gai->name, gai->code);
    else if (timeout)
        printf("Nothing came for %d ms: try again later\n", timeout->waited_ms);
    else if (os && os->error_number == ECONNREFUSED)
        printf("Connection refused: is the server running?\n");
    else if (os)
        printf("%s failed: %s (%s, %d)\n", os->call, os->text, os->name, os->error_number);
    else if (value)
        printf("Not a URL: %s\n", value->url);
    else if (url && ferry_error_cause(error)) { /* its cause */
        printf("Cannot open %s. ", url->url);
        handle_each(ferry_error_cause(error));
    } else
        printf("Unexpected: %s: %s\n", error->type, error->message);
}

/* ---- blanket: one place for all of them ---- */

static void handle_all(const ferry_error *error) {
    for (const char *in = ""; error; error = ferry_error_cause(error), in = ", caused by ")
        printf("%s%s: %s", in, error->type, error->message);
    printf("\n");
}

/* ---- the calls ---- */

static int32_t closed_port, silent_port;

static int connect_refused(ferry_client *client, ferry_error *error) {
    return faults_connect(client, "127.0.0.1", closed_port, error);
}

static int connect_by_name(ferry_client *client, ferry_error *error) {
    return faults_connect(client, "non_existent_hostname.com", 80, error);
}

static int receive_from_silent(ferry_client *client, ferry_error *error) {
    return faults_receive_from_silent(client, 100, error);
}

static int resolve_service(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) ferry_list_string *addresses = NULL;

    return faults_resolve(client, "127.0.0.1", "no-such-service", &addresses, error);
}

static int http_get(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) char *line = NULL;

    return faults_http_get(client, "non_existent_hostname.com", 80, &line, error);
}

static int urlopen_without_scheme(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) char *line = NULL;

    return faults_urlopen(client, "non_existent_hostname.com", &line, error);
}

static int urlopen(ferry_client *client, ferry_error *error) {
    FERRY_AUTO(ferry_free) char *line = NULL;

    return faults_urlopen(client, "http://non_existent_hostname.com/", &line, error);
}

static int urlopen_port(ferry_client *client, int32_t port, ferry_error *error) {
    FERRY_AUTO(ferry_free) char *line = NULL;
    char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", port);
    return faults_urlopen(client, url, &line, error);
}

static int urlopen_refused(ferry_client *client, ferry_error *error) {
    return urlopen_port(client, closed_port, error);
}

static int urlopen_silent(ferry_client *client, ferry_error *error) {
    return urlopen_port(client, silent_port, error);
}

int main(void) {
    static const struct {
        const char *what;
        int (*call)(ferry_client *client, ferry_error *error);
    } calls[] = {
        {"connect to a port without a server", connect_refused},
        {"connect to a name that is not known", connect_by_name},
        {"bind to a port that is taken", faults_bind_taken},
        {"send to a peer that has closed", faults_send_to_closed},
        {"receive from a silent peer", receive_from_silent},
        {"resolve a service that is not known", resolve_service},
        {"http to a name that is not known", http_get},
        {"urlopen without a scheme", urlopen_without_scheme},
        {"urlopen of a name that is not known", urlopen},
        {"urlopen of a port without a server", urlopen_refused},
        {"urlopen of a server that is silent", urlopen_silent},
    };
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_free) faults_held_ports *ports = NULL;
    int r = ferry_open(NULL, &(ferry_options){.name = "faults-client"}, &client, &error);

    if (r == 0)
        r = faults_ports(client, &ports, &error);
    if (r == 0) {
        closed_port = ports->closed;
        silent_port = ports->silent;
    }

    for (size_t i = 0; r == 0 && i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].call(client, &error) != -EREMOTEIO) {
            r = error.code < 0 ? error.code : -EPROTO;
            break;
        }
        printf("%s\n    granular: ", calls[i].what);
        handle_each(&error);
        printf("    blanket:  ");
        handle_all(&error);
        ferry_error_clear(&error);
    }
    if (r < 0)
        ferry_error_print(&error, stderr);
    return r < 0;
}
