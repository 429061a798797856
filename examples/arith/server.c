/* SPDX-License-Identifier: Apache-2.0 */

/* Arithmetic that reports overflow, an echo of values of every type, and a number that is protected
 * by a token.
 */

#include <math.h>
#include <unistd.h>

#include "arith.h"
#include "server.h"

static int add(ferry_request *request, int64_t a, int64_t b, void *ctx) {
    int64_t sum;

    (void)ctx;
    if (__builtin_add_overflow(a, b, &sum))
        return arith_throw_overflow(request, &(arith_overflow){a, b, "the sum needs 65 bits"});
    return arith_add_return(request, sum);
}

static int quadratic(ferry_request *request, double a, double b, double c, void *ctx) {
    double discriminant = b * b - 4 * a * c, q;
    arith_roots roots;

    (void)ctx;
    if (a == 0)
        return arith_throw_not_quadratic(request, &(arith_not_quadratic){"a is zero: a line"});
    if (!isfinite(discriminant))
        return arith_throw_not_quadratic(
            request, &(arith_not_quadratic){"the coefficients are too large, or not numbers"});
    if (discriminant < 0)
        return arith_throw_no_real_roots(request, &(arith_no_real_roots){discriminant});

    /* If b² is much larger than 4ac, the textbook's formula loses all digits. This formula keeps
     * them.
     */
    q = -(b + copysign(sqrt(discriminant), b)) / 2;
    roots.low = q / a;
    roots.high = q == 0 ? roots.low : c / q;
    if (roots.low > roots.high)
        roots = (arith_roots){roots.high, roots.low};
    return arith_quadratic_return(request, &roots);
}

static int echo(ferry_request *request, const arith_everything *everything, void *ctx) {
    (void)ctx;
    return arith_echo_return(request, everything);
}

static int whoami(ferry_request *request, void *ctx) {
    char name[128] = "", host[65] = "";

    (void)ctx;
    gethostname(host, sizeof(host) - 1);
    snprintf(name, sizeof(name), "arith on %s, process %d", host, (int)getpid());
    return arith_whoami_return(request, name);
}

static int memory(ferry_request *request, void *ctx) {
    return arith_memory_return(request, *(const int64_t *)ctx);
}

static int remember(ferry_request *request, int64_t number, void *ctx) {
    const char *token = ferry_request_header(request, "token");
    int64_t *kept = ctx, before = *kept;

    if (!token || strcmp(token, "open sesame") != 0)
        return ferry_request_throw(request, "ferry.PermissionDenied", NULL,
                                   "%s may not set the number: %s",
                                   *request->caller ? request->caller : "a stranger",
                                   token ? "the token is wrong" : "there is no token");
    *kept = number;
    return arith_remember_return(request, before);
}

int arith_start(ferry_client *client, ferry_error *reterr) {
    static const arith_handlers handlers = {.add = add,
                                            .quadratic = quadratic,
                                            .echo = echo,
                                            .whoami = whoami,
                                            .memory = memory,
                                            .remember = remember};
    static int64_t kept = 42;

    return arith_serve(client, &handlers, NULL, &kept, NULL, reterr);
}
