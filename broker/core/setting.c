/* SPDX-License-Identifier: Apache-2.0 */
/* The values of settings. See setting.h. */

#include "broker/core/setting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static int parse_count(const char *value, uint64_t *ret) {
    char *end;

    errno = 0;
    *ret = strtoull(value, &end, 10);
    return *value < '0' || *value > '9' || *end || errno ? -EINVAL : 0;
}

static int parse_rate(const char *value, uint64_t *ret) {
    char *end;

    errno = 0;
    *ret = strtoull(value, &end, 10);
    return *value < '0' || *value > '9' || (*end && strcmp(end, "/s") != 0) || errno ? -EINVAL : 0;
}

const char *setting_parse(SettingKind kind, const char *value, uint64_t min, uint64_t max,
                          uint64_t *ret) {
    static const char *const expected[] = {
        [SETTING_COUNT] = "a number is expected",
        [SETTING_BYTES] = "a size is written as 4096, 64K, 1M or 2G",
        [SETTING_PER_SECOND] = "a rate is written as 100/s",
        [SETTING_MS] = "a time is written as 250ms, 5s, 2m, 1h or 1d",
    };
    uint64_t number;
    int r = kind == SETTING_COUNT        ? parse_count(value, &number)
            : kind == SETTING_PER_SECOND ? parse_rate(value, &number)
            : kind == SETTING_BYTES      ? text_parse_bytes(value, &number)
                                         : text_parse_ms(value, &number);

    if (r < 0)
        return expected[kind];
    if (number < min || number > max)
        return "the number is out of range";
    *ret = number;
    return NULL;
}
