/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the inboxes. See mail.h. */

#include "broker/stores/redis/mail.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/error.h"
#include "broker/stores/redis/reader.h"
#include "broker/stores/redis/script.h"

/* ---- sending ---- */

/* Takes the next entries of a shard into its call, or the next values. */
static void take_batch(RedisMail *mail, MailShard *shard) {
    SentEntry **end = &shard->batch;
    size_t bytes = 0, n = 0;

    pthread_mutex_lock(&mail->lock);
    while (shard->todo && n < MAIL_ENTRIES && bytes < MAIL_BYTES &&
           (n == 0 || shard->todo->is_value == shard->batch->is_value)) {
        SentEntry *entry = shard->todo;

        shard->todo = entry->next;
        entry->next = NULL;
        *end = entry;
        end = &entry->next;
        bytes += entry->len;
        n++;
    }
    if (!shard->todo)
        shard->todo_end = &shard->todo;
    pthread_mutex_unlock(&mail->lock);
    shard->call++;
    shard->attempts = 0;
}

/* The entries of the batch have their results. */
static void return_batch(RedisMail *mail, MailShard *shard) {
    SentEntry *entry = shard->batch, *next;

    shard->batch = NULL;
    pthread_mutex_lock(&mail->lock);
    for (; entry; entry = next) {
        next = entry->next;
        entry->next = NULL;
        mail->backlog -= entry->len;
        *mail->done_end = entry;
        mail->done_end = &entry->next;
    }
    shard->waits = false;
    pthread_mutex_unlock(&mail->lock);
    waker_call(mail->waker);
}

static void end_batch(RedisMail *mail, MailShard *shard, int result) {
    for (SentEntry *entry = shard->batch; entry; entry = entry->next)
        entry->result = result;
    return_batch(mail, shard);
}

/* The first n entries of the batch had room. */
static void end_entries(RedisMail *mail, MailShard *shard, uint64_t n) {
    for (SentEntry *entry = shard->batch; entry; entry = entry->next, n -= n > 0)
        entry->result = n > 0 ? 0 : -EDQUOT;
    return_batch(mail, shard);
}

/* The mark of each value says whether it had room. */
static void end_values(RedisMail *mail, MailShard *shard, Span marks) {
    size_t i = 0;

    for (SentEntry *entry = shard->batch; entry; entry = entry->next, i++)
        entry->result = i < marks.len && marks.data[i] == '0' ? 0 : -E2BIG;
    /* The own values are read back at once, and the next look waits for them. */
    mail->values_ms = 0;
    pthread_mutex_lock(&mail->lock);
    mail->is_away = false;
    pthread_mutex_unlock(&mail->lock);
    return_batch(mail, shard);
}

static void put_number(Buffer *to, size_t number) {
    uint32_t bytes = htole32((uint32_t)number);

    buffer_append(to, &bytes, sizeof(bytes));
}

static void put_entry(Buffer *to, const SentEntry *entry, uint64_t now_ms) {
    if (entry->is_value) {
        put_number(to, now_ms > entry->sent_ms ? (size_t)(now_ms - entry->sent_ms) : 0);
        put_number(to, entry->topic_len);
        buffer_append(to, entry->data, entry->topic_len);
    }
    put_number(to, entry->len - entry->topic_len);
    buffer_append(to, entry->data + entry->topic_len, entry->len - entry->topic_len);
}

static bool put_entries(Buffer *to, const SentEntry *entry) {
    uint64_t now_ms = clock_ms();

    for (; entry; entry = entry->next)
        put_entry(to, entry, now_ms);
    return !to->failed;
}

