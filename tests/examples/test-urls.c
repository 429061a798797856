/* SPDX-License-Identifier: Apache-2.0 */
/* The example urls: RFC 3986's own table, and agreement with Python. */

#include "examples/stage.h"
#include "urls.h"

static Stage stage;

/* Compares, and frees the received text. */
static void check_text(int r, char *text, const char *expected) {
    CU_ASSERT_EQUAL(r, 0);
    if (r == 0) {
        CU_ASSERT_STRING_EQUAL(text, expected);
        if (strcmp(text, expected) != 0)
            printf("'%s' is not '%s'\n", text, expected);
        ferry_free(text);
    }
}

static void join_is(const char *base, const char *reference, const char *expected) {
    char *text = NULL;
    int r = urls_urljoin(stage.client, base, reference, &text, &stage.error);

    check_text(r, text, expected);
}

/* ---- the hazard ---- */

static void text_without_quotes_becomes_other_fields(void) {
    urls_list_pair *pairs = NULL;
    char query[64];

    /* A program that puts the text of a form into a query without quotes. */
    snprintf(query, sizeof(query), "q=%s", "salt & pepper&admin=1");
    CU_ASSERT_EQUAL(urls_parse_qsl(stage.client, query, false, &pairs, &stage.error), 0);
    CU_ASSERT(pairs && pairs->n == 2 && strcmp(pairs->v[1].name, "admin") == 0);
    ferry_free(pairs);
}

static void quoted_text_stays_one_field(void) {
    static const urls_pair pair = {"q", "salt & pepper&admin=1"};
    urls_list_pair *pairs = NULL;
    char *query = NULL;

    CU_ASSERT_EQUAL(urls_urlencode(stage.client, &(urls_list_pair){1, &pair}, &query, &stage.error),
                    0);
    CU_ASSERT_STRING_EQUAL(query, "q=salt+%26+pepper%26admin%3D1");
    CU_ASSERT_EQUAL(urls_parse_qsl(stage.client, query, false, &pairs, &stage.error), 0);
    CU_ASSERT(pairs && pairs->n == 1 && strcmp(pairs->v[0].value, pair.value) == 0);
    ferry_free(pairs);
    ferry_free(query);
}

/* ---- apart and together ---- */

