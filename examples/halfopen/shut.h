/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The results at both ends of a TCP connection when one calls shutdown(). */

#include "halfopen.h"

typedef struct Shut {
    halfopen_halves halves; /* their texts lie here: */
    char texts[5][96];
} Shut;

int shut_observe(Shut *shut, int how); /* 0, or a negative errno */
