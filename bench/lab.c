/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    WARM_UP_MS = 300,
    PATIENCE_MS = 15000, /* for servers to come up and the first message to arrive */
    METER_STEP = 64,     /* answers between two looks at the clock */
    MAX_SAMPLES = 1 << 20,
    MAX_CALLER_SAMPLES = 1 << 17, /* of one caller */
    MAX_CHILDREN = LAB_MAX_ENDS + 8,
    MAX_SERVERS = 4,
    FIRST_CONNECTIONS = 10, /* not measured: they include one-time set-up costs */
    MEMORY_SETTLE_MS = 500,
};

/* Each count has its own cache line, so that consumers do not slow each other down by counting. */
typedef struct Count {
    _Alignas(64) _Atomic uint64_t n;
} Count;

typedef struct Page {
    atomic_uint n_ready;
    char endpoints[LAB_N_ENDPOINTS][64];
    Count consumed[LAB_MAX_ENDS];
    atomic_bool measures; /* callers count their calls */
} Page;

static Page *page;
static pid_t children[MAX_CHILDREN];
static unsigned n_children;
static pid_t watched[MAX_SERVERS]; /* the servers under test that are not children */
static unsigned n_watched;

/* ---- processes ---- */

void lab_die(const char *format, ...) {
    va_list args;
    int e = errno;

    fputs("bench: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, e ? " (%s)\n" : "\n", strerror(e));
    _exit(EXIT_FAILURE);
}

void lab_sleep_us(unsigned us) {
    struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};

    nanosleep(&t, NULL);
}

/* A child ends early only if something is broken. Without this handler the row would wait for ever,
 * or report a wrong figure. The kernel ends the other children when this process ends: see
 * lab_fork(). */
static void on_child_end(int signal_number) {
    static const char text[] = "bench: a child process ended early\n";

    (void)signal_number;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(EXIT_FAILURE);
    _exit(EXIT_FAILURE);
}

pid_t lab_fork(void) {
    pid_t parent = getpid();
    pid_t child;

    if (n_children == MAX_CHILDREN)
        lab_die("more than %d children", MAX_CHILDREN);

    child = fork();
    if (child < 0)
        lab_die("fork");
    if (child > 0) {
        children[n_children++] = child;
        return child;
    }

    signal(SIGCHLD, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    n_children = 0;
    return 0;
}

void lab_stop_children(void) {
    signal(SIGCHLD, SIG_DFL);
    for (unsigned i = 0; i < n_children; i++)
        kill(children[i], SIGKILL);
    for (unsigned i = 0; i < n_children; i++)
        waitpid(children[i], NULL, 0);
    n_children = 0;
}

void lab_ready(void) {
    atomic_fetch_add(&page->n_ready, 1);
}

void lab_wait_ready(unsigned n) {
    uint64_t end_ms = clock_ms() + PATIENCE_MS;

    errno = 0;
    while (atomic_load(&page->n_ready) < n) {
        if (clock_ms() > end_ms)
            lab_die("only %u of %u processes got ready", atomic_load(&page->n_ready), n);
        lab_sleep_us(1000);
    }
}

char *lab_endpoint(int which) {
    return page->endpoints[which];
}

int lab_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    LAB_CHECK(fd >= 0);
    LAB_CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    LAB_CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* ---- time and results ---- */

static uint64_t cpu_ns_of(pid_t pid) {
    struct timespec used;
    clockid_t id;

    if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &used) < 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* Sums the row's own processes, so that other work on the machine is not counted. */
static LabUse use_now(void) {
    LabUse use = {.at_ns = clock_ns(), .cpu_ns = cpu_ns_of(0)};

    for (unsigned i = 0; i < n_watched; i++)
        use.cpu_ns += cpu_ns_of(watched[i]);
    for (unsigned i = 0; i < n_children; i++)
        use.cpu_ns += cpu_ns_of(children[i]);
    return use;
}

static double cpu_us_each(const LabUse *start, const LabUse *end, uint64_t n) {
    return n ? (double)(end->cpu_ns - start->cpu_ns) / 1e3 / (double)n : 0;
}

static void report_rate(const LabUse *start, const LabUse *end, uint64_t n) {
    double seconds = (double)(end->at_ns - start->at_ns) / 1e9;

    printf("{\"rate\": %.1f, \"cpu_us\": %.3f, \"n\": %llu}\n", (double)n / seconds,
           cpu_us_each(start, end, n), (unsigned long long)n);
}

/* ---- consumed messages ---- */

void lab_consumed(unsigned end, uint64_t n) {
    _Atomic uint64_t *count = &page->consumed[end].n;
    uint64_t before = atomic_load_explicit(count, memory_order_relaxed);

    /* Each count has one writer, so no locked instruction is needed. */
    atomic_store_explicit(count, before + n, memory_order_relaxed);
}

static uint64_t consumed_by_all(unsigned n_ends) {
    uint64_t sum = 0;

    for (unsigned i = 0; i < n_ends; i++)
        sum += atomic_load_explicit(&page->consumed[i].n, memory_order_relaxed);
    return sum;
}

static uint64_t consumed_by_slowest(unsigned n_ends) {
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < n_ends; i++) {
        uint64_t n = atomic_load_explicit(&page->consumed[i].n, memory_order_relaxed);

        if (n < least)
            least = n;
    }
    return least;
}

