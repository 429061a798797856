/* SPDX-License-Identifier: Apache-2.0 */
/* Source texts. See source.h. */

#include "idl/source/source.h"

#include <string.h>

size_t source_mark(const Source *source) {
    return source->len >= 3 && memcmp(source->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

void place_find(Place place, unsigned *line, unsigned *column) {
    size_t start = source_mark(place.source);

    *line = 1;
    for (size_t i = 0; i < place.at && i < place.source->len; i++)
        if (place.source->text[i] == '\n') {
            ++*line;
            start = i + 1;
        }
    *column = place.at < start ? 1 : (unsigned)(place.at - start) + 1;
}
