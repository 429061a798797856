#pragma once

/* Messages and jobs on standard output: raw bodies, a line each, or JSON, an object a line. */

#include "clients/cli/cli.h"

/* The body, and a newline. */
void show_body(ferry_bytes body);

void show_message(const Cli *cli, const ferry_message *message, bool with_topic);
void show_job(const Cli *cli, const ferry_job *job);

/* Inside a JSON object: a text when it is UTF-8, else {"$bin": "…"}. */
void show_json_body(ferry_bytes body);
