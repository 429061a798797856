/* SPDX-License-Identifier: Apache-2.0 */
/* The example shell: commands on this machine, by SSH on an sshd of the test's own, by Telnet;
 * refusals. */

#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "dial.h"
#include "examples/stage.h"
#include "examples/world.h"
#include "shell.h"
#include "support/process.h"

static const char secret[] = "open sesame";

static Stage stage;
static uint16_t ssh_port, telnet_port, impostor_port;
static const char *user;

/* ---- running ---- */

typedef struct Result {
    char out[4096], err[4096], text[64];
    size_t n_out, n_err;
    int32_t status; /* -1: no status */
} Result;

static void add(char *to, size_t *n, const ferry_bytes *bytes) {
    size_t len = bytes->len < 4095 - *n ? bytes->len : 4095 - *n;

    memcpy(to + *n, bytes->data, len);
    *n += len;
}

static int collect(ferry_stream *stream, bool ssh, Result *result) {
    shell_output *output;
    int r;

    *result = (Result){.status = -1};
    while ((r = ssh ? shell_ssh_next(stream, &output, &stage.error)
                    : shell_run_next(stream, &output, &stage.error)) > 0) {
        if (output->which == SHELL_OUTPUT_OUT)
            add(result->out, &result->n_out, &output->out);
        else if (output->which == SHELL_OUTPUT_ERR)
            add(result->err, &result->n_err, &output->err);
        else
            snprintf(result->text, sizeof(result->text), "%s", output->exit.text);
        if (output->which == SHELL_OUTPUT_EXIT && output->exit.status)
            result->status = *output->exit.status;
        ferry_free(output);
    }
    return r;
}

/* login NULL: on this machine. Up to two arguments. */
static int run(const shell_login *login, const char *command, const char *one, const char *two,
               const char *input, int32_t limit_ms, Result *result) {
    const char *words[] = {one, two};
    ferry_list_string arguments = {(one != NULL) + (two != NULL), words};
    ferry_stream *stream = NULL;
    int r =
        login ? shell_ssh(stage.client, login, command, &arguments, limit_ms, &stream, &stage.error)
              : shell_run(stage.client, command, &arguments, limit_ms, &stream, &stage.error);

    if (r == 0 && input)
        r = login ? shell_ssh_send(stream, ferry_str(input), &stage.error)
                  : shell_run_send(stream, ferry_str(input), &stage.error);
    if (r == 0)
        r = login ? shell_ssh_end(stream, &stage.error) : shell_run_end(stream, &stage.error);
    if (r == 0 || r == -EREMOTEIO)
        r = collect(stream, login != NULL, result);
    ferry_stream_close(stream);
    return r;
}

static shell_login at(uint16_t port, const char *password) {
    return (shell_login){"localhost", port, user, password};
}

static void know(const char *folder_file, uint16_t port) {
    char path[128], key_path[128], text[1024], *key;
    FILE *file;

    snprintf(key_path, sizeof(key_path), "%s/%s", world_folder(), folder_file);
    key = world_read(key_path);
    key[strcspn(key, "\n")] = '\0';
    snprintf(text, sizeof(text), "[localhost]:%u %s\n", port, key);
    snprintf(path, sizeof(path), "%s/known", world_folder());
    file = fopen(path, "w");
    if (file) {
        fputs(text, file);
        fclose(file);
    }
    free(key);
}

/* ---- the hazard: AllowAnythingPolicy ---- */

enum {
    NOBODY_MS = 30000
}; /* after this time the impostor gives up, so that a failing test ends too */

static char caught[64]; /* the password that the impostor received */

/* The newer callback interface of libssh would need much more code. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Accepts one connection and keeps the password, if it receives one. */
static void *be_an_impostor(void *arg) {
    struct pollfd ready = {.fd = ssh_bind_get_fd(arg), .events = POLLIN};
    ssh_session session = ssh_new();
    ssh_message message;

    if (poll(&ready, 1, NOBODY_MS) == 1 && ssh_bind_accept(arg, session) == SSH_OK &&
        ssh_handle_key_exchange(session) == SSH_OK)
        while ((message = ssh_message_get(session))) {
            if (ssh_message_type(message) == SSH_REQUEST_AUTH &&
                ssh_message_subtype(message) == SSH_AUTH_METHOD_PASSWORD)
                snprintf(caught, sizeof(caught), "%s", ssh_message_auth_password(message));
            ssh_message_auth_set_methods(message, SSH_AUTH_METHOD_PASSWORD);
            ssh_message_reply_default(message);
            ssh_message_free(message);
        }
    ssh_disconnect(session);
    ssh_free(session);
    return NULL;
}

