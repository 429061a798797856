/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command on a host by SSH, after checking the host's key. */

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "dial.h"
#include "shell-server.h"

enum { PIECE = 16384, TURN_MS = 5, METHODS_MAX = 4, LINE_MAX_LEN = 65536 };

typedef struct Remote {
    ferry_request *request;
    const shell_login *login;
    Relay *relay;
    ssh_session session;
    ssh_channel channel;
    char killed_by[32]; /* a signal's name; empty: it ended by itself */
} Remote;

/* ---- failures ---- */

static int throw_unreachable(Remote *remote, int error, const char *why) {
    char message[256];

    snprintf(message, sizeof(message), "%s", why);
    for (char *c = message; *c; c++)
        *c = (char)(*c < 32 || *c > 126 ? '?'
                                        : *c); /* the text may contain bytes that the host sent */
    return shell_throw_unreachable(remote->request,
                                   &(shell_unreachable){remote->login->host, error, message});
}

static int throw_session(Remote *remote) {
    return throw_unreachable(remote, 0, ssh_get_error(remote->session));
}

static int throw_login_refused(Remote *remote) {
    int list = ssh_userauth_list(remote->session, NULL);
    const char *methods[METHODS_MAX];
    size_t n = 0;

    if (list & SSH_AUTH_METHOD_PUBLICKEY)
        methods[n++] = "publickey";
    if (list & SSH_AUTH_METHOD_PASSWORD)
        methods[n++] = "password";
    if (list & SSH_AUTH_METHOD_INTERACTIVE)
        methods[n++] = "keyboard-interactive";
    return shell_throw_login_refused(
        remote->request,
        &(shell_login_refused){remote->login->user,
                               {n, methods},
                               remote->login->password ? "the host refuses the password"
                                                       : "the host refuses the server's key"});
}

/* ---- the host and its key ---- */

/* Checks the host's key. 1: it is the known key. 0: it is not, and the request was answered. Or a
 * negative errno. */
static int check_host(Remote *remote, int *ret) {
    enum ssh_known_hosts_e verdict = ssh_session_is_known_server(remote->session);
    const char *host = remote->login->host, *type;
    char *fingerprint = NULL;
    unsigned char *hash = NULL;
    ssh_key key = NULL;
    size_t len = 0;

    if (verdict == SSH_KNOWN_HOSTS_OK)
        return 1;
    if (ssh_get_server_publickey(remote->session, &key) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) == 0)
        fingerprint = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
    type = key ? ssh_key_type_to_char(ssh_key_type(key)) : NULL;
    if (verdict == SSH_KNOWN_HOSTS_CHANGED || verdict == SSH_KNOWN_HOSTS_OTHER)
        *ret = shell_throw_changed_host_key(
            remote->request,
            &(shell_changed_host_key){host, type ? type : "", fingerprint ? fingerprint : "",
                                      "the host's key differs from its known key"});
    else
        *ret = shell_throw_unknown_host_key(
            remote->request,
            &(shell_unknown_host_key){host, type ? type : "", fingerprint ? fingerprint : "",
                                      "the host's key is not known"});
    ssh_string_free_char(fingerprint);
    ssh_clean_pubkey_hash(&hash);
    ssh_key_free(key);
    return 0;
}

/* Logs in. True: the host has accepted the login. */
static bool log_in(Remote *remote) {
    const char *path = getenv("SHELL_SSH_KEY");
    ssh_key key = NULL;
    int r = SSH_AUTH_ERROR;

    ssh_userauth_none(remote->session, NULL); /* asks which methods there are */
    if (remote->login->password) {
        r = ssh_userauth_password(remote->session, NULL, remote->login->password);
    } else if (path && ssh_pki_import_privkey_file(path, NULL, NULL, NULL, &key) == SSH_OK) {
        r = ssh_userauth_publickey(remote->session, NULL, key);
        ssh_key_free(key);
    }
    return r == SSH_AUTH_SUCCESS;
}

/* ---- the command ---- */

