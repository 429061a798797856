/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Power losses at seeded moments. The store writes through a layer that knows which bytes and names
 * were flushed. At the chosen call the power fails: flushed bytes stay; of the others a random
 * subset of sectors of 512 bytes stays, and a random part of the changes of names. The next life
 * starts from that folder: confirmed jobs are there, acknowledged ones are not, and no record
 * counts as damaged.
 *
 * FERRY_TEST_CRASHES is the number of crashes (60), TEST_SEED the first seed.
 */

#include <pthread.h>

#include "support/random.h"
#include "unit/broker/stores/disk-life.h"

enum {
    FILES_MAX = 512,
    NAMES_MAX = 1024,
    SECTOR = 512,
    CALLS_MAX = 500, /* the power fails at one of the first CALLS_MAX calls */
    ACTIONS = 150,
    JOBS_MAX = 1000,
};

/* ---- the layer ---- */

typedef struct Unflushed {
    struct Unflushed *next;
    uint64_t at; /* is_size: the new size */
    size_t size;
    bool is_size;
    uint8_t data[];
} Unflushed;

typedef struct Image {
    uint8_t *data;
    size_t size;
} Image;

typedef struct SimFile {
    int fd; /* -1: closed */
    Image flushed;
    Unflushed *first, **end;
} SimFile;

/* A change of names, which a flush of the folder makes durable. `to` empty: the name is removed. */
typedef struct NameChange {
    char from[300], to[300]; /* `from` empty: the file is new */
    SimFile *file;
} NameChange;

typedef struct Name {
    char path[300];
    SimFile *file;
} Name;

static struct {
    pthread_mutex_t lock;
    SimFile files[FILES_MAX];
    size_t n_files;
    Name names[NAMES_MAX], durable[NAMES_MAX]; /* names: as programs see them; durable: as the disk
                                                * has them */
    size_t n_names, n_durable;
    NameChange changes[NAMES_MAX];
    size_t n_changes, n_emptied; /* segments that were removed in all lives */
    unsigned n_calls, fails_at;
    bool is_off;
    Dice dice;
} sim = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void image_write(Image *image, uint64_t at, const uint8_t *bytes, size_t size) {
    if (image->size < at + size) {
        image->data = realloc(image->data, at + size);
        memset(image->data + image->size, 0, at + size - image->size);
        image->size = at + size;
    }
    memcpy(image->data + at, bytes, size);
}

static void image_resize(Image *image, uint64_t size) {
    static const uint8_t zero;

    if (size > image->size)
        image_write(image, size - 1, &zero, 1);
    image->size = size;
}

static void add_unflushed(SimFile *file, uint64_t at, const void *bytes, size_t size,
                          bool is_size) {
    Unflushed *made = malloc(sizeof(*made) + size);

    *made = (Unflushed){.at = at, .size = size, .is_size = is_size};
    if (size > 0)
        memcpy(made->data, bytes, size);
    *file->end = made;
    file->end = &made->next;
}

static void flush_file(SimFile *file) {
    while (file->first) {
        Unflushed *next = file->first->next;

        if (file->first->is_size)
            image_resize(&file->flushed, file->first->at);
        else
            image_write(&file->flushed, file->first->at, file->first->data, file->first->size);
        free(file->first);
        file->first = next;
    }
    file->end = &file->first;
}

static Name *name_of(Name *names, size_t n, const char *path) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i].path, path) == 0)
            return &names[i];
    return NULL;
}

static void set_name(Name *names, size_t *n, const char *path, SimFile *file) {
    Name *name = name_of(names, *n, path);

    if (!name && file)
        name = &names[(*n)++];
    if (name && !file)
        *name = names[--*n];
    else if (name)
        snprintf(name->path, sizeof(name->path), "%s", path), name->file = file;
}

static void apply(Name *names, size_t *n, const NameChange *change) {
    if (*change->from)
        set_name(names, n, change->from, NULL);
    if (*change->to)
        set_name(names, n, change->to, change->file);
}

static void change_names(const char *from, const char *to, SimFile *file) {
    NameChange *change = &sim.changes[sim.n_changes++];

    CU_ASSERT_FATAL(sim.n_changes < NAMES_MAX);
    snprintf(change->from, sizeof(change->from), "%s", from);
    snprintf(change->to, sizeof(change->to), "%s", to);
    change->file = file;
    apply(sim.names, &sim.n_names, change);
}

