/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Health checks for supervisors and load balancers. */

#include "clients/web/http/server.h"

/* Handlers of routes: /healthz reports whether this process serves, /readyz whether the broker
 * takes work. */
void health_of_process(HttpRequest *request);
void health_of_broker(HttpRequest *request);
