/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a fuzz target's corpus without libFuzzer: runs LLVMFuzzerTestOneInput() on each named
 * file, and on each file of a named folder. So `meson test` repeats the inputs that a fuzzer once
 * found.
 */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *running = "";

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    struct stat st;
    size_t size;

    if (!file || fstat(fileno(file), &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        if (file)
            fclose(file);
        return -1;
    }
    size = (size_t)st.st_size;
    /* The allocation has exactly the size of the file, so that a sanitizer finds a read past the
     * end. */
    data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(data);
        fclose(file);
        return -1;
    }
    fclose(file);
    running = path;
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

/* Returns the number of files that were run, or -1. */
static int replay(const char *path) {
    struct dirent **names;
    struct stat st;
    int n, done = 0;

    if (stat(path, &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    n = scandir(path, &names, NULL, alphasort);
    if (n < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    for (int i = 0; i < n; i++) {
        char inner[4096];

        if (names[i]->d_name[0] != '.' && done >= 0) {
            int r = -1;

            if ((size_t)snprintf(inner, sizeof(inner), "%s/%s", path, names[i]->d_name) <
                sizeof(inner))
                r = replay(inner);
            done = r < 0 ? -1 : done + r;
        }
        free(names[i]);
    }
    free(names);
    return done;
}

/* If a failed check or a sanitizer stops the target, prints the name of its input. */
static void say_which(void) {
    static const char said[] = "the input was ";
    ssize_t n = write(STDERR_FILENO, said, sizeof(said) - 1);

    n = write(STDERR_FILENO, running, strlen(running));
    n = write(STDERR_FILENO, "\n", 1);
    (void)n;
}

static void on_signal(int number) {
    say_which();
    signal(number, SIG_DFL);
    raise(number);
}

/* A function of the sanitizers; NULL without them. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*fn)(void));

int main(int argc, char **argv) {
    int done = 0;

    signal(SIGABRT, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_which);
    else
        signal(SIGSEGV, on_signal);
    for (int i = 1; i < argc; i++) {
        int r = replay(argv[i]);

        if (r < 0)
            return EXIT_FAILURE;
        done += r;
    }
    printf("%d inputs\n", done);
    /* An empty corpus is a mistake in the build, not a success. */
    return done > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
