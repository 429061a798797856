/* SPDX-License-Identifier: Apache-2.0 */
/* The values of settings. See setting.h. */

#include "base/setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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

static void write_bound(SettingKind kind, uint64_t number, char *to, size_t size) {
    static const struct {
        SettingKind kind;
        uint64_t factor;
        const char *unit;
    } units[] = {
        {SETTING_BYTES, 1 << 30, "G"}, {SETTING_BYTES, 1 << 20, "M"}, {SETTING_BYTES, 1 << 10, "K"},
        {SETTING_MS, 86400000, "d"},   {SETTING_MS, 3600000, "h"},    {SETTING_MS, 60000, "m"},
        {SETTING_MS, 1000, "s"},       {SETTING_MS, 1, "ms"},         {SETTING_PER_SECOND, 1, "/s"},
    };
    size_t i, n = sizeof(units) / sizeof(*units);

    for (i = 0; i < n; i++)
        if (units[i].kind == kind && number > 0 && number % units[i].factor == 0)
            break;
    snprintf(to, size, "%" PRIu64 "%s", i < n ? number / units[i].factor : number,
             i < n ? units[i].unit : "");
}

static const char *out_of_range(SettingKind kind, uint64_t min, uint64_t max) {
    static char text[80];
    char least[24], most[24];

    write_bound(kind, min, least, sizeof(least));
    write_bound(kind, max, most, sizeof(most));
    snprintf(text, sizeof(text), "out of range: %s to %s", least, most);
    return text;
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
        return out_of_range(kind, min, max);
    *ret = number;
    return NULL;
}
