/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Untrusted callers call every method of every example: with random values of its declared types,
 * with random MessagePack, and with random bytes. Each call must be answered, or refused with a
 * typed error; afterwards each server still serves.
 *
 * Examples that look names up or connect run in a network namespace that has only loopback. A
 * listener on loopback checks that no example connects to it. No command outside the list runs, and
 * no file beside the served folder is read.
 *
 * HOSTILE_SECONDS is the duration (default 3). TEST_SEED repeats the run that has printed this
 * seed.
 */

#include <poll.h>
#include <sys/stat.h>

#include "arith.h"
#include "examples/stage.h"
#include "examples/world.h"
#include "lucky.h"
#include "support/random.h"

#include <ferry/pack.h>

#define DECLARE_SERVICE(row) extern const ferry_service ferry_service_##row;
EXAMPLE_ROWS(DECLARE_SERVICE)

#define ROW(row) {&ferry_service_##row, row##_start},

static const struct {
    const ferry_service *service;
    start_fn *start;
} examples[] = {EXAMPLE_ROWS(ROW)};

enum { N_EXAMPLES = sizeof(examples) / sizeof(examples[0]), TIMEOUT_MS = 20 };

/* A listener that no row may connect to, a program that no row may run, and the text of a file
 * beside the served folder that no row may read. Random texts name all three often. */
static uint16_t canary_port;
static char canary_program[128];
static const char secret[] = "the text of a file that is not served";

/* ---- random values of a type, from its description ---- */

static int64_t some_int(Dice *dice, unsigned bits) {
    int64_t value = (int64_t)dice_any(dice);

    if (dice_below(dice, 8) == 0)
        return dice_below(dice, 2) ? INT64_MAX >> (64 - bits) : INT64_MIN >> (64 - bits);
    value = bits < 64 ? value & ((INT64_C(1) << (bits - 1)) - 1) : value;
    return dice_below(dice, 2) ? value : -value;
}

