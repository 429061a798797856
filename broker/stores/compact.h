/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For `ferry store`: works on a data folder that no broker uses. */

#include "broker/stores/scan.h"

/* Called for each stored job, in the order of the journal. `record` has the job's present state; it
 * is valid during the call. A return value other than 0 ends the walk. */
typedef int (*CompactJobFn)(const DiskRecord *record, void *ctx);

/* Returns 0, or a negative errno, or the value of fn that ended the walk. */
int store_each_job(const Folder *folder, const Contents *contents, CompactJobFn fn, void *ctx);

/* Writes the jobs and settings that are still valid to new segments, and removes the old segments.
 * Call scan_repair() first. */
int store_compact(Folder *folder, const Contents *contents, ferry_error *reterr);
