/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that a test starts. See process.h. */

#include "support/process.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { WORDS_MAX = 24, EXIT_SKIPPED = 77, EXIT_NO_PROGRAM = 127 };

static void give_up(const char *what) {
    fprintf(stderr, "the test cannot continue: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

void sleep_ms(uint64_t ms) {
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000 * 1000000)};

    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

/* ---- starting and ending ---- */

typedef struct Start {
    const char *const *words;
    const char *log; /* file for its standard error; NULL: that of the test */
    unsigned max_fds;
    size_t max_data;
    bool listen; /* the test reads its standard output */
} Start;

static void become(const Start *start, const int *pipe_fds) {
    /* When the test ends in any way, its children end too. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (start->listen)
        dup2(pipe_fds[1], STDOUT_FILENO);
    if (start->log) {
        int fd = open(start->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        dup2(fd, STDERR_FILENO);
    }
    if (start->max_fds > 0)
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){start->max_fds, start->max_fds});
    if (start->max_data > 0)
        setrlimit(RLIMIT_DATA, &(struct rlimit){start->max_data, start->max_data});
    execv(start->words[0], (char *const *)(uintptr_t)start->words);
    _exit(EXIT_NO_PROGRAM);
}

static void process_start(Process *process, const Start *start) {
    int fds[2] = {-1, -1};

    *process = (Process){.out = -1};
    if (start->listen && pipe2(fds, O_CLOEXEC) < 0)
        give_up("pipe");
    process->pid = fork();
    if (process->pid < 0)
        give_up("fork");
    if (process->pid == 0)
        become(start, fds);
    if (start->listen) {
        close(fds[1]);
        process->out = fds[0];
    }
}

void process_signal(Process *process, int signal) {
    if (process->pid > 0)
        kill(process->pid, signal);
}

int process_end(Process *process, int signal, int timeout_ms) {
    uint64_t until_ms = clock_ms() + (uint64_t)timeout_ms;
    int status = 0, result;

    if (process->pid <= 0)
        return 0;
    if (signal)
        kill(process->pid, signal);
    while (waitpid(process->pid, &status, WNOHANG) == 0) {
        if (clock_ms() > until_ms) {
            kill(process->pid, SIGKILL);
            waitpid(process->pid, &status, 0);
            status = -1;
            break;
        }
        sleep_ms(1);
    }
    result = status == -1 ? INT_MIN : WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    if (process->out >= 0)
        close(process->out);
    *process = (Process){.out = -1};
    return result;
}

bool process_is_over(Process *process) {
    if (process->pid <= 0 || waitpid(process->pid, NULL, WNOHANG) != process->pid)
        return false;
    if (process->out >= 0)
        close(process->out);
    *process = (Process){.out = -1};
    return true;
}

/* ---- roles ---- */

void roles_play(int argc, char **argv, const Role *roles) {
    if (argc < 3 || strcmp(argv[1], "--role") != 0)
        return;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (; roles->name; roles++)
        if (strcmp(roles->name, argv[2]) == 0)
            exit(roles->play(argc - 3, argv + 3));
    exit(EXIT_NO_PROGRAM);
}

void role_start(Process *process, const char *role, ...) {
    const char *words[WORDS_MAX] = {"/proc/self/exe", "--role", role};
    size_t n = 3;
    va_list args;

    va_start(args, role);
    while (n < WORDS_MAX - 1 && (words[n] = va_arg(args, const char *)))
        n++;
    va_end(args);
    process_start(process, &(Start){.words = words, .listen = true});
}

void tell(const char *format, ...) {
    va_list args;

    flockfile(stdout); /* threads tell at the same time, each a whole line */
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
}

const char *told(Process *process, int timeout_ms) {
    static char line[sizeof(process->waiting)];
    uint64_t until_ms = clock_ms() + (uint64_t)timeout_ms;

    for (;;) {
        char *end = memchr(process->waiting, '\n', process->n_waiting);
        struct pollfd fd = {process->out, POLLIN, 0};
        uint64_t now_ms = clock_ms();
        ssize_t n;

        if (end) {
            size_t len = (size_t)(end - process->waiting);

            memcpy(line, process->waiting, len);
            line[len] = '\0';
            process->n_waiting -= len + 1;
            memmove(process->waiting, end + 1, process->n_waiting);
            return line;
        }
        if (now_ms >= until_ms || poll(&fd, 1, (int)(until_ms - now_ms)) <= 0)
            return NULL;
        n = read(process->out, process->waiting + process->n_waiting,
                 sizeof(process->waiting) - process->n_waiting);
        if (n <= 0)
            return NULL;
        process->n_waiting += (size_t)n;
    }
}

bool told_count(Process *process, const char *word, long at_least, int timeout_ms, long *ret) {
    uint64_t until_ms = clock_ms() + (uint64_t)timeout_ms;
    size_t len = strlen(word);

    for (;;) {
        uint64_t now_ms = clock_ms();
        const char *line = now_ms < until_ms ? told(process, (int)(until_ms - now_ms)) : NULL;
        long n;

        if (!line)
            return false;
        if (strncmp(line, word, len) != 0 || line[len] != ' ')
            continue;
        n = strtol(line + len, NULL, 10);
        if (n < at_least)
            continue;
        if (ret)
            *ret = n;
        return true;
    }
}

/* ---- figures ---- */

static bool read_proc(pid_t pid, const char *name, char *to, size_t size) {
    char path[64];
    FILE *file;
    size_t n;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    file = fopen(path, "re");
    if (!file)
        return false;
    n = fread(to, 1, size - 1, file);
    fclose(file);
    to[n] = '\0';
    return n > 0;
}

size_t process_rss_kib(pid_t pid) {
    char text[4096];
    const char *at;

    if (!read_proc(pid, "status", text, sizeof(text)))
        return 0;
    at = strstr(text, "VmRSS:");
    return at ? strtoul(at + 6, NULL, 10) : 0;
}

size_t process_n_fds(pid_t pid) {
    char text[64];
    struct stat info;
    size_t n = 0;

    for (int fd = 0; fd < 4096; fd++) {
        snprintf(text, sizeof(text), "/proc/%d/fd/%d", (int)pid, fd);
        n += lstat(text, &info) == 0;
    }
    return n;
}

/* ---- brokers ---- */

/* True: from now on, no other test on this machine gets the port. A name in the abstract namespace
 * lasts until this process ends. */
static bool reserve(uint16_t port) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "ferry-test-port-%u", port);

    if (bind(fd, (struct sockaddr *)&name,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
        return true;
    close(fd);
    return false;
}

uint16_t free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (int i = 0; i < 200; i++) {
        uint16_t port = (uint16_t)(12000 + (getpid() * 37u + (unsigned)rand()) % 9000);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_free;

        if (fd < 0)
            give_up("socket");
        at.sin_port = htons(port);
        is_free = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
        close(fd);
        if (is_free && reserve(port))
            return port;
    }
    give_up("a free port");
    return 0;
}

static void start_with(const Daemon *daemon, Process *process, const char *log) {
    const char *program = getenv("FERRY_TEST_BROKER");
    char endpoints[256];
    const char *words[] = {program,
                           endpoints,
                           daemon->options.level ? daemon->options.level : "warning",
                           daemon->options.config ? daemon->config : "",
                           daemon->options.data ? daemon->data : "",
                           NULL};

    if (!program) {
        fprintf(stderr, "FERRY_TEST_BROKER is not set: run this by meson test\n");
        exit(EXIT_SKIPPED);
    }
    snprintf(endpoints, sizeof(endpoints), "%s%s%s", daemon->url, daemon->options.host ? "," : "",
             daemon->options.host ? daemon->tcp_url : "");
    process_start(process, &(Start){.words = words,
                                    .log = log,
                                    .max_fds = daemon->options.max_fds,
                                    .max_data = daemon->options.max_data});
}

static bool listens(const Daemon *daemon) {
    const char *host = daemon->options.host ? daemon->options.host : "127.0.0.1";
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(daemon->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(daemon->port)};
    bool is_four = inet_pton(AF_INET, host, &four.sin_addr) == 1, yes;
    int fd;

    /* The broker opens the socket before the port. */
    if (daemon->port == 0)
        return access(daemon->url + strlen("ipc://"), F_OK) == 0;
    inet_pton(AF_INET6, host, &six.sin6_addr);
    fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    yes = connect(fd, is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six,
                  is_four ? sizeof(four) : sizeof(six)) == 0;
    close(fd);
    return yes;
}

void daemon_relaunch(Daemon *daemon) {
    if (!daemon->options.tcp)
        unlink(daemon->url + strlen("ipc://"));
    start_with(daemon, &daemon->process, daemon->log);
}

void daemon_restart(Daemon *daemon) {
    uint64_t until_ms = clock_ms() + 120000; /* enough for a busy machine */

    daemon_relaunch(daemon);
    while (!listens(daemon)) {
        if (clock_ms() > until_ms)
            give_up("the broker does not start");
        sleep_ms(2);
    }
}

void daemon_configure(Daemon *daemon, const char *config) {
    FILE *file = fopen(daemon->config, "we");

    if (!file)
        give_up(daemon->config);
    fputs(config, file);
    fclose(file);
}

static void daemon_prepare(Daemon *daemon, const DaemonOptions *options) {
    *daemon = (Daemon){.folder = "/tmp/ferry-test-XXXXXX"};
    if (options)
        daemon->options = *options;
    if (!mkdtemp(daemon->folder))
        give_up("mkdtemp");
    snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->folder);
    snprintf(daemon->config, sizeof(daemon->config), "%s/config", daemon->folder);
    snprintf(daemon->data, sizeof(daemon->data), "%s/data", daemon->folder);
    if (daemon->options.config)
        daemon_configure(daemon, daemon->options.config);
    if (daemon->options.tcp || daemon->options.host)
        daemon->port = daemon->options.port ? daemon->options.port : free_port();
    if (daemon->options.tcp)
        snprintf(daemon->url, sizeof(daemon->url), "tcp://127.0.0.1:%u", daemon->port);
    else
        snprintf(daemon->url, sizeof(daemon->url), "ipc://%s/broker", daemon->folder);
    if (daemon->options.host)
        snprintf(daemon->tcp_url, sizeof(daemon->tcp_url),
                 strchr(daemon->options.host, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u",
                 daemon->options.host, daemon->port);
}

void daemon_start(Daemon *daemon, const DaemonOptions *options) {
    daemon_prepare(daemon, options);
    daemon_restart(daemon);
}

void daemon_launch(Daemon *daemon, const DaemonOptions *options) {
    daemon_prepare(daemon, options);
    daemon_relaunch(daemon);
}

void daemon_kill(Daemon *daemon) {
    process_end(&daemon->process, SIGKILL, 10000);
}

void daemon_end(Daemon *daemon) {
    char command[128];

    daemon_kill(daemon);
    snprintf(command, sizeof(command), "rm -rf '%s'", daemon->folder);
    if (system(command) != 0)
        fprintf(stderr, "%s is left\n", daemon->folder);
}

int daemon_start_second(const Daemon *daemon, char *said, size_t size) {
    Process process;
    char log[160];
    int status;
    FILE *file;
    size_t n = 0;

    snprintf(log, sizeof(log), "%s/second", daemon->folder);
    start_with(daemon, &process, log);
    status = process_end(&process, 0, 120000);
    file = fopen(log, "re");
    if (file) {
        n = fread(said, 1, size - 1, file);
        fclose(file);
    }
    said[n] = '\0';
    unlink(log);
    return status;
}

size_t daemon_log_lines(const Daemon *daemon, const char *containing) {
    FILE *file = fopen(daemon->log, "re");
    char line[8192];
    size_t n = 0;

    while (file && fgets(line, sizeof(line), file))
        n += !containing || strstr(line, containing) != NULL;
    if (file)
        fclose(file);
    return n;
}

bool daemon_log_is_clean(const Daemon *daemon) {
    FILE *file = fopen(daemon->log, "re");
    bool clean = true;
    int c;

    while (file && (c = fgetc(file)) != EOF)
        clean = clean && (c == '\n' || isprint(c) || c >= 0x80);
    if (file)
        fclose(file);
    return clean;
}
