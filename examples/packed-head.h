/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The head of a MessagePack value: its kind and the amount of data behind it. Pure: no network. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum HeadKind {
    HEAD_NIL,
    HEAD_BOOL,
    HEAD_INT,  /* below zero */
    HEAD_UINT, /* zero or above */
    HEAD_REAL,
    HEAD_STR,
    HEAD_BIN,
    HEAD_EXT,
    HEAD_ARRAY,
    HEAD_MAP
} HeadKind;

typedef struct Head {
    HeadKind kind;
    size_t len; /* octets of the head itself */
    uint64_t n; /* octets that follow (HEAD_STR, _BIN, _EXT), values (_ARRAY), pairs (_MAP) */
    int64_t sint;
    uint64_t uint;
    double real;
    bool truth;
} Head;

enum { HEAD_CUT = 1, HEAD_UNKNOWN = 2 };

/* 0, HEAD_CUT: more octets are needed, or HEAD_UNKNOWN: no value begins with this octet. */
int head_read(Head *head, const void *data, size_t len);