bool lab_may_send(LabFlow flow, const LabArgs *args, uint64_t sent) {
    return flow == LAB_FANOUT ? sent <= consumed_by_slowest(args->n_ends) + LAB_LEAD_FANOUT
                              : sent <= consumed_by_all(args->n_ends) + LAB_LEAD_SHARED;
}

void lab_pace(LabFlow flow, const LabArgs *args, uint64_t sent) {
    while (!lab_may_send(flow, args, sent))
        lab_sleep_us(50);
}

void lab_measure_consumed(const LabArgs *args) {
    uint64_t end_ms = clock_ms() + PATIENCE_MS;
    uint64_t n_start, n_end;
    LabUse start, end;

    errno = 0;
    while (consumed_by_slowest(args->n_ends) == 0) {
        if (clock_ms() > end_ms)
            lab_die("a consumer got nothing");
        lab_sleep_us(1000);
    }
    lab_sleep_us(WARM_UP_MS * 1000);

    start = use_now();
    n_start = consumed_by_all(args->n_ends);
    lab_sleep_us((unsigned)(args->seconds * 1e6));
    n_end = consumed_by_all(args->n_ends);
    end = use_now();

    if (n_end == n_start)
        lab_die("the consumers stopped consuming");
    report_rate(&start, &end, n_end - n_start);
}

/* ---- memory ---- */

static long resident_kib(pid_t pid) {
    char path[64];
    long n_pages = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    file = fopen(path, "re");
    LAB_CHECK(file);
    LAB_CHECK(fscanf(file, "%*d %ld", &n_pages) == 1);
    fclose(file);
    return n_pages * (sysconf(_SC_PAGESIZE) / 1024);
}

void lab_measure_memory(const LabArgs *args, pid_t pid, void (*connect)(const LabArgs *args)) {
    struct rlimit limit;
    long before, after;

    LAB_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    LAB_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);

    for (unsigned i = 0; i < FIRST_CONNECTIONS; i++)
        connect(args);
    lab_sleep_us(MEMORY_SETTLE_MS * 1000);
    before = resident_kib(pid);
    for (unsigned i = 0; i < args->window; i++)
        connect(args);
    lab_sleep_us(MEMORY_SETTLE_MS * 1000);
    after = resident_kib(pid);
    printf("{\"kib\": %.2f, \"n\": %u}\n", (double)(after - before) / args->window, args->window);
}

/* ---- streams ---- */

/* Returns the peak of a process's resident memory, including the pages that a child shares with its
 * parent. */
static double peak_mib(pid_t pid) {
    char path[64], line[256];
    long kib = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    LAB_CHECK(file);
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    fclose(file);
    return (double)kib / 1024;
}

void lab_stream_start(LabStream *stream) {
    *stream = (LabStream){.start = use_now()};
}

void lab_stream_sent(LabStream *stream, size_t len) {
    stream->n_sent += len;
}

void lab_stream_back(LabStream *stream, size_t len) {
    stream->n_back += len;
}

uint64_t lab_stream_left(const LabStream *stream) {
    uint64_t all = (uint64_t)LAB_STREAM_MIB << 20;

    return stream->n_sent < all ? all - stream->n_sent : 0;
}

bool lab_stream_is_over(const LabStream *stream) {
    return lab_stream_left(stream) == 0 && stream->n_back == stream->n_sent;
}

