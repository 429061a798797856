/* SPDX-License-Identifier: Apache-2.0 */
/* Untrusted text on the terminal. See out.h. */

#include "clients/cli/terminal/out.h"

#include <stdlib.h>

#include "base/text.h"

void out_formatv(FILE *to, const char *format, va_list args) {
    char *text = NULL;
    int n = vasprintf(&text, format, args);

    if (n >= 0)
        text_print_safe(to, text, (size_t)n);
    free(text);
}

void out_format(FILE *to, const char *format, ...) {
    va_list args;

    va_start(args, format);
    out_formatv(to, format, args);
    va_end(args);
}

void out_raw(FILE *to, ferry_bytes data) {
    if (data.len > 0)
        fwrite(data.data, 1, data.len, to);
}