static void trust_anybody(void) {
    ssh_session session = ssh_new();
    int port = impostor_port;

    ssh_options_set(session, SSH_OPTIONS_HOST, "localhost");
    ssh_options_set(session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(session, SSH_OPTIONS_USER, user);
    ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, "/dev/null");
    CU_ASSERT_EQUAL(ssh_connect(session), SSH_OK);
    CU_ASSERT_NOT_EQUAL(ssh_userauth_password(session, NULL, secret), SSH_AUTH_SUCCESS);
    ssh_disconnect(session);
    ssh_free(session);
}

static void a_client_that_checks_no_key_tells_an_impostor_its_password(void) {
    ssh_bind bind = ssh_bind_new();
    shell_login login;
    char key[128];
    unsigned port;
    pthread_t thread;
    Result result;

    port = impostor_port = free_port();
    login = at(impostor_port, secret);
    snprintf(key, sizeof(key), "%s/other", world_folder());
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BINDADDR, "127.0.0.1");
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BINDPORT, &port);
    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HOSTKEY, key);
    CU_ASSERT_EQUAL_FATAL(ssh_bind_listen(bind), SSH_OK);

    pthread_create(&thread, NULL, be_an_impostor, bind);
    trust_anybody();
    pthread_join(thread, NULL);
    CU_ASSERT_STRING_EQUAL(caught, secret);

    /* The service checks the host key first. The host has another key than the known one: */
    caught[0] = '\0';
    know("host.pub", impostor_port);
    pthread_create(&thread, NULL, be_an_impostor, bind);
    CU_ASSERT_EQUAL(run(&login, "hello", NULL, NULL, NULL, 10000, &result), -EREMOTEIO);
    CU_ASSERT(shell_changed_host_key_in(&stage.error) &&
              strncmp(shell_changed_host_key_in(&stage.error)->fingerprint, "SHA256:", 7) == 0);
    pthread_join(thread, NULL);
    CU_ASSERT_STRING_EQUAL(caught, "");

    /* Or no key of the host is known: */
    know("host.pub", ssh_port);
    pthread_create(&thread, NULL, be_an_impostor, bind);
    CU_ASSERT_EQUAL(run(&login, "hello", NULL, NULL, NULL, 10000, &result), -EREMOTEIO);
    CU_ASSERT(shell_unknown_host_key_in(&stage.error) &&
              strcmp(shell_unknown_host_key_in(&stage.error)->type, "ssh-ed25519") == 0 &&
              strcmp(shell_unknown_host_key_in(&stage.error)->host, "localhost") == 0);
    pthread_join(thread, NULL);
    CU_ASSERT_STRING_EQUAL(caught, "");
    ssh_bind_free(bind);
}

/* ---- the same here and by SSH ---- */

static void commands_run_with_all_their_streams(void) {
    shell_login login = at(ssh_port, NULL);
    const shell_login *where[] = {NULL, &login};

    know("host.pub", ssh_port);
    for (int i = 0; i < 2; i++) {
        Result result;

        CU_ASSERT_EQUAL(run(where[i], "hello", NULL, NULL, NULL, 10000, &result), 0);
        CU_ASSERT(strcmp(result.out, "Hello, world\n") == 0 && result.status == 0 &&
                  result.n_err == 0 && strcmp(result.text, "exit status 0") == 0);
        CU_ASSERT_EQUAL(run(where[i], "shout", NULL, NULL, "as loud\nas can be", 10000, &result),
                        0);
        CU_ASSERT_STRING_EQUAL(result.out, "AS LOUD\nAS CAN BE");
        CU_ASSERT_EQUAL(run(where[i], "list", "/nowhere/at/all", NULL, NULL, 10000, &result), 0);
        CU_ASSERT(result.n_out == 0 && strstr(result.err, "/nowhere/at/all") && result.status == 2);
        CU_ASSERT_EQUAL(run(where[i], "die", NULL, NULL, NULL, 10000, &result), 0);
        CU_ASSERT(result.status == -1 && strcmp(result.text, "killed by SIGKILL") == 0);
    }
}

