/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The base of every load generator: processes that end with their parent, one page of shared
 * memory, the clock, the processor time, and one line of JSON as the result.
 *
 * A load generator is a table of LabRow and `return lab_main(argc, argv, rows);`. A row forks its
 * consumers with lab_fork(), drives the load itself or from one more child, and reports once.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    LAB_MAX_ENDS = 100,      /* servers, callers, subscribers or workers of one row */
    LAB_LEAD_FANOUT = 20000, /* messages a publisher may be ahead of its slowest subscriber */
    LAB_LEAD_SHARED = 10000, /* jobs a producer may be ahead of all its workers together */
    LAB_CALL_TIMEOUT_MS = 5000,
};

typedef struct LabArgs {
    size_t size;     /* bytes of payload */
    unsigned window; /* operations in flight, or in one batch */
    unsigned n_ends; /* servers, callers, subscribers or workers: 1 to LAB_MAX_ENDS */
    int port;        /* of the server under test, on 127.0.0.1 */
    pid_t pid;       /* its process, where its memory is measured */
    double seconds;  /* measured, after the warm-up */
    char *payload;   /* size bytes of text and a NUL */
} LabArgs;

typedef struct LabUse {
    uint64_t at_ns;
    uint64_t cpu_ns; /* of the row's processes: clients, brokers and servers */
} LabUse;

typedef struct LabRow {
    const char *section;
    const char *variant;
    void (*run)(const LabArgs *args);
} LabRow;

/* Usage: PROGRAM SECTION VARIANT [--size N] [--window N] [--ends N] [--port N]
 * [--pid N]... [--seconds S]. The first pid is the server under test; processor time is taken from
 * all of them. rows ends with an empty row. Returns the exit code. */
int lab_main(int argc, char **argv, const LabRow *rows);

/* Prints the message with errno's text and ends this process, and with it its children or its
 * parent. */
_Noreturn void lab_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define LAB_CHECK(condition)                                                                       \
    do {                                                                                           \
        if (!(condition))                                                                          \
            lab_die("%s:%d: %s", __FILE__, __LINE__, #condition);                                  \
    } while (0)

/* ---- processes ---- */

/* 0 in the child, which must never return from the row. Fork before the parent has threads. */
pid_t lab_fork(void);
void lab_stop_children(void);

/* lab_ready(): a child reports that it is ready. lab_wait_ready(): waits until n children have
 * reported. */
void lab_ready(void);
void lab_wait_ready(unsigned n);

/* Endpoints that a child has chosen, for the other processes: "tcp://127.0.0.1:4711". */
enum { LAB_FRONT, LAB_BACK, LAB_N_ENDPOINTS };
char *lab_endpoint(int which); /* 64 bytes in the shared page */

/* A TCP port on 127.0.0.1 that was free a moment ago. */
int lab_free_port(void);

void lab_sleep_us(unsigned us);

/* ---- consumed messages ---- */

typedef enum LabFlow {
    LAB_FANOUT, /* every consumer gets every message */
    LAB_SHARED, /* every message goes to one consumer */
} LabFlow;

void lab_consumed(unsigned end, uint64_t n);

/* True: a producer that has sent this many messages may send more; lab_pace() waits until it may.
 * Without this limit, a fast producer would measure how a server drops messages or fills memory. */
bool lab_may_send(LabFlow flow, const LabArgs *args, uint64_t sent);
void lab_pace(LabFlow flow, const LabArgs *args, uint64_t sent);

/* Measures what all consumers consume together, and reports it. */
void lab_measure_consumed(const LabArgs *args);

/* ---- memory ---- */

/* Measures the server's resident memory for each of --window idle connections. connect opens a
 * connection that lasts as long as the process. */
void lab_measure_memory(const LabArgs *args, pid_t server, void (*connect)(const LabArgs *args));

/* ---- streams ---- */

enum { LAB_STREAM_MIB = 1024 };

/* The given number of bytes, sent to the server and back. */
typedef struct LabStream {
    uint64_t n_sent, n_back;
    LabUse start;
} LabStream;

void lab_stream_start(LabStream *stream);
void lab_stream_sent(LabStream *stream, size_t len);
void lab_stream_back(LabStream *stream, size_t len);
uint64_t lab_stream_left(const LabStream *stream); /* bytes still to be sent */

/* lab_stream_is_over(): all bytes are back. lab_stream_report(): reports MiB per second in one
 * direction, and the peak memory of this process, of its children and of the server under test. */
bool lab_stream_is_over(const LabStream *stream);
void lab_stream_report(const LabStream *stream, const LabArgs *args);

/* ---- calls ---- */

/* One call at a time: p50 and p99. call returns 0, or anything else for a failure. */
void lab_measure_latency(const LabArgs *args, int (*call)(void *ctx), void *ctx);

/* Like the function above, with n_ends callers at the same time, each a process with its own
 * connection. connect returns the ctx of its calls. */
void lab_measure_callers(const LabArgs *args, void *(*connect)(const LabArgs *args),
                         int (*call)(void *ctx));

/* Many calls in flight: add the answered calls until the meter reports that the time is up, then
 * report. */
typedef struct LabMeter {
    double seconds;
    bool warm;
    uint64_t n;
    uint64_t next_look; /* the clock is read once in a while, not for each answer */
    uint64_t n_start;
    uint64_t end_ns;
    LabUse start;
} LabMeter;

void lab_meter_start(LabMeter *meter, const LabArgs *args);
bool lab_meter_add(LabMeter *meter, uint64_t n);
void lab_meter_report(LabMeter *meter);