/* Each call of the layer begins here. False: the power is off. */
static bool enter(void) {
    pthread_mutex_lock(&sim.lock);
    if (++sim.n_calls >= sim.fails_at)
        sim.is_off = true;
    if (!sim.is_off)
        return true;
    pthread_mutex_unlock(&sim.lock);
    return false;
}

static int leave(int r) {
    pthread_mutex_unlock(&sim.lock);
    return r;
}

/* The store's thread may turn the power off at any time. */
static bool power_is_off(void) {
    bool is_off;

    pthread_mutex_lock(&sim.lock);
    is_off = sim.is_off;
    pthread_mutex_unlock(&sim.lock);
    return is_off;
}

static SimFile *file_of(int fd) {
    for (size_t i = sim.n_files; i > 0; i--)
        if (sim.files[i - 1].fd == fd)
            return &sim.files[i - 1];
    return NULL;
}

static int sim_open(const char *path, int flags) {
    SimFile *file;
    Name *name;
    int fd;

    if (!enter())
        return -EIO;
    fd = file_ops_posix.open(path, flags);
    if (fd < 0)
        return leave(fd);
    for (size_t i = 0; i < sim.n_files; i++)
        if (sim.files[i].fd == fd)
            sim.files[i].fd = -1;
    name = name_of(sim.names, sim.n_names, path);
    file = name ? name->file : NULL;
    if (!file) {
        CU_ASSERT_FATAL(sim.n_files < FILES_MAX);
        file = &sim.files[sim.n_files++];
        *file = (SimFile){.fd = fd};
        file->end = &file->first;
        change_names("", path, file);
    }
    file->fd = fd;
    return leave(fd);
}

static int sim_write(int fd, const void *bytes, size_t size, uint64_t at) {
    if (!enter())
        return -EIO;
    add_unflushed(file_of(fd), at, bytes, size, false);
    return leave(file_ops_posix.write(fd, bytes, size, at));
}

static int sim_flush(int fd) {
    if (!enter())
        return -EIO;
    flush_file(file_of(fd));
    return leave(0);
}

static int sim_reserve(int fd, uint64_t size) {
    if (!enter())
        return -EIO;
    add_unflushed(file_of(fd), size, NULL, 0, true);
    return leave(file_ops_posix.reserve(fd, size));
}

static int sim_cut(int fd, uint64_t size) {
    if (!enter())
        return -EIO;
    add_unflushed(file_of(fd), size, NULL, 0, true);
    return leave(file_ops_posix.cut(fd, size));
}

static int sim_rename(const char *from, const char *to) {
    const Name *name;

    if (!enter())
        return -EIO;
    name = name_of(sim.names, sim.n_names, from);
    if (name)
        change_names(from, to, name->file);
    return leave(file_ops_posix.rename(from, to));
}

static int sim_remove(const char *path) {
    int r;

    if (!enter())
        return -EIO;
    r = file_ops_posix.remove(path);
    if (r == 0 && name_of(sim.names, sim.n_names, path)) {
        change_names(path, "", NULL);
        sim.n_emptied += strstr(path, "journal-0") != NULL;
    }
    return leave(r);
}

static int sim_flush_folder(const char *path) {
    (void)path;
    if (!enter())
        return -EIO;
    for (size_t i = 0; i < sim.n_changes; i++)
        apply(sim.durable, &sim.n_durable, &sim.changes[i]);
    sim.n_changes = 0;
    return leave(0);
}

static uint64_t sim_space(const char *path) {
    (void)path;
    return 2 << 20; /* segments of 128 KiB */
}

static const FileOps sim_ops = {
    .open = sim_open,
    .write = sim_write,
    .flush = sim_flush,
    .reserve = sim_reserve,
    .cut = sim_cut,
    .rename = sim_rename,
    .remove = sim_remove,
    .flush_folder = sim_flush_folder,
    .space = sim_space,
};

static void sim_begin(uint64_t seed) {
    for (size_t i = 0; i < sim.n_files; i++) {
        flush_file(&sim.files[i]);
        free(sim.files[i].flushed.data);
    }
    sim.n_files = sim.n_names = sim.n_durable = sim.n_changes = 0;
    sim.n_calls = 0;
    sim.is_off = false;
    sim.dice = dice_of(seed);
    sim.fails_at = 1 + (unsigned)dice_below(&sim.dice, CALLS_MAX);
    file_ops = &sim_ops;
}

/* ---- after the power loss ---- */

