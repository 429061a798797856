/* SPDX-License-Identifier: Apache-2.0 */
/* Serves listings and files of the folder WEBSITE_FOLDER, and nothing outside of it. */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apps.h"

enum { PIECE = 65536, NAMES_MAX = 1000 };

/* A descriptor, or a negative errno. The kernel refuses each way out: "..", links, /proc. */
static int open_beneath(const char *folder, const char *path) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (root < 0)
        return -errno;
    fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
    fd = fd < 0 ? -errno : fd;
    close(root);
    return fd;
}

static const char *type_of(const char *path) {
    static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                           {".txt", "text/plain; charset=utf-8"},
                                           {".css", "text/css; charset=utf-8"},
                                           {".js", "text/javascript; charset=utf-8"},
                                           {".json", "application/json"},
                                           {".png", "image/png"},
                                           {".jpg", "image/jpeg"},
                                           {".svg", "image/svg+xml"}};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot && i < sizeof(types) / sizeof(*types); i++)
        if (strcasecmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static int send_file(ferry_request *request, int fd, int64_t size, const char *path, bool head) {
    int r = respond_head(request, 200, "OK", type_of(path), size);
    FERRY_AUTO(ferry_free) char *piece = ferry_alloc(PIECE);
    ssize_t n;

    if (!piece)
        return -ENOMEM;
    for (int64_t left = head ? 0 : size; r == 0 && left > 0; left -= n) {
        n = read(fd, piece, left < PIECE ? (size_t)left : PIECE);
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* the file became shorter than the announced length */
        r = respond_body(request, piece, (size_t)n);
    }
    return r < 0 ? r : website_handle_return(request);
}

/* ---- listings ---- */

static void put_quoted(FILE *out, const char *name) {
    for (; *name; name++)
        if (isalnum((unsigned char)*name) || strchr("_.-~", *name))
            putc(*name, out);
        else
            fprintf(out, "%%%02X", (unsigned char)*name);
}

static void put_escaped(FILE *out, const char *text) {
    for (; *text; text++)
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            putc(*text, out);
        }
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lists the names; folders end with a slash. Returns their number. */
static size_t read_names(int fd, char *names[NAMES_MAX]) {
    int own = dup(fd);
    DIR *folder = own < 0 ? NULL : fdopendir(own);
    struct dirent *one;
    size_t n = 0;

    while (folder && n < NAMES_MAX && (one = readdir(folder)))
        if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0 &&
            asprintf(&names[n], "%s%s", one->d_name, one->d_type == DT_DIR ? "/" : "") >= 0)
            n++;
    if (folder)
        closedir(folder);
    qsort(names, n, sizeof(*names), by_name);
    return n;
}

static int list_folder(ferry_request *request, const website_map_string_string *variables, int fd) {
    char *names[NAMES_MAX], *text = NULL;
    size_t n = read_names(fd, names), len = 0;
    FILE *out = open_memstream(&text, &len);
    int r = -ENOMEM;

    if (out) {
        fputs("<!DOCTYPE html>\n<html><head><title>Directory listing for ", out);
        put_escaped(out, environ_get(variables, "PATH_INFO"));
        fputs("</title></head><body>\n<h1>Directory listing for ", out);
        put_escaped(out, environ_get(variables, "PATH_INFO"));
        fputs("</h1>\n<ul>\n", out);
        for (size_t i = 0; i < n; i++) {
            bool folder = names[i][strlen(names[i]) - 1] == '/';

            fputs("<li><a href=\"", out);
            if (folder)
                names[i][strlen(names[i]) - 1] = '\0';
            put_quoted(out, names[i]);
            fputs(folder ? "/\">" : "\">", out);
            put_escaped(out, names[i]);
            fputs(folder ? "/</a></li>\n" : "</a></li>\n", out);
        }
        fputs("</ul>\n</body></html>\n", out);
        if (fclose(out) == 0)
            r = respond_text(request, variables, 200, "OK", "text/html; charset=utf-8", text, len);
    }
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(text);
    return r;
}

/* ---- the two ---- */

static int refuse(ferry_request *request, const website_map_string_string *variables, int error) {
    static const char plain[] = "text/plain; charset=utf-8";

    if (error == EACCES || error == EPERM || error == EXDEV || error == ELOOP)
        return respond_text(request, variables, 403, "Forbidden", plain, "not for you\n", 12);
    return respond_text(request, variables, 404, "Not Found", plain, "no such file\n", 13);
}

int respond_file(ferry_request *request, const website_map_string_string *variables,
                 const char *path) {
    const char *folder = getenv("WEBSITE_FOLDER");
    int fd = folder ? open_beneath(folder, path) : -ENOENT, r;
    struct stat status;

    if (fd < 0)
        return refuse(request, variables, -fd);
    if (fstat(fd, &status) < 0)
        r = refuse(request, variables, errno);
    else if (S_ISDIR(status.st_mode))
        r = list_folder(request, variables, fd);
    else if (S_ISREG(status.st_mode))
        r = send_file(request, fd, status.st_size, path,
                      strcmp(environ_get(variables, "REQUEST_METHOD"), "HEAD") == 0);
    else
        r = refuse(request, variables, EACCES);
    close(fd);
    return r;
}