static void take_result(RedisMail *mail, MailShard *shard, const LinkCall *call) {
    if (call->outcome == LINK_DONE && span_is(reply_word(call->reply, 0), "OK")) {
        if (shard->batch->is_value)
            end_values(mail, shard, reply_word(call->reply, 1));
        else
            end_entries(mail, shard, reply_number(call->reply, 1));
        return;
    }
    if (call->outcome == LINK_DONE) {
        end_batch(mail, shard, -EBUSY);
        return;
    }
    /* An earlier attempt without an answer could still be applied. */
    if (call->outcome == LINK_FULL && shard->attempts == 1) {
        end_batch(mail, shard, -ENOBUFS);
        return;
    }
    shard->not_before_ms = clock_ms() + MAIL_PAUSE_MS;
    pthread_mutex_lock(&mail->lock);
    shard->waits = true;
    mail_end_looks(mail);
    pthread_mutex_unlock(&mail->lock);
}

/* One attempt for the entries of a shard. */
static void send_some(RedisMail *mail, MailShard *shard) {
    CLEANUP(buffer_deinit) Buffer entries = {0};
    bool of_values = shard->batch->is_value;
    LinkCall call = {.script = of_values ? &mail->retain : &mail->send, .n_args = 6};
    char number[24], max[24], bytes[24];

    if (!put_entries(&entries, shard->batch)) {
        end_batch(mail, shard, -ENOMEM);
        return;
    }
    snprintf(number, sizeof(number), "%" PRIu64, shard->call);
    pthread_mutex_lock(&mail->lock);
    snprintf(max, sizeof(max), "%zu", of_values ? mail->max_values : RELAY_ENTRIES_MAX);
    snprintf(bytes, sizeof(bytes), "%zu", of_values ? mail->max_bytes : RELAY_INBOX_BYTES_MAX);
    pthread_mutex_unlock(&mail->lock);
    call.args[0] = span_text(mail->id);
    call.args[1] = span_text(mail->sender);
    call.args[2] = span_text(number);
    call.args[3] = span_text(max);
    call.args[4] = span_text(bytes);
    call.args[5] = span_of(entries.data, entries.len);
    shard->attempts++;
    redis_link_call(&shard->link, &call, 1, true, clock_ns() + MAIL_ATTEMPT_MS * UINT64_C(1000000));
    take_result(mail, shard, &call);
    reply_free(call.reply);
}

/* True: entries wait for the next attempt. */
static bool send_all(RedisMail *mail) {
    bool is_waiting = false;

    for (unsigned k = 0; k < mail->n; k++) {
        MailShard *shard = &mail->shards[k];

        if (!shard->batch)
            take_batch(mail, shard);
        if (shard->batch && clock_ms() >= shard->not_before_ms)
            send_some(mail, shard);
        is_waiting |= shard->batch != NULL;
    }
    return is_waiting;
}

/* ---- reading ---- */

/* The next entry comes behind the last one of the slice. */
static void move_on(MailShard *shard, const Reply *reply) {
    Span id = reply_word(reply, reply->n - 2);
    char text[48];

    snprintf(text, sizeof(text), "%.*s", (int)id.len, (const char *)id.data);
    if (sscanf(text, "%" SCNu64 "-%" SCNu64, &shard->ms, &shard->number) == 2)
        shard->number++;
}

static void put_slice(RedisMail *mail, unsigned k, const MailBox *box, Reply *reply) {
    MailSlice *slice = reply && reply->n > 1 ? calloc(1, sizeof(*slice)) : NULL;

    if (!slice) {
        reply_free(reply);
        return;
    }
    slice->shard = k;
    slice->life = box->life;
    slice->reply = reply;
    pthread_mutex_lock(&mail->lock);
    if (mail->shards[k].box.life == box->life) {
        move_on(&mail->shards[k], reply);
        mail->shards[k].has_slice = true;
    }
    *mail->slices_end = slice;
    mail->slices_end = &slice->next;
    pthread_mutex_unlock(&mail->lock);
    waker_call(mail->waker);
}