void lab_stream_report(const LabStream *stream, const LabArgs *args) {
    LabUse end = use_now();
    double seconds = (double)(end.at_ns - stream->start.at_ns) / 1e9;
    double mib = (double)stream->n_back / (1 << 20);
    double peak = fmax(peak_mib(getpid()), args->pid > 0 ? peak_mib(args->pid) : 0);

    errno = 0;
    LAB_CHECK(lab_stream_is_over(stream));
    for (unsigned i = 0; i < n_children; i++)
        peak = fmax(peak, peak_mib(children[i]));
    printf("{\"rate\": %.1f, \"cpu_us\": %.3f, \"peak_mib\": %.1f, \"n\": %.0f}\n", mib / seconds,
           cpu_us_each(&stream->start, &end, (uint64_t)mib), peak, mib);
}

/* ---- calls ---- */

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report_latency(uint32_t *took_ns, size_t n, const LabUse *start, const LabUse *end) {
    errno = 0;
    LAB_CHECK(n > 0);
    qsort(took_ns, n, sizeof(*took_ns), compare_u32);
    printf("{\"p50_us\": %.2f, \"p99_us\": %.2f, \"cpu_us\": %.3f, \"n\": %zu}\n",
           took_ns[n / 2] / 1e3, took_ns[n * 99 / 100] / 1e3, cpu_us_each(start, end, n), n);
}

void lab_measure_latency(const LabArgs *args, int (*call)(void *ctx), void *ctx) {
    uint32_t *took_ns = malloc(MAX_SAMPLES * sizeof(*took_ns));
    uint64_t end_ns = clock_ns() + WARM_UP_MS * 1000000ull;
    uint64_t began_ns = 0;
    size_t n = 0;
    LabUse start, end;

    LAB_CHECK(took_ns);
    while (clock_ns() < end_ns)
        LAB_CHECK(call(ctx) == 0);

    start = use_now();
    end_ns = start.at_ns + (uint64_t)(args->seconds * 1e9);
    while ((began_ns = clock_ns()) < end_ns && n < MAX_SAMPLES) {
        LAB_CHECK(call(ctx) == 0);
        took_ns[n++] = (uint32_t)(clock_ns() - began_ns);
    }
    end = use_now();
    report_latency(took_ns, n, &start, &end);
    free(took_ns);
}

/* Samples in memory that all processes share. */
typedef struct Samples {
    atomic_uint n;
    uint32_t took_ns[MAX_CALLER_SAMPLES];
} Samples;

static _Noreturn void call_for_ever(Samples *samples, int (*call)(void *ctx), void *ctx) {
    lab_ready();
    for (;;) {
        bool counts = atomic_load_explicit(&page->measures, memory_order_relaxed);
        uint64_t began_ns = clock_ns();
        unsigned n = atomic_load_explicit(&samples->n, memory_order_relaxed);

        LAB_CHECK(call(ctx) == 0);
        if (!counts || n == MAX_CALLER_SAMPLES)
            continue;
        samples->took_ns[n] = (uint32_t)(clock_ns() - began_ns);
        atomic_store_explicit(&samples->n, n + 1, memory_order_release);
    }
}

