/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For `ferry store`: a data folder while no broker uses it. */

#include "broker/stores/scan.h"

/* Called for each job that is stored, in the order of the journal. `record` has its fields of now,
 * lent. A return value other than 0 ends the walk. */
typedef int (*CompactJobFn)(const DiskRecord *record, void *ctx);

/* Returns 0, the value of fn that ended the walk, or a negative errno. */
int store_each_job(const Folder *folder, const Contents *contents, CompactJobFn fn, void *ctx);

/* Writes what counts to new segments, and removes the old ones. scan_repair() comes first. */
int store_compact(Folder *folder, const Contents *contents, ferry_error *reterr);