static void read_inbox(RedisMail *mail, unsigned k, const MailBox *box) {
    LinkCall call = {.script = &mail->read, .n_args = 3};
    char from[48], max[12], bytes[12];

    pthread_mutex_lock(&mail->lock);
    snprintf(from, sizeof(from), "%" PRIu64 "-%" PRIu64, mail->shards[k].ms,
             mail->shards[k].number);
    pthread_mutex_unlock(&mail->lock);
    snprintf(max, sizeof(max), "%d", MAIL_ENTRIES);
    snprintf(bytes, sizeof(bytes), "%d", MAIL_BYTES);
    call.args[0] = span_text(from);
    call.args[1] = span_text(max);
    call.args[2] = span_text(bytes);
    redis_link_call(&mail->shards[k].link, &call, 1, false,
                    clock_ns() + MAIL_ATTEMPT_MS * UINT64_C(1000000));
    if (call.outcome == LINK_DONE)
        put_slice(mail, k, box, call.reply);
}

/* The inboxes that are read; returns their number. */
static unsigned open_boxes(RedisMail *mail, unsigned shards[], MailBox boxes[]) {
    unsigned n = 0;

    pthread_mutex_lock(&mail->lock);
    for (unsigned k = 0; k < mail->n; k++) {
        if (!mail->shards[k].box.is_open || mail->shards[k].has_slice)
            continue;
        boxes[n] = mail->shards[k].box;
        shards[n++] = k;
    }
    pthread_mutex_unlock(&mail->lock);
    return n;
}

static void look_at_announcements(RedisMail *mail, const RedisCommand *command) {
    uint64_t number = 0;

    if (command->status < 0)
        return;
    for (size_t i = 0; command->reply->bytes.data && i < command->reply->bytes.len; i++)
        number = number * 10 + (uint64_t)(reply_span(command->reply).data[i] - '0');
    if (number != mail->announced && mail->on_announced)
        mail->on_announced(mail->ctx);
    mail->announced = number;
}

/* The lengths of all inboxes that are read, and the number of the last announcement, take one round
 * trip. */
static void look(RedisMail *mail) {
    RedisCommand commands[STORE_SHARDS_MAX + 1];
    MailBox boxes[STORE_SHARDS_MAX];
    unsigned shards[STORE_SHARDS_MAX], n = open_boxes(mail, shards, boxes);
    bool has_more[STORE_SHARDS_MAX];
    char why[REDIS_WHY];

    for (unsigned i = 0; i < n; i++) {
        commands[i] = (RedisCommand){0};
        command_begin(&commands[i], "XLEN", span_text(mail->shards[shards[i]].link.keys[1]), true);
    }
    commands[n] = (RedisCommand){0};
    command_begin(&commands[n], "HGET", span_text(mail->cluster), true);
    command_add_text(&commands[n], "binds");
    redis_run(mail->link.redis, commands, n + 1, clock_ns() + MAIL_ATTEMPT_MS * UINT64_C(1000000),
              why);
    look_at_announcements(mail, &commands[n]);
    for (unsigned i = 0; i < n; i++)
        has_more[i] =
            commands[i].status == 0 && commands[i].reply->integer > (int64_t)boxes[i].n_held;
    for (unsigned i = 0; i <= n; i++)
        if (commands[i].status == 0)
            reply_free(commands[i].reply);
    for (unsigned i = 0; i < n; i++)
        if (has_more[i])
            read_inbox(mail, shards[i], &boxes[i]);
}

/* ---- the thread ---- */

/* Waits for work until this time. False: the broker ends, and all was sent. */
static bool wait_for_work(RedisMail *mail, uint64_t until_ms, bool is_waiting) {
    bool goes_on, has_todo = is_waiting;

    pthread_mutex_lock(&mail->lock);
    while (!mail->called && (!mail->stopping || is_waiting) &&
           cond_wait_until(&mail->cond, &mail->lock, until_ms))
        continue;
    mail->called = false;
    for (unsigned k = 0; k < mail->n; k++)
        has_todo |= mail->shards[k].todo != NULL;
    goes_on = !mail->stopping || (has_todo && clock_ms() < mail->stop_by_ms);
    pthread_mutex_unlock(&mail->lock);
    return goes_on;
}