/* Writes a random part of the unflushed sectors to the disk. */
static void tear(SimFile *file, unsigned percent) {
    for (const Unflushed *some = file->first; some; some = some->next) {
        if (some->is_size) {
            if (dice_below(&sim.dice, 100) < percent)
                image_resize(&file->flushed, some->at);
            continue;
        }
        for (uint64_t at = some->at; at < some->at + some->size;) {
            uint64_t end = (at / SECTOR + 1) * SECTOR, until = some->at + some->size;

            end = end < until ? end : until;
            if (dice_below(&sim.dice, 100) < percent)
                image_write(&file->flushed, at, some->data + (at - some->at), (size_t)(end - at));
            at = end;
        }
    }
}

/* Writes the folder with the contents that the disk has. */
static void sim_end(void) {
    static const unsigned percents[] = {0, 10, 50, 90, 100};
    unsigned percent = percents[dice_below(&sim.dice, 5)];
    size_t n_changes = (size_t)dice_below(&sim.dice, sim.n_changes + 1);

    for (size_t i = 0; i < n_changes; i++)
        apply(sim.durable, &sim.n_durable, &sim.changes[i]);
    CU_ASSERT_EQUAL(remove_folder(data), 0);
    CU_ASSERT_EQUAL(mkdir(data, 0700), 0);
    for (size_t i = 0; i < sim.n_durable; i++) {
        SimFile *file = sim.durable[i].file;
        int fd = open(sim.durable[i].path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        tear(file, percent);
        CU_ASSERT(fd >= 0);
        CU_ASSERT_EQUAL(write(fd, file->flushed.data, file->flushed.size),
                        (ssize_t)file->flushed.size);
        close(fd);
    }
    file_ops = &file_ops_posix;
}

/* ---- the knowledge of the program ---- */

typedef struct Known {
    bool confirmed, ended; /* confirmed: the push; ended: the acknowledgement or forwarding */
    bool ending;           /* the end is not confirmed yet */
    uint64_t number;
    unsigned n_seen; /* number of times that the job was found after the power loss */
    bool shared;     /* the message is also in the queue of copies, which has no worker */
    unsigned n_copies;
} Known;

static Known jobs[JOBS_MAX]; /* index: the number in the body */
static unsigned n_jobs;

/* Takes answers. Ids of pushes are 1 to JOBS_MAX, ids of acknowledgements are JOBS_MAX higher. */
static void take_answers(Session *s, unsigned *held, unsigned *n_held) {
    const FakeSent *sent;

    while ((sent = fake_take(s))) {
        uint64_t id = sent->message.id;

        if (sent->message.op == OP_JOB) {
            unsigned n = (unsigned)strtoul((const char *)sent->message.body.data + 1, NULL, 10);

            jobs[n].number = sent->message.job.job;
            held[(*n_held)++] = n;
        } else if (sent->message.op == OP_OK && id >= 1 && id < JOBS_MAX) {
            jobs[id].confirmed = true;
        } else if (sent->message.op == OP_OK && id > JOBS_MAX && id < 2 * JOBS_MAX) {
            jobs[id - JOBS_MAX].ended = true;
        }
    }
}

static void push_one(Session *s, Dice *dice) {
    static char body[30200];
    size_t len = dice_below(dice, 4) == 0 ? (size_t)dice_below(dice, 30000) : 20;
    unsigned n = ++n_jobs;

    snprintf(body, sizeof(body), "j%06u", n);
    memset(body + 7, 'x', len);
    body[7 + len] = '\0';
    jobs[n].shared = dice_below(dice, 4) == 0;
    if (jobs[n].shared)
        fan_out(s, n, body, "q", "copies");
    else
        push(s, n, "q", body, NULL);
}

static void end_one(Session *s, unsigned n, Dice *dice) {
    char body[20];

    jobs[n].ending = true;
    if (dice_below(dice, 4) == 0 && n_jobs + 1 < JOBS_MAX) {
        snprintf(body, sizeof(body), "f%06u", n);
        forward(s, JOBS_MAX + n, jobs[n].number, 1, "r", body);
    } else {
        ack(s, JOBS_MAX + n, jobs[n].number, 1);
    }
}

/* Runs a life until the power fails or all actions are done. */
static void live(Dice *dice) {
    static unsigned held[JOBS_MAX];
    unsigned n_held = 0, next = 0;
    Session *s;

    if (try_begin(NULL) < 0) {
        stop();
        return;
    }
    s = fake_connect(&broker, 's');
    pull(s, 3 * JOBS_MAX, "q", 50);
    for (int i = 0; i < ACTIONS && !power_is_off(); i++) {
        for (unsigned k = (unsigned)dice_below(dice, 5); k > 0 && n_jobs + 2 < JOBS_MAX; k--)
            push_one(s, dice);
        for (unsigned k = (unsigned)dice_below(dice, 5); k > 0 && next < n_held; k--)
            end_one(s, held[next++], dice);
        turn((int)dice_below(dice, 3));
        take_answers(s, held, &n_held);
    }
    for (int i = 0; i < 5; i++) {
        turn(1);
        take_answers(s, held, &n_held);
    }
    pthread_mutex_lock(&sim.lock);
    sim.is_off = true;
    pthread_mutex_unlock(&sim.lock);
    stop();
}

static void see_all(const char *queue, char letter) {
    Session *s = fake_connect(&broker, letter);
    const FakeSent *sent;

    wait_ms(2001);
    pull(s, 1, queue, JOBS_MAX);
    expect_ok(s, 1);
    while ((sent = fake_take(s))) {
        const char *body = (const char *)sent->message.body.data;
        unsigned n = (unsigned)strtoul(body + 1, NULL, 10);

        CU_ASSERT_EQUAL(body[0], letter);
        CU_ASSERT(n >= 1 && n <= n_jobs); /* each job that is found was pushed */
        if (n < 1 || n > n_jobs)
            continue;
        for (size_t i = 7; letter == 'j' && i < sent->message.body.len; i++)
            if (body[i] != 'x')
                CU_FAIL("a body is not the one that was pushed");
        if (strcmp(queue, "copies") == 0) {
            jobs[n].n_copies++;
            continue;
        }
        jobs[n].n_seen++;
        /* A job whose end was confirmed is gone; a forwarded job is in the second queue. */
        CU_ASSERT_FALSE(letter == 'j' && jobs[n].ended);
    }
    end_session(s);
}

static bool check(void) {
    unsigned failed = CU_get_number_of_failures();

    begin();
    see_all("q", 'j');
    see_all("r", 'f');
    see_all("copies", 'j');
    for (unsigned n = 1; n <= n_jobs; n++) {
        CU_ASSERT(jobs[n].n_seen <= 1);
        CU_ASSERT(jobs[n].n_copies <= jobs[n].shared);
        if (jobs[n].confirmed)
            CU_ASSERT_EQUAL(jobs[n].n_copies, jobs[n].shared);
        if (jobs[n].confirmed && !jobs[n].ending)
            CU_ASSERT_EQUAL(jobs[n].n_seen, 1);
    }
    CU_ASSERT_EQUAL(n_files(file("quarantine"), "damaged"), 0);
    stop();
    return CU_get_number_of_failures() == failed;
}

static void confirmed_jobs_survive_a_power_loss_at_any_moment(void) {
    size_t n_crashes = said_or("FERRY_TEST_CRASHES", 60), n_confirmed = 0, n_in_time = 0;
    uint64_t seed = said_or("TEST_SEED", 1);

    new_folder();
    for (size_t i = 0; i < n_crashes; i++, seed++) {
        Dice dice = dice_of(seed);

        memset(jobs, 0, sizeof(jobs));
        n_jobs = 0;
        CU_ASSERT_EQUAL(remove_folder(data), 0);
        sim_begin(seed);
        live(&dice);
        n_in_time += sim.n_calls >= sim.fails_at;
        sim_end();
        for (unsigned n = 1; n <= n_jobs; n++)
            n_confirmed += jobs[n].confirmed;
        if (!check()) {
            printf("\n    with seed %llu, call %u\n", (unsigned long long)seed, sim.fails_at);
            break;
        }
    }
    CU_ASSERT(sim.n_emptied > 0);
    printf("%zu crashes (%zu within a life), %zu confirmed jobs, %zu segments emptied, lost 0 ",
           n_crashes, n_in_time, n_confirmed, sim.n_emptied);
    sim_begin(1);
    file_ops = &file_ops_posix;
}

int main(void) {
    CU_TestInfo tests[] = {
        TEST(confirmed_jobs_survive_a_power_loss_at_any_moment),
        TESTS_END,
    };
    int r;

    log_level = LOG_LEVEL_ERROR;
    r = run_suite("broker stores: power loss", tests);
    remove_work();
    return r;
}