/* The service is in this process. */
static void the_connection_to_the_host_ends_with_the_call(void) {
    shell_login login = at(ssh_port, NULL);
    size_t before = process_n_fds(getpid());
    Result result;

    know("host.pub", ssh_port);
    CU_ASSERT_EQUAL(run(&login, "hello", NULL, NULL, NULL, 10000, &result), 0);
    for (int i = 0; i < 6000 && process_n_fds(getpid()) > before; i++)
        usleep(10000);
    CU_ASSERT_EQUAL(process_n_fds(getpid()), before);
}

static void arguments_are_never_read_by_a_shell(void) {
    shell_login login = at(ssh_port, NULL);
    const shell_login *where[] = {NULL, &login};

    for (int i = 0; i < 2; i++) {
        Result result;

        CU_ASSERT_EQUAL(run(where[i], "echo", "$(id) `id` ; id", "' | id #", NULL, 10000, &result),
                        0);
        CU_ASSERT_STRING_EQUAL(result.out, "$(id) `id` ; id ' | id #\n");
    }
}

static void a_terminal_is_typed_into(void) {
    shell_login login = at(ssh_port, NULL);
    Result result;

    CU_ASSERT_EQUAL(
        run(&login, "terminal", NULL, NULL, "echo Hello, w''orld\rexit 3\r", 20000, &result), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.out, "Hello, world"));
    CU_ASSERT_EQUAL(result.status, 3);
}

static void much_goes_through_in_both_directions(void) {
    static char piece[65536];
    ferry_stream *stream = NULL;
    shell_output *output;
    size_t sent = 0, got = 0;
    int r;

    memset(piece, 'a', sizeof(piece));
    CU_ASSERT_EQUAL_FATAL(shell_run(stage.client, "shout", &(ferry_list_string){0, NULL}, 60000,
                                    &stream, &stage.error),
                          0);
    for (int i = 0; i < 160; i++) { /* 10 MiB; the echo is read meanwhile */
        CU_ASSERT_EQUAL_FATAL(
            shell_run_send(stream, ferry_bytes_of(piece, sizeof(piece)), &stage.error), 0);
        sent += sizeof(piece);
        while (got + 131072 < sent && (r = shell_run_next(stream, &output, &stage.error)) > 0) {
            got += output->out.len;
            ferry_free(output);
        }
    }
    CU_ASSERT_EQUAL(shell_run_end(stream, &stage.error), 0);
    while ((r = shell_run_next(stream, &output, &stage.error)) > 0) {
        got += output->which == SHELL_OUTPUT_OUT ? output->out.len : 0;
        ferry_free(output);
    }
    CU_ASSERT(r == 0 && got == sent);
    ferry_stream_close(stream);
}

/* ---- ends ---- */

static bool is_gone(pid_t pid) {
    for (int i = 0; i < 6000; i++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        usleep(10000);
    }
    return false;
}

/* The script starts a child and prints its process id. */
static void the_time_limit_kills_children_too(void) {
    const shell_time_limit *e;
    Result result;

    CU_ASSERT_EQUAL(run(NULL, "brood", NULL, NULL, NULL, 1500, &result), -EREMOTEIO);
    e = shell_time_limit_in(&stage.error);
    CU_ASSERT(e && e->limit_ms == 1500);
    CU_ASSERT(atoi(result.out) > 1 && is_gone(atoi(result.out)));
}

static void closing_the_stream_kills_the_command(void) {
    ferry_stream *stream = NULL;
    shell_output *output = NULL;
    pid_t child = 0;

    CU_ASSERT_EQUAL(shell_run(stage.client, "brood", &(ferry_list_string){0, NULL}, 60000, &stream,
                              &stage.error),
                    0);
    CU_ASSERT_EQUAL(shell_run_next(stream, &output, &stage.error), 1);
    if (output)
        child = atoi(output->out.data);
    ferry_free(output);
    ferry_stream_close(stream);
    CU_ASSERT(child > 1 && is_gone(child));
}

/* ---- refusals ---- */

