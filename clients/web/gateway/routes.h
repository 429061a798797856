/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The handlers below /v1, of /rpc and of /openapi.json: HTTP for programs that do not speak ferry.
 */

#include "clients/web/http/server.h"

/* ---- http-call.c ---- */

void gateway_call(HttpRequest *request);

/* ---- send.c ---- */

void gateway_publish(HttpRequest *request);
void gateway_push(HttpRequest *request);

/* ---- topic-streams.c ---- */

void gateway_subscribe(HttpRequest *request);

/* ---- rpc.c ---- */

void gateway_rpc(HttpRequest *request);

/* ---- openapi.c ---- */

void gateway_openapi(HttpRequest *request);
