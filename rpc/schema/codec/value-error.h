#pragma once

/*
 * What is wrong with a value, and where: "args.range.low: expected i32, got str". The place is put
 * together from the inside out, on the way back from a failure, so that success costs nothing.
 */

#include <ferry/schema.h>

typedef struct Trouble {
    const char *type; /* of the error; NULL: none so far */
    size_t start;     /* the path begins here, and ends at the end of the array */
    char path[240];
    char text[200];
} Trouble;

static inline void trouble_init(Trouble *trouble) {
    trouble->type = NULL;
    trouble->start = sizeof(trouble->path);
}

/* The first one stays. Type NULL: ferry.InvalidArgument. */
void trouble_set(Trouble *trouble, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put a step in front of the path: ".low", "[3]". A path that grows too long loses its middle. */
void trouble_in_field(Trouble *trouble, const char *name);
void trouble_in_item(Trouble *trouble, size_t index);
void trouble_in_key(Trouble *trouble); /* the key of the entry that trouble_in_item() names */

/* Builds the error, its path beginning with root ("args"). Returns its code. */
int trouble_report(const Trouble *trouble, const char *root, ferry_error *reterr);

/* "i32", "list", "calc.Range": what a type is called in messages. */
const char *trouble_type_name(const ferry_type *type);
