/* SPDX-License-Identifier: Apache-2.0 */

/* Finds the memory that this process may use. See memory-limit.h. */

#include "broker/memory-limit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PATH_SIZE = 4200,
    AS_PER_BYTE = 2, /* addresses for each byte in use: threads reserve more than they use */
};

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t memory_limit_in(const char *path) {
    FILE *file = fopen(path, "re");
    unsigned long long bytes;
    uint64_t limit = UINT64_MAX;

    if (!file)
        return limit;
    if (fscanf(file, "%llu", &bytes) == 1)
        limit = bytes;
    fclose(file);
    return limit;
}

/* The lowest limit of this cgroup and the groups around it. A container may see its own group as
 * the root. */
static uint64_t limit_of_group(const char *root, char *group, const char *name) {
    uint64_t limit = UINT64_MAX;
    char path[PATH_SIZE], *slash;

    for (;;) {
        snprintf(path, sizeof(path), "%s%s/%s", root, group, name);
        limit = least(limit, memory_limit_in(path));
        slash = strrchr(group, '/');
        if (!slash)
            return limit;
        *slash = '\0';
    }
}

static uint64_t limit_of_groups(void) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    uint64_t limit = UINT64_MAX;
    char line[PATH_SIZE - 100];

    /* A line is "0::/path" in version 2, "4:memory:/path" in version 1. */
    while (file && fgets(line, sizeof(line), file)) {
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (names[1] == '\0')
            limit = least(limit, limit_of_group("/sys/fs/cgroup", group, "memory.max"));
        else if (strstr(names, "memory"))
            limit = least(limit,
                          limit_of_group("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
    if (file)
        fclose(file);
    return limit;
}

static uint64_t limit_of_resource(int resource) {
    struct rlimit limit;

    return getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX
                                                                              : limit.rlim_cur;
}

uint64_t memory_allowed(void) {
    uint64_t addresses = limit_of_resource(RLIMIT_AS);
    long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGE_SIZE);
    uint64_t allowed =
        pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size : UINT64_MAX;

    allowed = least(allowed, limit_of_resource(RLIMIT_DATA));
    allowed = least(allowed, addresses == UINT64_MAX ? addresses : addresses / AS_PER_BYTE);
    return least(allowed, limit_of_groups());
}
