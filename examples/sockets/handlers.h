/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The handlers of this service, a file for each subject. */

#include "sockets.h"

/* Answers that a system call failed; error is an errno. */
int throw_os_error(ferry_request *request, const char *call, int error);

/* options.c */
int filenos(ferry_request *request, int32_t count, void *ctx);
int get_option(ferry_request *request, sockets_kind kind, const char *name, void *ctx);
int list_options(ferry_request *request, sockets_kind kind, void *ctx);
int set_option(ferry_request *request, sockets_kind kind, const char *name, int32_t value,
               void *ctx);
int path_mtu(ferry_request *request, const char *address, void *ctx);

/* entries.c */
int entries(ferry_request *request, const sockets_filter *filter, void *ctx);

/* walk.c */
int walk(ferry_request *request, void *ctx);
int rebind(ferry_request *request, bool reuse_address, void *ctx);
