#pragma once

/* The broker as a program: `ferry broker`. */

#include <stdbool.h>
#include <stddef.h>

typedef struct BrokerOptions {
    const char *const *binds; /* endpoints; none: those of the configuration */
    size_t n_binds;
    const char *usual_bind; /* when that has none either; NULL or "": tcp://127.0.0.1:5877 */
    const char *data;       /* folder of the broker's own; NULL: nothing is kept */
    const char *config;     /* file; NULL: none */
    const char *log_level;  /* NULL: that of the configuration, else info */
    bool insecure;          /* listen beyond this machine without keys */
    bool check_config;      /* read it, say what is wrong, and end */
} BrokerOptions;

/* Runs until SIGTERM or SIGINT (drains: takes nothing new, ends what was begun, for at most
 * drain_timeout) or a second one (ends at once). SIGHUP reads the configuration again. Returns an
 * exit status, having said on standard error what was wrong. */
int broker_main(const BrokerOptions *options);
