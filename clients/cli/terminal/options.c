/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of options by table. See options.h. */

#include "clients/cli/terminal/options.h"

#include <argp.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

enum { OPTIONS_MAX = 64, LONG_KEY = 0x1000 };

/* Put in front of a negative number while argp parses, so that getopt does not take it for an
 * option. */
#define SHIELD '\x01'

typedef struct Parse {
    const OptionSet *sets;
    struct {
        const Option *option;
        void *values;
    } known[OPTIONS_MAX];
    size_t n_known;
    Parsed *parsed;
    int stopped_at; /* argp's position at the error */
    char *problem;
} Parse;

static int complain(Parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int complain(Parse *parse, const char *format, ...) {
    va_list args;

    va_start(args, format);
    vsnprintf(parse->problem, OPTIONS_PROBLEM_MAX, format, args);
    va_end(args);
    return EINVAL;
}

static bool is_negative_number(const char *text) {
    return text[0] == '-' &&
           (isdigit((unsigned char)text[1]) || (text[1] == '.' && isdigit((unsigned char)text[2])));
}

static bool is_one_of(const char *words, const char *text) {
    size_t len = strlen(text);

    while (words) {
        const char *bar = strchr(words, '|');
        size_t n = bar ? (size_t)(bar - words) : strlen(words);

        if (n == len && memcmp(words, text, n) == 0)
            return true;
        words = bar ? bar + 1 : NULL;
    }
    return false;
}

static int set_quantity(Parse *parse, const Option *option, uint64_t *to, const char *text) {
    static const char *const shapes[] = {
        [OPTION_COUNT] = "a whole number",
        [OPTION_MS] = "a time like 250ms, 5s or 2m",
        [OPTION_BYTES] = "a size like 64, 4K or 1.5M",
    };
    uint64_t value = 0;
    int r = option->kind == OPTION_COUNT ? text_parse_count(text, &value)
            : option->kind == OPTION_MS  ? text_parse_ms(text, &value)
                                         : text_parse_bytes(text, &value);

    if (r < 0)
        return complain(parse, "--%s: '%s' is not %s", option->name, text, shapes[option->kind]);
    if (value < option->min || (option->max > 0 && value > option->max)) {
        const char *unit = option->kind == OPTION_MS ? " ms" : "";

        if (option->max > 0)
            return complain(parse, "--%s: '%s' is out of range: %llu to %llu%s", option->name, text,
                            (unsigned long long)option->min, (unsigned long long)option->max, unit);
        return complain(parse, "--%s: '%s' is too small: at least %llu%s", option->name, text,
                        (unsigned long long)option->min, unit);
    }
    *to = value;
    return 0;
}

static int set_value(Parse *parse, const Option *option, void *values, const char *text) {
    void *to = (char *)values + option->at;

    if (option->kind == OPTION_FLAG) {
        *(bool *)to = true;
        return 0;
    }
    assert(text);
    if (option->words && !is_one_of(option->words, text))
        return complain(parse, "--%s: '%s' is not one of %s", option->name, text, option->words);
    if (option->kind == OPTION_TEXT) {
        *(const char **)to = text;
        return 0;
    }
    if (option->kind == OPTION_LIST) {
        Texts *texts = to;

        if (texts->n == TEXTS_MAX)
            return complain(parse, "--%s is given more than %d times", option->name, TEXTS_MAX);
        texts->v[texts->n++] = text;
        return 0;
    }
    return set_quantity(parse, option, to, text);
}

static error_t on_key(int key, char *text, struct argp_state *state) {
    Parse *parse = state->input;

    if (text && *text == SHIELD)
        text++;
    if (key == ARGP_KEY_ERROR)
        parse->stopped_at = state->next;
    if (key == ARGP_KEY_ARG) {
        parse->parsed->argv[parse->parsed->argc++] = text;
        return 0;
    }
    for (size_t i = 0; i < parse->n_known; i++) {
        const Option *option = parse->known[i].option;

        if (key == (option->letter ? option->letter : LONG_KEY + (int)i))
            return set_value(parse, option, parse->known[i].values, text);
    }
    return ARGP_ERR_UNKNOWN;
}

/* Finds the refused letter of "-abc": an unknown one, else one without its value. */
static void explain_letters(Parse *parse, const char *word) {
    for (const char *c = word + 1; *c; c++) {
        bool is_known = false;

        for (size_t i = 0; i < parse->n_known; i++)
            is_known |= parse->known[i].option->letter == *c;
        if (!is_known) {
            complain(parse, "there is no option '-%c'", *c);
            return;
        }
    }
    complain(parse, "option '%.60s' needs a value", word);
}

static void explain_name(Parse *parse, const char *word) {
    const char *names[OPTIONS_MAX], *near;
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (size_t i = 0; i < parse->n_known; i++) {
        const Option *option = parse->known[i].option;

        names[i] = option->name;
        if (strcmp(option->name, name) == 0) {
            if (option->kind == OPTION_FLAG)
                complain(parse, "option '--%s' takes no value", name);
            else
                complain(parse, "option '--%s' needs a value: --%s %s", name, name, option->arg);
            return;
        }
    }
    near = text_nearest(name, names, parse->n_known);
    complain(parse, "there is no option '--%s'%s%s%s", name, near ? ": did you mean '--" : "",
             near ? near : "", near ? "'?" : "");
}

/* argp has refused a word; getopt knows the reason but would print it. The word is the last one it
 * read, or, for letters with more behind, the one that it still reads. */
static void explain(Parse *parse, int argc, char **argv) {
    int at = parse->stopped_at - 1;

    if (at < 1 || argv[at][0] != '-')
        at++;
    if (at >= argc || argv[at][0] != '-')
        complain(parse, "the options cannot be understood");
    else if (argv[at][1] == '-')
        explain_name(parse, argv[at]);
    else
        explain_letters(parse, argv[at]);
}

static void fill_argp(Parse *parse, size_t n_sets, struct argp_option *options) {
    for (size_t s = 0; s < n_sets; s++)
        for (const Option *option = parse->sets[s].table; option && option->name; option++) {
            size_t i = parse->n_known++;

            parse->known[i].option = option;
            parse->known[i].values = parse->sets[s].values;
            options[i].name = option->name;
            options[i].key = option->letter ? option->letter : LONG_KEY + (int)i;
            options[i].arg = option->kind == OPTION_FLAG ? NULL : option->arg;
        }
}

/* Copies argv with negative numbers shielded: getopt reorders it, and the arguments are collected
 * at its front, always behind argp's position. One allocation. */
static char **shield(int argc, char **argv) {
    size_t size = ((size_t)argc + 1) * sizeof(char *);
    char **copy, *at;

    for (int i = 1; i < argc; i++)
        if (is_negative_number(argv[i]))
            size += strlen(argv[i]) + 2;
    copy = calloc(1, size);
    if (!copy)
        return NULL;
    at = (char *)(copy + argc + 1);
    for (int i = 0; i < argc; i++) {
        copy[i] = argv[i];
        if (i > 0 && is_negative_number(argv[i])) {
            copy[i] = at;
            *at++ = SHIELD;
            at = stpcpy(at, argv[i]) + 1;
        }
    }
    return copy;
}

int options_parse(const OptionSet *sets, size_t n_sets, int argc, char **argv, Parsed *ret,
                  char problem[OPTIONS_PROBLEM_MAX]) {
    struct argp_option options[OPTIONS_MAX + 1] = {{0}};
    Parse parse = {.sets = sets, .parsed = ret, .problem = problem};
    struct argp argp = {.options = options, .parser = on_key};
    char **copy = shield(argc, argv);
    int r;

    *ret = (Parsed){.argv = copy};
    *problem = '\0';
    if (!copy)
        return -ENOMEM;
    fill_argp(&parse, n_sets, options);
    r = argp_parse(&argp, argc, copy, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &parse);
    if (r != 0 && !*problem)
        explain(&parse, argc, copy);

    return r == 0 ? 0 : r == ENOMEM ? -ENOMEM : -EINVAL;
}

void parsed_deinit(Parsed *parsed) {
    free(parsed->argv);
    *parsed = (Parsed){0};
}

void options_print(const Option *table, FILE *to) {
    for (const Option *option = table; option && option->name; option++) {
        char left[64];
        int n = option->letter
                    ? snprintf(left, sizeof(left), "  -%c, --%s", option->letter, option->name)
                    : snprintf(left, sizeof(left), "      --%s", option->name);

        if (option->kind != OPTION_FLAG)
            snprintf(left + n, sizeof(left) - (size_t)n, " %s", option->arg);
        fprintf(to, "%-26s %s\n", left, option->help);
    }
}
