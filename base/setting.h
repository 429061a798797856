/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The values of settings: one parser for all sections of the configuration file. */

#include <stdint.h>

typedef enum SettingKind {
    SETTING_COUNT,      /* "100" */
    SETTING_BYTES,      /* "4096", "64K", "1M", "2G" */
    SETTING_PER_SECOND, /* "100/s"; a number without a unit means the same */
    SETTING_MS,         /* "250ms", "5s", "2m", "1h", "1d"; a number without a unit: seconds */
} SettingKind;

/* Reads a value. Returns NULL and sets *ret, or returns the text of the problem, which is
 * valid until the next call, and leaves *ret untouched. */
const char *setting_parse(SettingKind kind, const char *value, uint64_t min, uint64_t max,
                          uint64_t *ret);