static void *run(void *ctx) {
    RedisMail *mail = ctx;
    bool is_waiting = false;
    uint64_t look_ms = 0;

    do {
        uint64_t until_ms;

        is_waiting = send_all(mail);
        mail_look_at_values(mail);
        if (clock_ms() >= look_ms) {
            look(mail);
            pthread_mutex_lock(&mail->lock);
            look_ms = clock_ms() + (mail->is_used ? MAIL_POLL_MS : MAIL_REST_MS);
            pthread_mutex_unlock(&mail->lock);
        }
        until_ms = clock_ms() + MAIL_PAUSE_MS;
        until_ms = is_waiting && until_ms < look_ms ? until_ms : look_ms;
        until_ms = until_ms < mail->values_ms ? until_ms : mail->values_ms;
        if (!wait_for_work(mail, until_ms, is_waiting))
            break;
        pthread_mutex_lock(&mail->lock);
        if (mail->is_used && look_ms > clock_ms() + MAIL_POLL_MS)
            look_ms = clock_ms();
        pthread_mutex_unlock(&mail->lock);
    } while (true);
    return NULL;
}

/* ---- for the broker's thread ---- */

int redis_mail_open(RedisMail *mail, RedisStoreOptions *options, ferry_error *reterr) {
    int r = redis_link_open(&mail->link, options, LINK_INBOX, reterr);

    if (r < 0)
        return r;
    mail->n = options->n_shards;
    snprintf(mail->cluster, sizeof(mail->cluster), "ferry:{%s}:cluster", options->name);
    mail->send.text = script_send;
    mail->read.text = script_inbox;
    mail->retain.text = script_retain;
    mail->values.text = script_values;
    mail->done_end = &mail->done;
    mail->slices_end = &mail->slices;
    for (unsigned k = 0; k < mail->n; k++) {
        char name[REDIS_NAME_MAX + 16];

        snprintf(name, sizeof(name), "%s.%u", options->name, k);
        redis_link_share(&mail->shards[k].link, &mail->link, name, LINK_INBOX);
        mail->shards[k].todo_end = &mail->shards[k].todo;
    }
    return 0;
}

int redis_mail_start(RedisMail *mail, const char *id, Waker *waker) {
    int r;

    memcpy(mail->id, id, sizeof(mail->id));
    redis_new_id(mail->sender);
    mail->waker = waker;
    pthread_mutex_init(&mail->lock, NULL);
    cond_init(&mail->cond);
    r = pthread_create(&mail->thread, NULL, run, mail);
    mail->running = r == 0;
    return -r;
}

void redis_mail_stop(RedisMail *mail) {
    if (!mail->running)
        return;
    pthread_mutex_lock(&mail->lock);
    mail->stopping = true;
    mail->stop_by_ms = clock_ms() + MAIL_CLOSE_MS;
    pthread_cond_signal(&mail->cond);
    pthread_mutex_unlock(&mail->lock);
    pthread_join(mail->thread, NULL);
    mail->running = false;
    /* It is not known whether Redis has applied an attempt that has not ended. */
    for (unsigned k = 0; k < mail->n; k++) {
        MailShard *shard = &mail->shards[k];

        if (shard->batch)
            end_batch(mail, shard, -EIO);
        while (take_batch(mail, shard), shard->batch)
            end_batch(mail, shard, -EBUSY);
    }
    pthread_cond_destroy(&mail->cond);
}

void redis_mail_close(RedisMail *mail) {
    for (SentEntry *entry = mail->done, *next; entry; entry = next) {
        next = entry->next;
        free(entry);
    }
    while (mail->slices) {
        MailSlice *next = mail->slices->next;

        mail_slice_free(mail->slices);
        mail->slices = next;
    }
    redis_link_close(&mail->link);
}

int redis_mail_admit(RedisMail *mail, unsigned shard) {
    int r;

    pthread_mutex_lock(&mail->lock);
    r = mail->shards[shard].waits || mail->stopping || mail->backlog > RELAY_BACKLOG_BYTES_MAX
            ? -EBUSY
            : 0;
    pthread_mutex_unlock(&mail->lock);
    return r;
}

static void call_thread(RedisMail *mail) {
    mail->called = true;
    pthread_cond_signal(&mail->cond);
}

