/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Access to numbers and pointers that threads share without a lock. */

#define get(p)    __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define put(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define bump(p)   __atomic_add_fetch((p), 1, __ATOMIC_ACQ_REL)
