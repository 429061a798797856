/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * MessagePack bytes to JSON and back, without loss. A value that JSON cannot express is written as
 * an object with one key:
 *
 *     {"$bin": "AAEC"}                bytes, in base64
 *     {"$str": "/w=="}                a str that is not UTF-8, in base64
 *     {"$int": "18446744073709551615"}  an integer over 2^63-1
 *     {"$float": "nan"}               nan, inf, -inf
 *     {"$ext": [5, "AAEC"]}           an extension type, and its bytes in base64
 *     {"$map": [[1, "a"], …]}         a map whose keys are not all different strings, or that
 *                                     looks like one of these forms
 */

#include <jansson.h>

#include <ferry/ferry.h>

#include "base/buffer.h"

enum {
    VALUE_DEPTH_MAX = 32,      /* the limit of the protocol */
    VALUE_NODES_MAX = 4000000, /* a tree of a million nodes takes about 60 MB */
};

/* Converts bytes with exactly one value. -EINVAL: ferry.InvalidArgument, with the place;
 * -ENOMEM. */
int value_to_json(ferry_bytes bytes, json_t **ret, ferry_error *reterr);

/* Appends the value. 0; -EINVAL: reterr has the path, "[0].range.$bin: …". */
int value_from_json(const json_t *json, Buffer *to, ferry_error *reterr);

/* Parses any JSON value; an error's text begins with `what` and has the position. */
int value_parse(const char *text, size_t len, const char *what, json_t **ret, ferry_error *reterr);

/* Decodes base64 into a JSON string; NULL when the bytes are not UTF-8. */
json_t *value_text_of_base64(const char *base64);