static void put_todo(RedisMail *mail, unsigned shard, SentEntry *entry) {
    *mail->shards[shard].todo_end = entry;
    mail->shards[shard].todo_end = &entry->next;
    mail->backlog += entry->len;
    call_thread(mail);
}

int redis_mail_send(RedisMail *mail, unsigned shard, Span data, void *sending) {
    SentEntry *entry = malloc(sizeof(*entry) + data.len);

    if (!entry)
        return -ENOMEM;
    *entry = (SentEntry){.sending = sending, .len = data.len};
    memcpy(entry->data, data.data, data.len);
    pthread_mutex_lock(&mail->lock);
    put_todo(mail, shard, entry);
    pthread_mutex_unlock(&mail->lock);
    return 0;
}

int redis_mail_retain(RedisMail *mail, unsigned shard, const RelayValue *value, void *sending) {
    Span topic = value->topic, text = value->value;
    SentEntry *entry = malloc(sizeof(*entry) + topic.len + text.len);

    if (!entry)
        return -ENOMEM;
    *entry = (SentEntry){.sending = sending,
                         .is_value = true,
                         .topic_len = topic.len,
                         .sent_ms = clock_ms(),
                         .len = topic.len + text.len};
    memcpy(entry->data, topic.data, topic.len);
    if (text.len > 0)
        memcpy(entry->data + topic.len, text.data, text.len);
    pthread_mutex_lock(&mail->lock);
    mail->max_values = value->max_values;
    mail->max_bytes = value->max_bytes;
    put_todo(mail, shard, entry);
    pthread_mutex_unlock(&mail->lock);
    return 0;
}

uint64_t redis_mail_look(RedisMail *mail) {
    uint64_t number;

    pthread_mutex_lock(&mail->lock);
    number = mail->is_away ? mail->looks_done : ++mail->looks_wanted;
    call_thread(mail);
    pthread_mutex_unlock(&mail->lock);
    return number;
}

uint64_t redis_mail_looked(RedisMail *mail) {
    uint64_t number;

    pthread_mutex_lock(&mail->lock);
    number = mail->looks_done;
    pthread_mutex_unlock(&mail->lock);
    return number;
}

void redis_mail_read_again(RedisMail *mail, unsigned shard) {
    pthread_mutex_lock(&mail->lock);
    mail->shards[shard].reads_again = true;
    pthread_mutex_unlock(&mail->lock);
}

void redis_mail_tell(RedisMail *mail, unsigned shard, const MailBox *box) {
    pthread_mutex_lock(&mail->lock);
    if (box->is_used && !mail->is_used)
        call_thread(mail);
    mail->is_used = box->is_used;
    if (mail->shards[shard].box.life != box->life) {
        mail->shards[shard].ms = mail->shards[shard].number = 0;
        mail->shards[shard].has_slice = false;
    }
    mail->shards[shard].box = *box;
    pthread_mutex_unlock(&mail->lock);
}

SentEntry *redis_mail_take_sent(RedisMail *mail) {
    SentEntry *done;

    pthread_mutex_lock(&mail->lock);
    done = mail->done;
    mail->done = NULL;
    mail->done_end = &mail->done;
    pthread_mutex_unlock(&mail->lock);
    return done;
}

MailSlice *redis_mail_take_slices(RedisMail *mail) {
    MailSlice *slices;

    pthread_mutex_lock(&mail->lock);
    slices = mail->slices;
    for (const MailSlice *slice = slices; slice; slice = slice->next) {
        MailShard *shard = &mail->shards[slice->shard];

        if (!slice->of_values) {
            shard->has_slice = false;
            continue;
        }
        shard->has_values = false;
        call_thread(mail); /* there may be more */
    }
    mail->slices = NULL;
    mail->slices_end = &mail->slices;
    pthread_mutex_unlock(&mail->lock);
    return slices;
}

MailSlice *mail_slice_free(MailSlice *slice) {
    reply_free(slice->reply);
    free(slice);
    return NULL;
}
