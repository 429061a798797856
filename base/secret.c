/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for passwords. See secret.h. */

#include "base/secret.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

/* The header in front of the secret. */
typedef union Head {
    size_t mapped; /* size in bytes, including the head */
    max_align_t align;
} Head;

void *secret_alloc(size_t size) {
    size_t mapped = sizeof(Head) + size;
    Head *head;

    if (size > SIZE_MAX - sizeof(Head))
        return NULL;
    head = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (head == MAP_FAILED)
        return NULL;
    if (madvise(head, mapped, MADV_DONTDUMP) < 0) {
        munmap(head, mapped);
        return NULL;
    }
    mlock(head, mapped); /* fails above RLIMIT_MEMLOCK: then the secret may be swapped out */
    head->mapped = mapped;
    return head + 1;
}

void *secret_free(void *secret) {
    Head *head;
    size_t mapped;

    if (!secret)
        return NULL;
    head = (Head *)secret - 1;
    mapped = head->mapped;
    explicit_bzero(head, mapped);
    munmap(head, mapped);
    return NULL;
}
