/* SPDX-License-Identifier: Apache-2.0 */
/* A small internet of a test's own. See world.h. */

#include "examples/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/sandbox.h"

enum { LOOKS = 200, LOOK_US = 50000 };

static char folder[] = "/tmp/ferry-world-XXXXXX";
static pid_t nsd, owner; /* the owner removes the folder; children that end by exit() do not */

const char *world_folder(void) {
    if (owner == 0) {
        if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
            skip("no folder: %s", strerror(errno));
        owner = getpid();
        atexit(world_end);
    }
    return folder;
}

/* ---- the records of the name server ---- */

static const char zone[] = "$ORIGIN example.test.\n"
                           "$TTL 300\n"
                           "@ SOA ns1 host 1 3600 600 86400 60\n"
                           "@ 86400 NS ns1\n"
                           "@ 86400 NS ns2\n"
                           "@ A 127.0.0.1\n"
                           "@ AAAA ::1\n"
                           "@ MX 20 mx2\n"
                           "@ MX 10 mx1\n"
                           "@ MX 15 mx6\n"
                           "@ MX 30 mxalias\n"
                           "ns1 A 127.0.0.1\n"
                           "ns2 A 127.0.0.1\n"
                           "mx1 A 127.0.0.11\n"
                           "mx2 A 127.0.0.21\n"
                           "mx2 A 127.0.0.22\n"
                           "mx6 AAAA ::1\n"
                           "mxalias CNAME mx1\n"
                           "www CNAME example.test.\n"
                           "four A 127.0.0.4\n"
                           "six AAAA ::1\n"
                           "bare A 127.0.0.31\n"
                           "redirect CNAME bare\n"
                           "onward CNAME redirect\n"
                           "loop1 CNAME loop2\n"
                           "loop2 CNAME loop1\n"
                           "dangling CNAME nowhere\n"
                           "nomail MX 0 .\n"
                           "text TXT only\n";

static const char reverse[] = "$ORIGIN 127.in-addr.arpa.\n"
                              "$TTL 300\n"
                              "@ SOA ns1.example.test. host.example.test. 1 3600 600 86400 60\n"
                              "@ NS ns1.example.test.\n"
                              "4.0.0 PTR four.example.test.\n";

static const char root_zone[] = "$TTL 300\n"
                                ". SOA ns1.example.test. host.example.test. 1 3600 600 86400 60\n"
                                ". NS ns1.example.test.\n"
                                "test. NS ns1.example.test.\n"
                                "127.in-addr.arpa. NS ns1.example.test.\n";

static void zone_file(const char *name, const char *text) {
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "w");
    if (!file)
        skip("%s: %s", path, strerror(errno));
    fputs(text, file);
    if (strcmp(name, "example.test") == 0) /* more addresses than fit into a datagram of 1232 */
        for (int i = 1; i <= 100; i++)
            fprintf(file, "many A 127.0.9.%d\n", i);
    fclose(file);
}

static void start_nsd(void) {
    static const char *const zones[] = {"example.test", "127.in-addr.arpa", "broken.test", "."};
    char path[128];
    FILE *config;

    zone_file("example.test", zone);
    zone_file("127.in-addr.arpa", reverse);
    zone_file("root", root_zone);
    snprintf(path, sizeof(path), "%s/nsd.conf", folder);
    config = fopen(path, "w");
    if (!config)
        skip("%s: %s", path, strerror(errno));
    fprintf(config,
            "server:\n ip-address: 127.0.0.1\n port: 53\n username: \"\"\n chroot: \"\"\n"
            " zonesdir: \"%s\"\n database: \"\"\n pidfile: \"\"\n zonelistfile: \"%s/list\"\n"
            " xfrdfile: \"\"\n xfrdir: \"%s\"\n server-count: 1\n tcp-count: 20\n"
            "remote-control:\n control-enable: no\n",
            folder, folder, folder);
    for (size_t i = 0; i < sizeof(zones) / sizeof(*zones); i++)
        fprintf(config, "zone:\n name: \"%s\"\n zonefile: \"%s\"\n", zones[i],
                strcmp(zones[i], ".") == 0 ? "root" : zones[i]);
    fclose(config);
    nsd = spawn("/usr/sbin/nsd", "-d", "-c", path, NULL);
    if (!wait_for_port("127.0.0.1", 53))
        skip("NSD does not start");
}

/* ---- the namespace ---- */

static void replace_file(const char *path, const char *text) {
    char mine[160];

    snprintf(mine, sizeof(mine), "%s%s", folder, strrchr(path, '/'));
    if (!write_file(mine, text) || chmod(mine, 0644) < 0 ||
        (access(path, F_OK) == 0 && mount(mine, path, NULL, MS_BIND, NULL) < 0))
        skip("%s cannot be replaced: %s", path, strerror(errno));
}