static double some_double(Dice *dice) {
    static const double special[] = {0, -0.0, 1, -1, 0.5, 1e308, 5e-324, -1e308};
    uint64_t bits = dice_u64(dice);
    double value;

    if (dice_below(dice, 2))
        return special[dice_below(dice, sizeof(special) / sizeof(*special))];
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void pack_text(Dice *dice, ferry_packer *to) {
    static const char *const texts[] = {"",
                                        "a",
                                        "den",
                                        "anna",
                                        "Simple is better than?",
                                        "\xe4\xb8\x96\xe7\x95\x8c",
                                        "%s%n",
                                        "../..",
                                        "*",
                                        "a.b.>",
                                        "127.0.0.1",
                                        "localhost",
                                        "::1",
                                        "/etc/passwd",
                                        "/bin/sh"};
    char text[64];
    size_t n = dice_below(dice, sizeof(text) - 1);

    if (dice_below(dice, 8) == 0) {
        ferry_pack_str(to, canary_program);
        return;
    }
    if (dice_below(dice, 4) == 0) {
        static const char *const forms[] = {"127.0.0.1:%u", "http://127.0.0.1:%u/", "%u",
                                            "http://localhost:%u", "[::ffff:127.0.0.1]:%u"};

        snprintf(text, sizeof(text), forms[dice_below(dice, sizeof(forms) / sizeof(*forms))],
                 canary_port);
        ferry_pack_str(to, text);
        return;
    }
    if (dice_below(dice, 2)) {
        ferry_pack_str(to, texts[dice_below(dice, sizeof(texts) / sizeof(*texts))]);
        return;
    }
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(dice_below(dice, 95) + 32);
    text[n] = '\0';
    ferry_pack_str(to, text);
}

static void pack_bytes(Dice *dice, ferry_packer *to, size_t max) {
    unsigned char bytes[2048];
    size_t n = dice_below(dice, (max < sizeof(bytes) ? max : sizeof(bytes)) + 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)dice_u64(dice);
    ferry_pack_bin(to, bytes, n);
}

static void pack_some(Dice *dice, const ferry_type *type, ferry_packer *to, unsigned depth);

static void pack_fields(Dice *dice, const ferry_type *type, ferry_packer *to, unsigned depth) {
    bool leave[64];
    uint32_t n = 0;

    for (uint32_t i = 0; i < type->n; i++) {
        leave[i % 64] = (type->fields[i].flags & FERRY_OPTIONAL) && dice_below(dice, 2);
        n += !leave[i % 64];
    }
    ferry_pack_map(to, n);
    for (uint32_t i = 0; i < type->n; i++)
        if (!leave[i % 64]) {
            ferry_pack_str(to, type->fields[i].name);
            pack_some(dice, type->fields[i].type, to, depth + 1);
        }
}

/* The environment of a request for a path that leads out of the folder. */
static void pack_environ(Dice *dice, ferry_packer *to) {
    static const char *const ways[] = {
        "/files/../secret",      "/files/out", "/files/", "/files/site", "/files//etc/passwd",
        "/files/a/../../secret", "/files/..",  "/slow",   "/environ"};

    ferry_pack_map(to, 4);
    ferry_pack_str(to, "REQUEST_METHOD");
    ferry_pack_str(to, dice_below(dice, 4) ? "GET" : "HEAD");
    ferry_pack_str(to, "SERVER_PROTOCOL");
    ferry_pack_str(to, "HTTP/1.1");
    ferry_pack_str(to, "QUERY_STRING");
    pack_text(dice, to);
    ferry_pack_str(to, "PATH_INFO");
    ferry_pack_str(to, ways[dice_below(dice, sizeof(ways) / sizeof(*ways))]);
}

static void pack_many(Dice *dice, const ferry_type *type, ferry_packer *to, unsigned depth) {
    uint32_t n = (uint32_t)dice_below(dice, depth < 3 ? 6 : 2);

    if (type->kind == FERRY_KIND_MAP && type->key->kind == FERRY_KIND_STRING &&
        type->item->kind == FERRY_KIND_STRING && dice_below(dice, 2)) {
        pack_environ(dice, to);
        return;
    }
    if (type->kind == FERRY_KIND_MAP)
        ferry_pack_map(to, n);
    else
        ferry_pack_array(to, n);
    for (uint32_t i = 0; i < n; i++) {
        if (type->kind == FERRY_KIND_MAP)
            pack_some(dice, type->key, to, depth + 1);
        pack_some(dice, type->item, to, depth + 1);
    }
}

static void pack_some(Dice *dice, const ferry_type *type, ferry_packer *to, unsigned depth) {
    switch (type->kind) {
    case FERRY_KIND_BOOL:
        ferry_pack_bool(to, dice_below(dice, 2));
        break;
    case FERRY_KIND_I8:
    case FERRY_KIND_I16:
    case FERRY_KIND_I32:
    case FERRY_KIND_I64:
        ferry_pack_int(to, some_int(dice, 8u << (type->kind - FERRY_KIND_I8)));
        break;
    case FERRY_KIND_DOUBLE:
        ferry_pack_double(to, some_double(dice));
        break;
    case FERRY_KIND_ENUM:
        ferry_pack_int(to, dice_below(dice, 4) ? (int64_t)dice_below(dice, type->n + 2u)
                                               : some_int(dice, 32));
        break;
    case FERRY_KIND_UUID: {
        unsigned char bytes[16];

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (unsigned char)dice_u64(dice);
        ferry_pack_bin(to, bytes, sizeof(bytes));
        break;
    }
    case FERRY_KIND_STRING:
        pack_text(dice, to);
        break;
    case FERRY_KIND_BINARY:
        pack_bytes(dice, to, dice_below(dice, 8) ? 40 : 2048);
        break;
    case FERRY_KIND_UNION: {
        const ferry_field *field = &type->fields[dice_below(dice, type->n)];

        ferry_pack_map(to, 1);
        ferry_pack_str(to, field->name);
        pack_some(dice, field->type, to, depth + 1);
        break;
    }
    case FERRY_KIND_ARGS:
        ferry_pack_array(to, type->n);
        for (uint32_t i = 0; i < type->n; i++) {
            if ((type->fields[i].flags & FERRY_OPTIONAL) && dice_below(dice, 2))
                ferry_pack_nil(to);
            else
                pack_some(dice, type->fields[i].type, to, depth + 1);
        }
        break;
    case FERRY_KIND_LIST:
    case FERRY_KIND_SET:
    case FERRY_KIND_MAP:
        pack_many(dice, type, to, depth);
        break;
    default:
        pack_fields(dice, type, to, depth);
    }
}

/* ---- random MessagePack, of no type ---- */

static void pack_anything(Dice *dice, ferry_packer *to, unsigned depth) {
    uint32_t n = (uint32_t)dice_below(dice, 5);

    switch (dice_below(dice, depth < 6 ? 9 : 7)) {
    case 0:
        ferry_pack_nil(to);
        break;
    case 1:
        ferry_pack_bool(to, true);
        break;
    case 2:
        ferry_pack_int(to, some_int(dice, 64));
        break;
    case 3:
        ferry_pack_uint(to, dice_u64(dice));
        break;
    case 4:
        ferry_pack_double(to, some_double(dice));
        break;
    case 5:
        pack_text(dice, to);
        break;
    case 6:
        pack_bytes(dice, to, 30);
        break;
    case 7:
        ferry_pack_array(to, n);
        for (uint32_t i = 0; i < n; i++)
            pack_anything(dice, to, depth + 1);
        break;
    default:
        ferry_pack_map(to, n);
        for (uint32_t i = 0; i < 2 * n; i++)
            pack_anything(dice, to, depth + 1);
    }
}

typedef enum Malice { OF_ITS_TYPE, OF_NO_TYPE, NOT_EVEN_VALUES, N_MALICES } Malice;

static void pack(Dice *dice, Malice malice, const ferry_type *type, ferry_packer *to) {
    ferry_packer_reset(to);
    if (malice == OF_ITS_TYPE && type) {
        pack_some(dice, type, to, 0);
    } else if (malice == NOT_EVEN_VALUES) {
        unsigned char bytes[64];
        size_t n = dice_below(dice, sizeof(bytes));

        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)dice_u64(dice);
        ferry_pack_raw(to, bytes, n);
    } else {
        pack_anything(dice, to, 0);
    }
}

