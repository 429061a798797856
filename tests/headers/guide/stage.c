/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <ferry/ferry.h>

static int shout(ferry_job *job, void *next) {
    FERRY_AUTO(ferry_free) char *out = ferry_alloc(job->body.len);
    const unsigned char *in = job->body.data;

    if (!out)
        return -ENOMEM; /* a negative errno: tried again after the queue's back-off */
    for (size_t i = 0; i < job->body.len; i++)
        out[i] = (char)toupper(in[i]);
    return ferry_job_forward(job, next, ferry_shared(out, job->body.len), NULL);
}

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (ferry_open(NULL, NULL, &client, &error) < 0 ||
        ferry_work(client, "words", NULL, shout, "loud", NULL, &error) < 0 ||
        ferry_run(client, &error) < 0)
        ferry_error_print(&error, stderr);
    return error.code != 0;
}