/* Quotes each word, because a shell on the remote side parses the line. */
static char *quote_words(char **words) {
    char *line = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&line, &len);

    for (; out && *words; words++) {
        fputs(len || ftell(out) ? " '" : "'", out);
        for (const char *c = *words; *c; c++)
            fputs(*c == '\'' ? "'\\''" : (char[]){*c, '\0'}, out);
        putc('\'', out);
    }
    if (out)
        fclose(out);
    return line;
}

static void on_signal(ssh_session session, ssh_channel channel, const char *signal, int core,
                      const char *message, const char *language, void *ctx) {
    Remote *remote = ctx;

    (void)session;
    (void)channel;
    (void)core;
    (void)message;
    (void)language;
    for (size_t i = 0; signal && signal[i] && i + 1 < sizeof(remote->killed_by); i++)
        remote->killed_by[i] = (char)(signal[i] > 32 && signal[i] < 127 ? signal[i] : '?');
}

static int feed(Remote *remote, bool *ended) {
    Relay *relay = remote->relay;
    uint32_t window = ssh_channel_window_size(remote->channel);
    int r = relay_fetch(relay), n;
    size_t left;

    if (r < 0)
        return r;
    if (r == 0) {
        if (relay->input_ended && !*ended)
            ssh_channel_send_eof(remote->channel);
        *ended = relay->input_ended;
        return 0;
    }
    left = relay->input->len - relay->at;
    left = left < window ? left : window;
    n = left > 0 ? ssh_channel_write(remote->channel, (const char *)relay->input->data + relay->at,
                                     (uint32_t)left)
                 : 0;
    if (n < 0) /* the command has stopped reading */
        n = (int)(relay->input->len - relay->at);
    relay->at += (size_t)n;
    return 0;
}

/* Forwards new standard output or standard error. 1: there was some; 0: there is no output now; or
 * a negative errno. */
static int take(Remote *remote, bool is_err) {
    char piece[PIECE];
    int n = ssh_channel_read_nonblocking(remote->channel, piece, sizeof(piece), is_err), r;

    if (n <= 0)
        return 0;
    r = relay_put(remote->relay, is_err, piece, (size_t)n);
    return r < 0 ? r : 1;
}

static int attend(Remote *remote) {
    struct pollfd ready = {.fd = ssh_get_fd(remote->session), .events = POLLIN};
    bool ended = false;
    int r = 0, some;

    while (r == 0) {
        r = relay_look(remote->relay);
        if (r == 0)
            r = feed(remote, &ended);
        some = 0;
        for (int err = 0; r == 0 && err < 2; err++) {
            r = take(remote, err);
            some += r > 0;
            r = r > 0 ? 0 : r;
        }
        if (r == 0 && !some && ssh_channel_is_eof(remote->channel))
            break;
        if (r == 0 && !some && !ssh_is_connected(remote->session))
            return -EPIPE;
        if (r == 0 && !some)
            poll(&ready, 1, TURN_MS);
    }
    return r;
}

static int report(Remote *remote) {
    const int32_t status = ssh_channel_get_exit_status(remote->channel);
    bool killed = remote->killed_by[0] != '\0';
    char text[64];

    if (killed)
        snprintf(text, sizeof(text), "killed by SIG%s", remote->killed_by);
    else
        snprintf(text, sizeof(text), "exit status %d", status);
    return relay_put_exit(remote->relay, &(shell_exit){killed ? NULL : &status, NULL, text});
}

/* line NULL: a login shell on a terminal. */
static int execute(Remote *remote, const char *line) {
    struct ssh_channel_callbacks_struct callbacks = {.userdata = remote,
                                                     .channel_exit_signal_function = on_signal};
    int r = SSH_OK;

    remote->channel = ssh_channel_new(remote->session);
    ssh_callbacks_init(&callbacks);
    if (!remote->channel || ssh_set_channel_callbacks(remote->channel, &callbacks) != SSH_OK ||
        ssh_channel_open_session(remote->channel) != SSH_OK)
        return throw_session(remote);
    if (line)
        r = ssh_channel_request_exec(remote->channel, line);
    else if ((r = ssh_channel_request_pty(remote->channel)) == SSH_OK)
        r = ssh_channel_request_shell(remote->channel);
    if (r != SSH_OK)
        return throw_session(remote);
    r = attend(remote);
    if (r == 0)
        r = report(remote);
    else
        ssh_channel_request_send_signal(remote->channel, "KILL");
    ssh_channel_close(remote->channel);
    ssh_channel_free(remote->channel);
    if (r == -EPIPE)
        return throw_unreachable(remote, EPIPE, "the connection broke");
    return r < 0 ? relay_fail(remote->relay, r) : shell_ssh_return(remote->request);
}