static void raise_loopback(void) {
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP}, more = {.ifr_name = "lo:1"};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("192.0.2.1")};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(&more.ifr_addr, &address, sizeof(address));
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &up) < 0 || ioctl(fd, SIOCSIFADDR, &more) < 0)
        skip("no loopback: %s", strerror(errno));
    close(fd);
}

static void enter(void) {
    sandbox_enter(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip("mounts cannot be made private: %s", strerror(errno));
    world_folder();
    if (sethostname("here.lan.test", strlen("here.lan.test")) < 0)
        skip("no name of its own: %s", strerror(errno));
    raise_loopback();
    replace_file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n");
    replace_file("/etc/nsswitch.conf",
                 "hosts: files dns\nservices: files\nprotocols: files\npasswd: files\n");
    replace_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"
                               "127.0.0.2 anna.lan.test anna annie\n::1 anna6.lan.test\n");
}

void world_start(void) {
    if (access("/usr/sbin/nsd", X_OK) != 0)
        skip("no NSD: apt-get install nsd");
    enter();
    start_nsd();
}

int world_isolate(void) {
    pid_t child = fork(); /* sandbox_enter() ends the process that may not */
    int status = 0;

    if (child == 0) {
        freopen("/dev/null", "w", stderr);
        sandbox_enter(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        return 0;
    enter();
    return 1;
}

void world_end(void) {
    char command[96];

    if (owner != getpid())
        return;
    owner = -1;
    reap(nsd);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        perror(command);
}

/* ---- programs ---- */

enum { WORDS_MAX = 40 };

static void collect(char *words[WORDS_MAX], const char *program, va_list args) {
    words[0] = (char *)(uintptr_t)program;
    for (int i = 1; i < WORDS_MAX - 1 && (words[i] = va_arg(args, char *)); i++)
        ;
}

/* out: for its standard output; -1: the log. */
static pid_t run(char **words, int out) {
    char log[160];
    pid_t pid;

    snprintf(log, sizeof(log), "%s/%s.log", world_folder(), strrchr(words[0], '/') + 1);
    pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    dup2(out >= 0 ? out : STDERR_FILENO, STDOUT_FILENO);
    execv(words[0], words);
    _exit(127);
}

pid_t spawn(const char *program, ...) {
    char *words[WORDS_MAX] = {NULL};
    va_list args;

    va_start(args, program);
    collect(words, program, args);
    va_end(args);
    return run(words, -1);
}

pid_t spawn_on_port(uint16_t *ret_port, const char *program, ...) {
    char *words[WORDS_MAX] = {NULL}, line[200] = "", *digits = NULL;
    va_list args;
    int fds[2];
    FILE *from;
    pid_t pid;

    va_start(args, program);
    collect(words, program, args);
    va_end(args);
    if (pipe2(fds, O_CLOEXEC) < 0)
        skip("no pipe: %s", strerror(errno));
    pid = run(words, fds[1]);
    close(fds[1]);
    from = fdopen(fds[0], "r"); /* stays open, so that the server can write further output */
    if (!from || !fgets(line, sizeof(line), from))
        skip("%s does not start", program);
    for (char *c = line; *c; c++) /* the last number of the line */
        if (*c >= '0' && *c <= '9' && (c == line || c[-1] < '0' || c[-1] > '9'))
            digits = c;
    *ret_port = (uint16_t)(digits ? atoi(digits) : 0);
    return pid;
}

void world_make_certificates(void) {
    char command[400];

    snprintf(command, sizeof(command), "'%s/tls/certificates.sh' %s", getenv("EXAMPLES"),
             world_folder());
    if (system(command) != 0)
        skip("no certificates: the command openssl is missing");
}

char *world_read(const char *path) {
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 1 << 20);

    if (file && text)
        text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
    if (file)
        fclose(file);
    return text;
}

void reap(pid_t pid) {
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

int wait_for_port(const char *address, uint16_t port) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address), .sin_port = htons(port)};

    for (int i = 0; i < LOOKS; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r = connect(fd, (struct sockaddr *)&to, sizeof(to));

        close(fd);
        if (r == 0)
            return 1;
        usleep(LOOK_US);
    }
    return 0;
}

int listen_on(const char *address, uint16_t *ret_port) {
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct sockaddr_storage bound;
    struct addrinfo *found = NULL;
    int fd = -1;

    if (getaddrinfo(address, NULL, &hints, &found) == 0)
        fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 8) < 0 ||
                    getsockname(fd, (struct sockaddr *)&bound, &(socklen_t){sizeof(bound)}) < 0)) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0)
        *ret_port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    if (found)
        freeaddrinfo(found);
    return fd;
}