void lab_measure_callers(const LabArgs *args, void *(*connect)(const LabArgs *args),
                         int (*call)(void *ctx)) {
    Samples *samples = mmap(NULL, args->n_ends * sizeof(*samples), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned n_servers = atomic_load(&page->n_ready);
    uint32_t *took_ns;
    LabUse start, end;
    size_t n = 0;

    LAB_CHECK(samples != MAP_FAILED);
    for (unsigned i = 0; i < args->n_ends; i++)
        if (lab_fork() == 0)
            call_for_ever(&samples[i], call, connect(args));
    lab_wait_ready(n_servers + args->n_ends);
    lab_sleep_us(WARM_UP_MS * 1000);
    start = use_now();
    atomic_store(&page->measures, true);
    lab_sleep_us((unsigned)(args->seconds * 1e6));
    atomic_store(&page->measures, false);
    end = use_now();

    took_ns = malloc(args->n_ends * sizeof(samples->took_ns));
    LAB_CHECK(took_ns);
    for (unsigned i = 0; i < args->n_ends; i++) {
        unsigned of_caller = atomic_load_explicit(&samples[i].n, memory_order_acquire);

        memcpy(took_ns + n, samples[i].took_ns, of_caller * sizeof(*took_ns));
        n += of_caller;
    }
    report_latency(took_ns, n, &start, &end);
    free(took_ns);
}

void lab_meter_start(LabMeter *meter, const LabArgs *args) {
    *meter = (LabMeter){
        .seconds = args->seconds,
        .end_ns = clock_ns() + WARM_UP_MS * 1000000ull,
    };
}

bool lab_meter_add(LabMeter *meter, uint64_t n) {
    meter->n += n;
    if (meter->n < meter->next_look)
        return false;

    meter->next_look = meter->n + METER_STEP;
    if (clock_ns() < meter->end_ns)
        return false;
    if (meter->warm)
        return true;

    meter->warm = true;
    meter->n_start = meter->n;
    meter->start = use_now();
    meter->end_ns = meter->start.at_ns + (uint64_t)(meter->seconds * 1e9);
    return false;
}

void lab_meter_report(LabMeter *meter) {
    LabUse end = use_now();

    report_rate(&meter->start, &end, meter->n - meter->n_start);
}

/* ---- the program around the rows ---- */

static unsigned long parse_number(const char *text, unsigned long low, unsigned long high) {
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    errno = 0;
    if (*end || end == text || n < low || n > high)
        lab_die("'%s' is not a number from %lu to %lu", text, low, high);
    return n;
}

static void parse_options(int argc, char **argv, LabArgs *args) {
    static const struct option options[] = {
        {"size", required_argument, NULL, 's'},
        {"window", required_argument, NULL, 'w'},
        {"ends", required_argument, NULL, 'e'},
        {"port", required_argument, NULL, 'p'},
        {"pid", required_argument, NULL, 'i'},
        {"seconds", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            args->size = parse_number(optarg, 1, 8 << 20);
            break;
        case 'w':
            args->window = (unsigned)parse_number(optarg, 1, 1 << 20);
            break;
        case 'e':
            args->n_ends = (unsigned)parse_number(optarg, 1, LAB_MAX_ENDS);
            break;
        case 'p':
            args->port = (int)parse_number(optarg, 1, 65535);
            break;
        case 'i':
            if (n_watched == MAX_SERVERS)
                exit(2);
            watched[n_watched++] = (pid_t)parse_number(optarg, 1, INT32_MAX);
            args->pid = watched[0];
            break;
        case 't':
            args->seconds = strtod(optarg, NULL);
            break;
        default:
            exit(2);
        }
    }
}

static const LabRow *find_row(const LabRow *rows, const char *section, const char *variant) {
    for (const LabRow *row = rows; row->section; row++)
        if (strcmp(row->section, section) == 0 && strcmp(row->variant, variant) == 0)
            return row;
    return NULL;
}

static int print_usage(const char *program, const LabRow *rows) {
    fprintf(stderr,
            "Usage: %s SECTION VARIANT [--size N] [--window N] [--ends N] [--port N] [--pid N]... "
            "[--seconds S]\n",
            program);
    for (const LabRow *row = rows; row->section; row++)
        fprintf(stderr, "  %s %s\n", row->section, row->variant);
    return 2;
}

int lab_main(int argc, char **argv, const LabRow *rows) {
    LabArgs args = {.size = 64, .window = 1, .n_ends = 1, .seconds = 0.6};
    const LabRow *row;

    parse_options(argc, argv, &args);
    row = argc - optind == 2 ? find_row(rows, argv[optind], argv[optind + 1]) : NULL;
    if (!row || !(args.seconds > 0 && args.seconds <= 60))
        return print_usage(argv[0], rows);

    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    LAB_CHECK(page != MAP_FAILED);
    args.payload = malloc(args.size + 1);
    LAB_CHECK(args.payload);
    memset(args.payload, 'x', args.size);
    args.payload[args.size] = '\0';

    signal(SIGPIPE, SIG_IGN);
    /* A stopped child (SIGSTOP) has not ended. */
    sigaction(
        SIGCHLD,
        &(struct sigaction){.sa_handler = on_child_end, .sa_flags = SA_RESTART | SA_NOCLDSTOP},
        NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    row->run(&args);

    /* Skip the libraries' exit handlers: some of them wait for threads that wait for a dead peer.
     */
    lab_stop_children();
    fflush(stdout);
    _exit(EXIT_SUCCESS);
}