static void the_notes_url_is_split(void) {
    urls_parts *parts = NULL;
    char *text = NULL;
    int r;

    CU_ASSERT_EQUAL(urls_urlsplit(stage.client, "https://www.google.com/search?q=qpod&btnI=yes",
                                  &parts, &stage.error),
                    0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(parts);
    CU_ASSERT_STRING_EQUAL(parts->scheme, "https");
    CU_ASSERT_STRING_EQUAL(parts->netloc, "www.google.com");
    CU_ASSERT_STRING_EQUAL(parts->path, "/search");
    CU_ASSERT_STRING_EQUAL(parts->query, "q=qpod&btnI=yes");
    CU_ASSERT_STRING_EQUAL(parts->fragment, "");
    CU_ASSERT(parts->hostname && !parts->username && !parts->port);
    r = urls_urlunsplit(stage.client, parts, &text, &stage.error);
    check_text(r, text, "https://www.google.com/search?q=qpod&btnI=yes");
    ferry_free(parts);
}

static void a_netloc_is_split_too(void) {
    urls_parts *parts = NULL;

    CU_ASSERT_EQUAL(urls_urlsplit(stage.client, "HTTP://anna:secret@[2001:DB8::1]:8080/?#", &parts,
                                  &stage.error),
                    0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(parts);
    CU_ASSERT_STRING_EQUAL(parts->scheme, "http");
    CU_ASSERT_STRING_EQUAL(parts->netloc, "anna:secret@[2001:DB8::1]:8080");
    CU_ASSERT(parts->username && strcmp(parts->username, "anna") == 0);
    CU_ASSERT(parts->password && strcmp(parts->password, "secret") == 0);
    CU_ASSERT(parts->hostname && strcmp(parts->hostname, "2001:db8::1") == 0);
    CU_ASSERT(parts->port && *parts->port == 8080);
    ferry_free(parts);
}

static void bad_urls_say_where(void) {
    static const struct {
        const char *url;
        int position;
    } bad[] = {
        {"http://host:65536/", 12}, {"http://host:8o/", 12}, {"http://[::1/", 7},
        {"http://a]b/", 8},         {"http://a\tb/", 8},     {"http://u@h:-1", 11},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        urls_parts *parts = NULL;
        const urls_bad_url *e;

        CU_ASSERT_EQUAL(urls_urlsplit(stage.client, bad[i].url, &parts, &stage.error), -EREMOTEIO);
        e = urls_bad_url_in(&stage.error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(e);
        CU_ASSERT_EQUAL(e->position, bad[i].position);
    }
}

/* ---- RFC 3986, section 5.4 ---- */

static void references_resolve_as_the_rfc_says(void) {
    static const char *const table[][2] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {"g?y#s", "http://a/b/c/g?y#s"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        /* 5.4.2, abnormal ones */
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/./x", "http://a/b/c/g#s/./x"},
        {"g#s/../x", "http://a/b/c/g#s/../x"},
        {"http:g", "http:g"}, /* for strict parsers */
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        join_is("http://a/b/c/d;p?q", table[i][0], table[i][1]);
    join_is("http://a", "g", "http://a/g");
    join_is("http://a/", "..//g", "http://a//g");
}

/* ---- quoting ---- */

static void queries_are_grouped_by_name(void) {
    urls_map_string_list_string *fields = NULL;
    char query[8000] = "";

    CU_ASSERT_EQUAL(
        urls_parse_qs(stage.client, "a=1&b=x+y&a=%32&c=&d", false, &fields, &stage.error), 0);
    CU_ASSERT_FATAL(fields && fields->n == 2);
    CU_ASSERT(fields->v[0].value.n == 2 && strcmp(fields->v[0].value.v[1], "2") == 0);
    CU_ASSERT_STRING_EQUAL(fields->v[1].value.v[0], "x y");
    ferry_free(fields);
    CU_ASSERT_EQUAL(urls_parse_qs(stage.client, "c=&d", true, &fields, &stage.error), 0);
    CU_ASSERT(fields && fields->n == 2);
    ferry_free(fields);
    for (int i = 0; i < 1001; i++)
        strcat(query, "a=1&");
    CU_ASSERT_EQUAL(urls_parse_qs(stage.client, query, false, &fields, &stage.error), -EREMOTEIO);
    CU_ASSERT(urls_too_many_pairs_in(&stage.error) &&
              urls_too_many_pairs_in(&stage.error)->limit == 1000);
    CU_ASSERT_EQUAL(urls_parse_qs(stage.client, "a=b%00c", false, &fields, &stage.error),
                    -EREMOTEIO);
    CU_ASSERT(urls_not_text_in(&stage.error) && urls_not_text_in(&stage.error)->position == 3);
}

/* METHOD A B RESULT, parted by tabs: see url-vectors.py. */
static void check_line(char *line) {
    char *fields[4] = {NULL}, *text = NULL;
    int r = -1;

    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < 4 && line; i++)
        fields[i] = strsep(&line, "\t");
    CU_ASSERT_PTR_NOT_NULL_FATAL(fields[3]);
    if (strcmp(fields[0], "quote") == 0)
        r = urls_quote(stage.client, fields[1], fields[2], &text, &stage.error);
    else if (strcmp(fields[0], "quote_plus") == 0)
        r = urls_quote_plus(stage.client, fields[1], fields[2], &text, &stage.error);
    else if (strcmp(fields[0], "unquote") == 0)
        r = urls_unquote(stage.client, fields[1], &text, &stage.error);
    else if (strcmp(fields[0], "unquote_plus") == 0)
        r = urls_unquote_plus(stage.client, fields[1], &text, &stage.error);
    else
        r = urls_urljoin(stage.client, fields[1], fields[2], &text, &stage.error);
    check_text(r, text, fields[3]);
}

static void pythons_urllib_agrees(void) {
    FILE *vectors = popen("/usr/bin/python3 \"$URL_VECTORS\"", "r");
    char line[4096];
    int n = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(vectors);
    while (fgets(line, sizeof(line), vectors)) {
        check_line(line);
        n++;
    }
    CU_ASSERT_EQUAL(pclose(vectors), 0);
    CU_ASSERT_EQUAL(n, 1000);
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(text_without_quotes_becomes_other_fields),
        TEST(quoted_text_stays_one_field),
        TEST(the_notes_url_is_split),
        TEST(a_netloc_is_split_too),
        TEST(bad_urls_say_where),
        TEST(references_resolve_as_the_rfc_says),
        TEST(queries_are_grouped_by_name),
        TEST(pythons_urllib_agrees),
        TESTS_END,
    };
    int status;

    stage_open(&stage, urls_start);
    status = run_suite("example urls", tests);
    stage_close(&stage);
    return status;
}