/* ---- calling ---- */

typedef struct Attack {
    ferry_client *client;
    Dice dice;
    ferry_packer *packer;
    unsigned long answered, refused, typed, late;
} Attack;

/* Checks that the result is 0, or an error with a type and a message. */
static void judge(Attack *attack, int r, const ferry_error *error) {
    if (r >= 0) {
        attack->answered++;
        return;
    }
    CU_ASSERT_EQUAL_FATAL(r, error->code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error->type);
    CU_ASSERT_PTR_NOT_NULL_FATAL(error->message);
    /* The handler has not answered, or has failed unexpectedly. */
    if (strcmp(error->type, "ferry.Internal") == 0)
        printf("%s: %s\n", ferry_error_origin(error), error->message);
    CU_ASSERT_STRING_NOT_EQUAL(error->type, "ferry.Internal");
    attack->typed += r == -EREMOTEIO;
    attack->late += r == -ETIMEDOUT;
    attack->refused++;
}

static void stream(Attack *attack, const char *name, const ferry_method *method, Malice malice,
                   ferry_error *error) {
    ferry_stream *stream = NULL;
    unsigned directions =
        (method->stream_in ? FERRY_SEND : 0u) | (method->stream_out ? FERRY_RECEIVE : 0u);
    int r = ferry_stream_open(attack->client, name, ferry_packer_bytes(attack->packer), directions,
                              &stream, error);
    ferry_bytes item;

    for (uint64_t n = dice_below(&attack->dice, 6); r == 0 && method->stream_in && n > 0; n--) {
        pack(&attack->dice, malice, method->stream_in, attack->packer);
        r = ferry_stream_send(stream, ferry_packer_bytes(attack->packer), error);
    }
    if (r == 0 && method->stream_in && dice_below(&attack->dice, 4) > 0)
        r = ferry_stream_end(stream, error);
    while (r >= 0 && dice_below(&attack->dice, 8) > 0 &&
           (r = ferry_stream_next(stream, &item, error)) > 0)
        CU_ASSERT_PTR_NULL(memmem(item.data, item.len, secret, strlen(secret)));
    ferry_stream_close(stream);
    judge(attack, r, error);
}

