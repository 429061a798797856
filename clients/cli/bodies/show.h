/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Standard output of the commands. Messages and jobs: raw bodies, one per line, or JSON, one object
 * per line. Answers of the broker: tables, fields, or JSON.
 */

#include "clients/cli/bodies/body-type.h"
#include "clients/cli/run/cli.h"
#include "clients/cli/terminal/table.h"

/* Prints data: unchanged in a pipe, with control characters escaped on a terminal. */
void show_bytes(const Cli *cli, ferry_bytes bytes);

/* As show_bytes(), and a newline. */
void show_body(const Cli *cli, ferry_bytes body);

/* The parts of a message to print beside its body. */
typedef struct ShowStyle {
    bool topic;
    bool time; /* the current time, as the time of arrival */
    BodyType unpack;
} ShowStyle;

void show_message(const Cli *cli, const ferry_message *message, const ShowStyle *style);
void show_job(const Cli *cli, const ferry_job *job, const BodyType *unpack);

/* Prints a body inside a JSON object: a string when it is UTF-8, else {"$bin": "…"}. */
void show_json_body(ferry_bytes body);

/* Prints JSON, indented on a terminal. */
void show_json(const Cli *cli, const json_t *json);

/* Prints rows as a table, or as JSON with --json. */
void show_rows(const Cli *cli, const json_t *rows, const Column *columns);

/* Prints the pairs of an object, one per line; times and sizes have units on a terminal. */
void show_fields(const Cli *cli, const json_t *object);
