/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The order with which typed calls and codecs are measured, the same in every program. */

#include <stdint.h>

enum { ORDER_N_ITEMS = 4, ORDER_TOKEN_BYTES = 16 };

#define ORDER_ID         4711
#define ORDER_CUSTOMER   "Ada Lovelace"
#define ORDER_PAID       1
#define ORDER_TOTAL      129.95
#define ORDER_QUANTITY   3
#define ORDER_CURRENCY   "EUR"
#define ORDER_CREATED_MS 1700000000000
#define ORDER_NOTE       "leave it with the neighbour"

static const int32_t order_items[ORDER_N_ITEMS] = {0, 1, 2, 3};
static const uint8_t order_token[ORDER_TOKEN_BYTES] = {1, 2, 3};
