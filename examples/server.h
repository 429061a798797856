#pragma once

/*
 * What a server in this folder is: one function that offers its service on a client. A main of its
 * own (server-main.c) or one for many of them (all/main.c) connects the client and runs it.
 */

#include <ferry/ferry.h>

typedef int start_fn(ferry_client *client, ferry_error *reterr);

start_fn arith_start, caps_start, chat_start, framing_start, lucky_start, pi_start, rollcall_start,
    sixteen_start, zen_start;
