#pragma once

/*
 * What goes to standard output. Messages and jobs: raw bodies, a line each, or JSON, an object a
 * line. What the broker tells of itself: tables, fields, or JSON.
 */

#include "clients/cli/run/cli.h"
#include "clients/cli/terminal/table.h"

/* The body, and a newline. On a terminal, what could steer it is escaped. */
void show_body(const Cli *cli, ferry_bytes body);

void show_message(const Cli *cli, const ferry_message *message, bool with_topic);
void show_job(const Cli *cli, const ferry_job *job);

/* Inside a JSON object: a text when it is UTF-8, else {"$bin": "…"}. */
void show_json_body(ferry_bytes body);

/* JSON for programs; indented on a terminal. */
void show_json(const Cli *cli, const json_t *json);

/* Rows as a table, or as JSON with --json. */
void show_rows(const Cli *cli, const json_t *rows, const Column *columns);

/* The pairs of an object, a line each; times and sizes with their units on a terminal. */
void show_fields(const Cli *cli, const json_t *object);