static void attack_method(Attack *attack, const ferry_service *service, const ferry_method *method,
                          Malice malice) {
    ferry_error error = FERRY_ERROR_INIT;
    ferry_reply *reply = NULL;
    char name[128];
    int r;

    snprintf(name, sizeof(name), "%s.%s", service->name, method->name);
    pack(&attack->dice, malice, method->args, attack->packer);
    if (method->stream_in || method->stream_out) {
        stream(attack, name, method, malice, &error);
    } else {
        r = ferry_call(attack->client, name, ferry_packer_bytes(attack->packer), &reply, &error);
        judge(attack, r, &error);
        CU_ASSERT(!reply || !memmem(reply->body.data, reply->body.len, secret, strlen(secret)));
        ferry_free(reply);
    }
    ferry_error_clear(&error);
}

static void strangers_get_typed_errors(void) {
    const char *said = getenv("HOSTILE_SECONDS");
    uint64_t ends_ms = clock_ms() + (said ? strtoull(said, NULL, 0) : 3) * 1000;
    Attack attack = {.dice = dice_new(clock_ms()), .packer = ferry_packer_new()};
    Stage stages[N_EXAMPLES];
    unsigned long calls = 0;
    int canary = listen_on("127.0.0.1", &canary_port);
    double number;
    int64_t sum;

    printf("(TEST_SEED=%llu) ", (unsigned long long)attack.dice.seed);
    fflush(stdout);
    stage_open(&stages[0], examples[0].start);
    for (size_t i = 1; i < N_EXAMPLES; i++) {
        stages[i] = (Stage){.start = examples[i].start};
        runner_start(&stages[i].runner, &stages[0].broker, stage_start_server, &stages[i]);
    }
    CU_ASSERT_EQUAL(ferry_with(stages[0].client, &(ferry_options){.timeout_ms = TIMEOUT_MS},
                               &attack.client, NULL),
                    0);
    while (clock_ms() < ends_ms)
        for (size_t i = 0; i < N_EXAMPLES; i++)
            for (uint32_t k = 0; k < examples[i].service->n_methods; k++)
                for (Malice malice = OF_ITS_TYPE; malice < N_MALICES; malice++, calls++)
                    attack_method(&attack, examples[i].service, &examples[i].service->methods[k],
                                  malice);
    printf("(%lu calls: %lu answered, %lu refused, of them %lu by declared exceptions, %lu late) ",
           calls, attack.answered, attack.refused, attack.typed, attack.late);
    CU_ASSERT(attack.answered > 0 && attack.typed > 0);

    CU_ASSERT_EQUAL(poll(&(struct pollfd){canary, POLLIN, 0}, 1, 0), 0);
    close(canary);
    CU_ASSERT_EQUAL(access(strcat(canary_program, ".ran"), F_OK), -1);

    /* The servers still serve. */
    CU_ASSERT_EQUAL(arith_add(stages[0].client, 2, 3, &sum, &stages[0].error), 0);
    CU_ASSERT_EQUAL(lucky_lose(stages[0].client, 0, NULL, &stages[0].error), 0);
    CU_ASSERT_EQUAL(lucky_draw(stages[0].client, &number, &stages[0].error), 0);
    ferry_close(attack.client);
    ferry_packer_close(attack.packer);
    for (size_t i = 1; i < N_EXAMPLES; i++)
        runner_stop(&stages[i].runner);
    stage_close(&stages[0]);
}

static void write_program(const char *path, const char *text) {
    FILE *file = fopen(path, "w");

    if (file) {
        fputs(text, file);
        fclose(file);
    }
    chmod(path, 0755);
}

/* world/site is served, world/secret is beside it; world/canary notes that it ran. */
static void set_traps(void) {
    char path[128], target[128];

    snprintf(target, sizeof(target), "%s/secret", world_folder());
    write_program(target, secret);
    snprintf(path, sizeof(path), "%s/site", world_folder());
    mkdir(path, 0755);
    setenv("WEBSITE_FOLDER", path, 1);
    snprintf(path, sizeof(path), "%s/site/out", world_folder());
    if (symlink(target, path) < 0)
        perror(path);
    snprintf(canary_program, sizeof(canary_program), "%s/canary", world_folder());
    write_program(canary_program, "#!/bin/sh\ntouch \"$0.ran\"\n");
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(strangers_get_typed_errors),
        TESTS_END,
    };

    if (!world_isolate()) {
        fprintf(stderr, "SKIP: no namespaces, and names may not be looked up outside\n");
        return 77;
    }
    set_traps();
    return run_suite("examples against strangers", tests);
}
