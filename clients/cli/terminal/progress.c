/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar. See progress.h. */

#include "clients/cli/terminal/progress.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

enum { BAR = 24, DRAW_US = 100000 };

const char *progress_si(char to[16], double value) {
    static const char *const units[] = {"", " k", " M", " G"};
    size_t i = 0;

    for (; value >= 9999.5 && i < 3; i++)
        value /= 1000;
    snprintf(to, 16,
             value >= 99.5   ? "%.0f%s"
             : value >= 9.95 ? "%.1f%s"
                             : "%.2f%s",
             value, units[i]);
    return to;
}

void progress_start(Progress *progress, FILE *to, const char *what, uint64_t total,
                    uint64_t now_us) {
    *progress =
        (Progress){.to = to, .what = what, .total = total, .start_us = now_us, .shown_us = now_us};
}

const char *progress_text(const Progress *progress, uint64_t done, uint64_t now_us, char to[128]) {
    double seconds = (double)(now_us - progress->start_us) / 1e6;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    uint64_t total = progress->total;
    char bar[BAR + 1], rate_text[16], left[24] = "";
    int filled;

    if (total == 0) {
        snprintf(to, 128, "%s: %" PRIu64 ", %s/s", progress->what, done,
                 progress_si(rate_text, rate));
        return to;
    }
    done = done > total ? total : done;
    filled = (int)((double)done / (double)total * BAR);
    memset(bar, '=', (size_t)filled);
    memset(bar + filled, ' ', (size_t)(BAR - filled));
    if (filled < BAR)
        bar[filled] = '>';
    bar[BAR] = '\0';
    if (rate > 0)
        text_format_ms(left, (uint64_t)((double)(total - done) / rate * 1000));
    snprintf(to, 128, "%s %3d %% [%s] %s/s%s%s%s", progress->what,
             (int)((double)done / (double)total * 100), bar, progress_si(rate_text, rate),
             *left ? ", " : "", left, *left ? " left" : "");
    return to;
}

void progress_update(Progress *progress, uint64_t done, uint64_t now_us) {
    char text[128];

    if (!progress->to || now_us - progress->shown_us < DRAW_US)
        return;
    progress->shown_us = now_us;
    progress->is_shown = true;
    fprintf(progress->to, "\r%s\x1b[K", progress_text(progress, done, now_us, text));
    fflush(progress->to);
}

void progress_end(Progress *progress) {
    if (progress->is_shown) {
        fputs("\r\x1b[K", progress->to);
        fflush(progress->to);
    }
    progress->is_shown = false;
}
