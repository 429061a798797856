/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Functions that all applications of this service use. */

#include "website.h"

/* A value of the environment; "": the key is missing. */
const char *environ_get(const website_map_string_string *variables, const char *key);

/* Sends the head of a response. type: Content-Type, or NULL. length -1: not known yet. */
int respond_head(ferry_request *request, int status, const char *reason, const char *type,
                 int64_t length);

/* Sends a piece of the body; waits while the reader does not read. */
int respond_body(ferry_request *request, const void *data, size_t len);

/* Sends a whole text response. */
int respond_text(ferry_request *request, const website_map_string_string *variables, int status,
                 const char *reason, const char *type, const char *text, size_t len);

/* In files.c; path is relative to the folder. */
int respond_file(ferry_request *request, const website_map_string_string *variables,
                 const char *path);
