/* SPDX-License-Identifier: Apache-2.0 */
/* The values of settings. See setting.h. */

#include "base/setting.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

/* A count, with or without "/s". */
static int parse_rate(const char *value, uint64_t *ret) {
    char digits[24];
    size_t len = strlen(value);

    if (len > 2 && strcmp(value + len - 2, "/s") == 0)
        len -= 2;
    if (len >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, value, len);
    digits[len] = '\0';
    return text_parse_count(digits, ret);
}

const char *setting_parse(SettingKind kind, const char *value, uint64_t min, uint64_t max,
                          uint64_t *ret) {
    static const char *const expected[] = {
        [SETTING_COUNT] = "expected a number",
        [SETTING_BYTES] = "expected a size such as 4096, 64K, 1M or 2G",
        [SETTING_PER_SECOND] = "expected a rate such as 100/s",
        [SETTING_MS] = "expected a time such as 250ms, 5s, 2m, 1h or 1d",
    };
    uint64_t number;
    int r = kind == SETTING_COUNT        ? text_parse_count(value, &number)
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