static void only_listed_commands_and_hosts_are_used(void) {
    static const char *const others[] = {"", "sh", "/bin/sh", "hello ", "echo=echo", "cat"};
    shell_login login = at(1, NULL);
    const shell_not_allowed *e;
    Result result;

    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        CU_ASSERT_EQUAL(run(NULL, others[i], NULL, NULL, NULL, 1000, &result), -EREMOTEIO);
        e = shell_not_allowed_in(&stage.error);
        CU_ASSERT(e && strcmp(e->name, others[i]) == 0 && e->allowed.n == 8);
    }
    CU_ASSERT_EQUAL(run(NULL, "hello", "more", NULL, NULL, 1000, &result), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(shell_not_allowed_in(&stage.error));
    CU_ASSERT_EQUAL(run(&login, "hello", NULL, NULL, NULL, 1000, &result), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(shell_unreachable_in(&stage.error)); /* allowed, but no server listens */
    login.host = "127.0.0.1";
    CU_ASSERT_EQUAL(run(&login, "hello", NULL, NULL, NULL, 1000, &result), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(shell_not_allowed_in(&stage.error));
    CU_ASSERT_EQUAL(run(NULL, "hello", NULL, NULL, NULL, 0, &result), -EINVAL);
    CU_ASSERT_EQUAL(run(NULL, "missing", NULL, NULL, NULL, 1000, &result), -EREMOTEIO);
    CU_ASSERT(shell_not_started_in(&stage.error) &&
              shell_not_started_in(&stage.error)->os_errno == ENOENT);
}

static void a_wrong_password_is_typed(void) {
    shell_login login = at(ssh_port, "wrong");
    const shell_login_refused *e;
    Result result;
    bool by_password = false;

    CU_ASSERT_EQUAL(run(&login, "hello", NULL, NULL, NULL, 20000, &result), -EREMOTEIO);
    e = shell_login_refused_in(&stage.error);
    CU_ASSERT(e && strcmp(e->user, user) == 0);
    for (size_t i = 0; e && i < e->methods.n; i++)
        by_password = by_password || strcmp(e->methods.v[i], "password") == 0;
    CU_ASSERT_TRUE(by_password);
}

/* ---- in the clear ---- */

static void telnet_sends_the_password_as_it_is(void) {
    shell_list_said *said = NULL;
    bool password = false, answer = false, refusal = false;

    CU_ASSERT_EQUAL(shell_telnet(stage.client, "localhost", telnet_port, "anna", secret,
                                 "echo Hello, world", &said, &stage.error),
                    0);
    for (size_t i = 0; said && i < said->n; i++) {
        const ferry_bytes *bytes = &said->v[i].bytes;

        password = password ||
                   (said->v[i].by_us && memmem(bytes->data, bytes->len, secret, strlen(secret)));
        answer =
            answer || (!said->v[i].by_us && memmem(bytes->data, bytes->len, "Hello, world", 12));
        refusal = refusal || (said->v[i].by_us && bytes->len == 3 &&
                              memcmp(bytes->data, "\xff\xfc\x01", 3) == 0); /* WONT ECHO */
    }
    CU_ASSERT(password && answer && refusal);
    ferry_free(said);
}

/* Records the bytes from the client to sshd. */
typedef struct Recorder {
    int listener;
    uint16_t to;
    char bytes[65536];
    size_t n;
} Recorder;

static void *record(void *arg) {
    Recorder *recorder = arg;
    char port[8], piece[4096];
    Dial dial;
    int fd = accept(recorder->listener, NULL, NULL);
    ssize_t n = 1;

    snprintf(port, sizeof(port), "%u", recorder->to);
    if (!dial_host(&dial, AF_INET, "localhost", port, 10000))
        return NULL;
    while (n > 0) {
        struct pollfd fds[2] = {{fd, POLLIN, 0}, {dial.fd, POLLIN, 0}};

        poll(fds, 2, -1);
        for (int i = 0; i < 2 && n > 0; i++) {
            if (!fds[i].revents)
                continue;
            n = recv(fds[i].fd, piece, sizeof(piece), 0);
            if (n > 0 && i == 0 && recorder->n + (size_t)n < sizeof(recorder->bytes)) {
                memcpy(recorder->bytes + recorder->n, piece, (size_t)n);
                recorder->n += (size_t)n;
            }
            if (n > 0)
                n = send_all(i == 0 ? dial.fd : fd, piece, (size_t)n) == 0 ? n : 0;
        }
    }
    close(fd);
    close(dial.fd);
    return NULL;
}

static void ssh_sends_no_password_in_the_clear(void) {
    static Recorder recorder;
    shell_login login = at(0, secret);
    pthread_t thread;
    Result result;
    uint16_t port;

    recorder = (Recorder){.listener = listen_on("127.0.0.1", &port), .to = ssh_port};
    login.port = port;
    know("host.pub", port);
    pthread_create(&thread, NULL, record, &recorder);
    CU_ASSERT_EQUAL(run(&login, "hello", NULL, NULL, NULL, 20000, &result), -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(
        shell_login_refused_in(&stage.error)); /* this shows that the password was sent */
    pthread_join(thread, NULL);
    CU_ASSERT(recorder.n > 500 && !memmem(recorder.bytes, recorder.n, secret, strlen(secret)) &&
              memcmp(recorder.bytes, "SSH-2.0-", 8) == 0);
    close(recorder.listener);
}

static void a_telnet_host_may_refuse_or_say_something_else(void) {
    shell_list_said *said = NULL;
    const shell_not_expected *e;

    CU_ASSERT_EQUAL(shell_telnet(stage.client, "localhost", telnet_port, "anna", "wrong", "echo a",
                                 &said, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT_PTR_NOT_NULL(shell_login_refused_in(&stage.error));
    CU_ASSERT_EQUAL(shell_telnet(stage.client, "localhost", ssh_port, "anna", "wrong", "echo a",
                                 &said, &stage.error),
                    -EREMOTEIO);
    e = shell_not_expected_in(&stage.error);
    CU_ASSERT(e && strcmp(e->expected, "login:") == 0 && e->received.len >= 8 &&
              memcmp(e->received.data, "SSH-2.0-", 8) == 0);
}

/* ---- the hosts ---- */

static void make_script(const char *name, const char *text) {
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", world_folder(), name);
    file = fopen(path, "w");
    if (file) {
        fputs(text, file);
        fclose(file);
    }
    chmod(path, 0755);
}

static void set_up(char *sshd, char *telnetd, pid_t pids[2]) {
    char list[700], path[128], port[8];

    ssh_port = free_port();
    snprintf(port, sizeof(port), "%u", ssh_port);
    pids[0] = spawn("/bin/bash", sshd, world_folder(), port, NULL);
    pids[1] = spawn_on_port(&telnet_port, "/usr/bin/python3", telnetd, NULL);
    if (!wait_for_port("127.0.0.1", ssh_port)) {
        fprintf(stderr, "SKIP: no sshd: apt-get install openssh-server\n");
        exit(77);
    }
    make_script("die", "#!/bin/sh\nkill -9 $$\n");
    make_script("brood", "#!/bin/sh\nsleep 300 &\necho $!\nwait\n");
    snprintf(path, sizeof(path), "%s/other", world_folder());
    waitpid(spawn("/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path, NULL), NULL,
            0);
    snprintf(list, sizeof(list),
             "hello=echo Hello, world; echo=echo ...; shout=tr a-z A-Z; list=ls ...; die=%s/die; "
             "brood=%s/brood; missing=/nowhere/program; terminal=-",
             world_folder(), world_folder());
    setenv("SHELL_COMMANDS", list, 1);
    setenv("SHELL_ALLOW", "localhost", 1);
    snprintf(path, sizeof(path), "%s/user", world_folder());
    setenv("SHELL_SSH_KEY", path, 1);
    snprintf(path, sizeof(path), "%s/known", world_folder());
    setenv("SHELL_KNOWN_HOSTS", path, 1);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(a_client_that_checks_no_key_tells_an_impostor_its_password),
        TEST(commands_run_with_all_their_streams),
        TEST(the_connection_to_the_host_ends_with_the_call),
        TEST(arguments_are_never_read_by_a_shell),
        TEST(a_terminal_is_typed_into),
        TEST(much_goes_through_in_both_directions),
        TEST(the_time_limit_kills_children_too),
        TEST(closing_the_stream_kills_the_command),
        TEST(only_listed_commands_and_hosts_are_used),
        TEST(a_wrong_password_is_typed),
        TEST(telnet_sends_the_password_as_it_is),
        TEST(ssh_sends_no_password_in_the_clear),
        TEST(a_telnet_host_may_refuse_or_say_something_else),
        TESTS_END,
    };
    char sshd[200], telnetd[200];
    pid_t pids[2];
    int r;

    user = getpwuid(geteuid())->pw_name;
    snprintf(sshd, sizeof(sshd), "%s/shell/sshd.sh", getenv("EXAMPLES"));
    snprintf(telnetd, sizeof(telnetd), "%s/shell/telnetd.py", getenv("EXAMPLES"));
    set_up(sshd, telnetd, pids);
    stage_open(&stage, shell_start);
    r = run_suite("example shell", tests);
    stage_close(&stage);
    reap(pids[1]);
    reap(pids[0]);
    world_end();
    return r;
}
