/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the retained values of all shards, on the thread of the inboxes. See mail.h. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "broker/stores/redis/mail.h"
#include "broker/stores/redis/reader.h"
#include "broker/stores/redis/script.h"

/* The last change of a shard that has had no change yet. */
enum { NO_CHANGE = 1 };

static uint64_t number_of(const Reply *reply) {
    Span text = reply_span(reply);
    char digits[24];

    snprintf(digits, sizeof(digits), "%.*s", (int)text.len,
             text.data ? (const char *)text.data : "");
    return strtoull(digits, NULL, 10);
}

/* The last change of a shard that was read; 0: all values must be read. */
static uint64_t place_of(RedisMail *mail, MailShard *shard) {
    bool is_old = clock_ms() > shard->looked_ms + VALUES_OLD_MS;

    pthread_mutex_lock(&mail->lock);
    if (is_old || shard->reads_again)
        shard->change = 0;
    shard->reads_again = false;
    pthread_mutex_unlock(&mail->lock);
    return shard->change;
}

/* True: there are no more values. Without memory they are read again. A shard of other data keeps
 * the values that were read before. */
static bool put_slice(RedisMail *mail, unsigned k, Reply *reply) {
    MailShard *shard = &mail->shards[k];
    bool has_more = span_is(reply_word(reply, 2), "1"), is_right = reply->n >= 3;
    MailSlice *slice = is_right ? calloc(1, sizeof(*slice)) : NULL;

    if (!slice) {
        reply_free(reply);
        return !is_right;
    }
    shard->reads_all |= span_is(reply_word(reply, 0), "ALL");
    *slice =
        (MailSlice){.shard = k, .of_values = true, .is_new = !shard->reads_all, .reply = reply};
    if (!has_more)
        shard->reads_all = false;
    shard->change = reply_number(reply, 1);
    pthread_mutex_lock(&mail->lock);
    shard->has_values = true;
    *mail->slices_end = slice;
    mail->slices_end = &slice->next;
    pthread_mutex_unlock(&mail->lock);
    waker_call(mail->waker);
    return !has_more;
}

/* Reads the next values of a shard. True: there are no more, or they cannot be read. */
static bool read_some(RedisMail *mail, unsigned k, uint64_t place, bool *ret_is_away) {
    LinkCall call = {.script = &mail->values, .n_args = 4};
    MailShard *shard = &mail->shards[k];
    char from[24], max[12], bytes[12];
    bool is_busy;

    pthread_mutex_lock(&mail->lock);
    is_busy = shard->has_values;
    pthread_mutex_unlock(&mail->lock);
    if (is_busy)
        return false;
    snprintf(from, sizeof(from), "%" PRIu64, place);
    snprintf(max, sizeof(max), "%d", MAIL_ENTRIES);
    snprintf(bytes, sizeof(bytes), "%d", MAIL_BYTES);
    call.args[0] = span_text(from);
    call.args[1] = span_text(max);
    call.args[2] = span_text(bytes);
    call.args[3] = span_text(mail->id);
    redis_link_call(&shard->link, &call, 1, false,
                    clock_ns() + MAIL_ATTEMPT_MS * UINT64_C(1000000));
    if (call.outcome == LINK_DONE)
        return put_slice(mail, k, call.reply);
    *ret_is_away = true;
    return true;
}

/* The numbers of the last changes of all shards take one round trip. True: all values were read,
 * as far as Redis has answered. */
static bool look(RedisMail *mail, bool *ret_is_away) {
    RedisCommand commands[STORE_SHARDS_MAX];
    char why[REDIS_WHY];
    bool is_whole = true;

    for (unsigned k = 0; k < mail->n; k++) {
        commands[k] = (RedisCommand){0};
        command_begin(&commands[k], "HGET", span_text(mail->shards[k].link.keys[2]), true);
        command_add_text(&commands[k], "version");
    }
    redis_run(mail->link.redis, commands, mail->n, clock_ns() + MAIL_ATTEMPT_MS * UINT64_C(1000000),
              why);
    for (unsigned k = 0; k < mail->n; k++) {
        uint64_t place = place_of(mail, &mail->shards[k]), last;

        if (commands[k].status < 0) {
            *ret_is_away = true;
            continue;
        }
        last = number_of(commands[k].reply);
        if (last == 0 && place <= NO_CHANGE)
            mail->shards[k].change = NO_CHANGE; /* the first value will be a new one */
        else if (last != place)
            is_whole &= read_some(mail, k, place, ret_is_away);
        mail->shards[k].looked_ms = clock_ms();
        reply_free(commands[k].reply);
    }
    return is_whole;
}

void mail_end_looks(RedisMail *mail) {
    mail->is_away = true;
    mail->looks_done = mail->looks_wanted;
    waker_call(mail->waker);
}

void mail_look_at_values(RedisMail *mail) {
    bool is_away = false;
    uint64_t wanted, done;

    pthread_mutex_lock(&mail->lock);
    wanted = mail->looks_wanted;
    done = mail->looks_done;
    pthread_mutex_unlock(&mail->lock);
    if (wanted == done && !mail->has_more_values && clock_ms() < mail->values_ms)
        return;
    mail->has_more_values = !look(mail, &is_away);
    /* The broker calls the thread when it has taken a slice. */
    mail->values_ms = clock_ms() + (mail->has_more_values ? MAIL_PAUSE_MS : VALUES_REST_MS);
    pthread_mutex_lock(&mail->lock);
    mail->is_away = false;
    if (is_away) {
        mail_end_looks(mail);
    } else if (!mail->has_more_values && mail->looks_done < wanted) {
        mail->looks_done = wanted;
        waker_call(mail->waker);
    }
    pthread_mutex_unlock(&mail->lock);
}
