/* SPDX-License-Identifier: Apache-2.0 */
/* iconv with positions and reasons. See codec.h. */

#include "codec.h"

#include <iconv.h>
#include <stdlib.h>

static const struct {
    const char *name, *iconv_name;
} codecs[] = {
    [BYTES_CODEC_ASCII] = {"ascii", "ASCII"},    [BYTES_CODEC_UTF_8] = {"utf-8", "UTF-8"},
    [BYTES_CODEC_GBK] = {"gbk", "GBK"},          [BYTES_CODEC_LATIN_1] = {"latin-1", "ISO-8859-1"},
    [BYTES_CODEC_UTF_16] = {"utf-16", "UTF-16"},
};

const char *codec_name(bytes_codec codec) {
    return bytes_codec_name(codec) ? codecs[codec].name : NULL;
}

/* ---- invalid input ---- */

/* Returns the number of octets of the first UTF-8 character; 0: it is malformed, see *error. */
static size_t measure_utf8(const unsigned char *at, size_t left, CodecError *error) {
    unsigned char first = at[0], low = 0x80, high = 0xbf;
    size_t n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (first < 0x80)
        return 1;
    error->length = 1;
    error->reason = "invalid start byte";
    if (first < 0xc2 || first > 0xf4)
        return 0;
    low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : low;
    high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : high;
    while (error->length < left && error->length < n && at[error->length] >= low &&
           at[error->length] <= high) {
        error->length++;
        low = 0x80;
        high = 0xbf;
    }
    error->reason = error->length == left ? "unexpected end of data" : "invalid continuation byte";
    return error->length == n ? n : 0;
}

/* Copies UTF-8. iconv() of glibc is not used, because it accepts code points above U+10FFFF. Like
 * iconv(), returns (size_t)-1 when it stops at malformed input. */
static size_t copy_utf8(char **in, size_t *left, char **to) {
    CodecError ignored;

    while (*left > 0) {
        size_t n = measure_utf8((const unsigned char *)*in, *left, &ignored);

        if (n == 0)
            return (size_t)-1;
        memcpy(*to, *in, n);
        *in += n;
        *to += n;
        *left -= n;
    }
    return 0;
}

static void explain_utf16(const unsigned char *at, size_t left, bool big, CodecError *error) {
    unsigned high = left < 2 ? 0 : at[big ? 0 : 1];

    error->length = left < 2 ? left : 2;
    error->reason = left < 2                      ? "truncated data"
                    : high >= 0xdc && high < 0xe0 ? "illegal encoding"
                    : left < 4                    ? "unexpected end of data"
                                                  : "illegal UTF-16 surrogate";
    if (left >= 2 && left < 4 && high >= 0xd8 && high < 0xdc)
        error->length = left;
}

static void explain(bytes_codec codec, ferry_bytes octets, size_t position, CodecError *error) {
    const unsigned char *all = octets.data, *at = all + position;
    size_t left = octets.len - position;

    *error = (CodecError){position, *at, 1, "ordinal not in range(128)"};
    if (codec == BYTES_CODEC_UTF_8)
        measure_utf8(at, left, error);
    else if (codec == BYTES_CODEC_UTF_16)
        explain_utf16(at, left, all[0] == 0xfe && all[1] == 0xff, error);
    else if (codec == BYTES_CODEC_GBK)
        error->reason = left < 2 ? "incomplete multibyte sequence" : "illegal multibyte sequence";
}

/* Returns the position of the first NUL character in the octets; octets.len: there is no NUL. */
static size_t find_nul(bytes_codec codec, ferry_bytes octets) {
    size_t width = codec == BYTES_CODEC_UTF_16 ? 2 : 1;

    for (size_t i = 0; i + width <= octets.len; i += width)
        if (memcmp((const char *)octets.data + i, "\0", width) == 0)
            return i;
    return octets.len;
}

/* ---- decoding ---- */

