/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The state of the web client that its handlers share, and questions to the broker. */

#include <jansson.h>

#include <ferry/ferry.h>

#include "clients/web/http/server.h"

/* The client of one user, with the state that depends on it. */
typedef struct Web {
    ferry_client *client;
    struct Sampler *sampler;
    struct LiveStates *live;
    struct Descriptions *descriptions;
    struct TopicStreams *topic_streams;
    struct ItemStream *item_streams; /* utlist: calls that yield items */
    struct Upload *uploads;          /* utlist: calls that take items */
    size_t upload_bytes;             /* of their items */
    char *url;                       /* of the broker, without passwords */
    bool is_up, is_away;             /* both false: no attempt to connect has ended yet */
    char problem[256];               /* the reason why the broker is away */
} Web;

/* ---- ask.c ---- */

/* Exactly one of answer and error is NULL. Both are lent. */
typedef void (*AskFn)(json_t *answer, const ferry_error *error, void *ctx);

/* Calls a method of ferry.Broker. format has a letter for each argument: s, a text; u, an integer
 * (uint64_t). fn is called once: in a later turn, or at once if the call cannot be made. */
void ask(Web *web, AskFn fn, void *ctx, const char *method, const char *format, ...);

/* Asks, and answers the request with the broker's answer, shaped by present(), or with its error.
 * A null answer becomes {}. key: wrap the answer in an object under this key; NULL: do not wrap it.
 */
void ask_for(HttpRequest *request, const char *key, const char *method, const char *format, ...);

/* ---- present.c ---- */

/*
 * Converts the broker's answers for browsers, in place: numbers of jobs and sessions become texts,
 * and so do other integers beyond 2^53; bodies become "body" (a text) or "body_base64", and "value"
 * where they are one MessagePack map or list.
 */
void present(json_t *json);

/* Adds the three members for a body to an object. */
void present_body(json_t *to, ferry_bytes body);

/* Converts integers beyond 2^53 to texts, in place, including {"$int": "…"}. Returns json, or its
 * replacement. */
json_t *present_integers(json_t *json);

/* ---- problem.c ---- */

/* Returns the HTTP status for an error. */
unsigned problem_status(const ferry_error *error);

/* Makes a problem of RFC 9457 from an error. */
json_t *problem_new(const ferry_error *error, unsigned status);

/* Answers the request with the problem for this error. */
void problem_reply(HttpRequest *request, const ferry_error *error);

/* ---- input.c ---- */

/* Returns the body as a JSON object. NULL: the body is not an object, and the request was answered
 * with an error. */
json_t *input_object(HttpRequest *request);

/* Returns a member that must be a text. NULL: it is missing or not a text, and the request was
 * answered with an error. */
const char *input_text(HttpRequest *request, const json_t *object, const char *key);

/* Parses a decimal number of a path. False: the text is not a number, and the request was answered
 * with an error. */
bool input_number(HttpRequest *request, const char *text, uint64_t *ret);
