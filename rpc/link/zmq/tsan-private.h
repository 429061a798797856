/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For ThreadSanitizer. libzmq is not instrumented, so ThreadSanitizer cannot see that a thread's
 * writes to a frame happen before libzmq's own thread frees that frame.
 */

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define given_to_libzmq(at)  __tsan_release(at)
#define back_from_libzmq(at) __tsan_acquire(at)
#else
#define given_to_libzmq(at)  (void)(at)
#define back_from_libzmq(at) (void)(at)
#endif
