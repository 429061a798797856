/* SPDX-License-Identifier: Apache-2.0 */
#include "calc.h"

static int divide(ferry_request *request, int32_t a, int32_t b, void *ctx) {
    (void)ctx;
    if (b == 0)
        return calc_throw_division_by_zero(request, &(calc_division_by_zero){.dividend = a});
    return calc_div_return(request, (int64_t)a / b);
}

int main(void) {
    static const calc_handlers handlers = {.div = divide};
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (ferry_open(NULL, NULL, &client, &error) < 0 ||
        calc_serve(client, &handlers, NULL, NULL, NULL, &error) < 0 ||
        ferry_run(client, &error) < 0)
        ferry_error_print(&error, stderr);
    return error.code != 0;
}