int codec_decode(bytes_codec codec, bytes_errors errors, ferry_bytes octets, char **ret,
                 CodecError *reterr) {
    size_t room = 3 * octets.len, left = octets.len, nul = find_nul(codec, octets);
    char *in = (char *)octets.data, *out = malloc(room + 1),
         *to = out; /* iconv does not write to `in` */
    iconv_t cd = iconv_open("UTF-8", codecs[codec].iconv_name);
    int r = out && cd != (iconv_t)-1 ? 0 : -ENOMEM;

    if (r == 0 && nul < octets.len) {
        *reterr = (CodecError){nul, 0, 1, "a text holds no U+0000"};
        r = CODEC_ERROR;
    }
    while (r == 0 && left > 0 &&
           (codec == BYTES_CODEC_UTF_8 ? copy_utf8(&in, &left, &to)
                                       : iconv(cd, &in, &left, &to, &room)) == (size_t)-1) {
        explain(codec, octets, octets.len - left, reterr);
        if (errors == BYTES_ERRORS_STRICT) {
            r = CODEC_ERROR;
        } else {
            in += reterr->length;
            left -= reterr->length;
        }
        if (errors == BYTES_ERRORS_REPLACE) {
            memcpy(to, "\xef\xbf\xbd", 3); /* U+FFFD */
            to += 3;
            room -= 3;
        }
    }
    if (cd != (iconv_t)-1)
        iconv_close(cd);
    if (r != 0) {
        free(out);
        return r;
    }
    *to = '\0';
    *ret = out;
    return 0;
}

/* ---- encoding ---- */

/* Returns the first code point of valid UTF-8, and its number of octets. */
static uint32_t first_character(const char *text, size_t *ret_len) {
    const unsigned char *at = (const unsigned char *)text;
    uint32_t value;

    *ret_len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    value = *ret_len == 1 ? at[0] : at[0] & (0x7fu >> *ret_len);
    for (size_t i = 1; i < *ret_len; i++)
        value = value << 6 | (at[i] & 0x3f);
    return value;
}

static size_t count_characters(const char *text, size_t len) {
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += (text[i] & 0xc0) != 0x80;
    return n;
}

int codec_encode(bytes_codec codec, bytes_errors errors, const char *text, char **ret,
                 size_t *ret_len, CodecError *reterr) {
    static const char *const reasons[] = {[BYTES_CODEC_ASCII] = "ordinal not in range(128)",
                                          [BYTES_CODEC_GBK] = "illegal multibyte sequence",
                                          [BYTES_CODEC_LATIN_1] = "ordinal not in range(256)",
                                          [BYTES_CODEC_UTF_16] = NULL};
    size_t left = strlen(text), room = 2 * left + 2, len;
    char *in = (char *)text, *out = malloc(room), *to = out;
    iconv_t cd = iconv_open(codecs[codec].iconv_name, "UTF-8");
    int r = out && cd != (iconv_t)-1 ? 0 : -ENOMEM;

    /* Python's utf-16 always begins with the byte order mark; glibc's omits the mark if there is no
     * text. */
    if (r == 0 && codec == BYTES_CODEC_UTF_16 && left == 0) {
        memcpy(to, "\xff\xfe", 2);
        to += 2;
    }
    while (r == 0 && left > 0 && iconv(cd, &in, &left, &to, &room) == (size_t)-1) {
        *reterr = (CodecError){.position = count_characters(text, (size_t)(in - text)),
                               .value = first_character(in, &len),
                               .reason = reasons[codec]};
        if (errors == BYTES_ERRORS_STRICT)
            r = CODEC_ERROR;
        in += len;
        left -= len;
        if (errors == BYTES_ERRORS_REPLACE) {
            *to++ = '?';
            room--;
        }
    }
    if (cd != (iconv_t)-1)
        iconv_close(cd);
    if (r != 0) {
        free(out);
        return r;
    }
    *ret = out;
    *ret_len = (size_t)(to - out);
    return 0;
}