/* ---- the session ---- */

static int connect_and_execute(Remote *remote, int fd, const char *line) {
    const char *known = getenv("SHELL_KNOWN_HOSTS");
    unsigned port = (unsigned)remote->login->port;
    long seconds = remote->relay->limit_ms / 1000 + 1;
    int r = 0;

    ssh_options_set(remote->session, SSH_OPTIONS_HOST, remote->login->host);
    ssh_options_set(remote->session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(remote->session, SSH_OPTIONS_USER, remote->login->user);
    ssh_options_set(remote->session, SSH_OPTIONS_FD, &fd);
    ssh_options_set(remote->session, SSH_OPTIONS_TIMEOUT, &seconds);
    ssh_options_set(remote->session, SSH_OPTIONS_KNOWNHOSTS, known ? known : "/dev/null");
    ssh_options_set(remote->session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
    ssh_options_set(remote->session, SSH_OPTIONS_PROCESS_CONFIG, &(bool){false});
    if (ssh_connect(remote->session) != SSH_OK)
        return throw_session(remote);
    if (check_host(remote, &r) == 1)
        r = log_in(remote) ? execute(remote, line) : throw_login_refused(remote);
    ssh_disconnect(remote->session);
    return r;
}

static int dial_and_execute(Remote *remote, const char *line) {
    const shell_login *login = remote->login;
    char port[16];
    Dial dial;
    int error, r;

    snprintf(port, sizeof(port), "%d", login->port);
    if (!dial_host(&dial, AF_UNSPEC, login->host, port, (uint32_t)remote->relay->limit_ms)) {
        error = dial.n_attempts > 0 ? dial.attempts[dial.n_attempts - 1].error : 0;
        return throw_unreachable(remote, error,
                                 dial.gai ? gai_strerror(dial.gai) : strerror(error));
    }
    remote->session = ssh_new();
    if (!remote->session) {
        close(dial.fd);
        return -ENOMEM;
    }
    r = connect_and_execute(remote, dial.fd, line);
    ssh_free(remote->session);
    close(dial.fd); /* a session does not close the descriptor that it was given */
    return r;
}

int run_by_ssh(ferry_request *request, const shell_login *login, const char *command,
               const ferry_list_string *arguments, int32_t limit_ms, void *ctx) {
    Allowed allowed;
    Relay relay;
    Remote remote = {.request = request, .login = login, .relay = &relay};
    char port[16], **words, *line = NULL;
    int r = relay_begin(&relay, request, RELAY_SSH, limit_ms);

    (void)ctx;
    if (r < 0)
        return ferry_request_fail(request, r, NULL);
    snprintf(port, sizeof(port), "%d", login->port);
    if (login->port < 1 || login->port > UINT16_MAX ||
        !dial_allowed("SHELL_ALLOW", login->host, port))
        return throw_not_allowed(request, NULL, login->host,
                                 "this server may not connect to that host");
    allowed_load(&allowed);
    words = allowed_words(request, &allowed, command, arguments, &r);
    if (words) {
        line = words[0] ? quote_words(words) : NULL;
        r = strcmp(command, "terminal") == 0 || line
                ? dial_and_execute(&remote, strcmp(command, "terminal") == 0 ? NULL : line)
                : throw_not_allowed(request, &allowed, command, "the command has no words");
    }
    free(line);
    free(words);
    allowed_free(&allowed);
    relay_end(&relay);
    return r;
}
