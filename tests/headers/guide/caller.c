/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "calc.h"

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    int64_t quotient;

    if (ferry_open(NULL, NULL, &client, &error) < 0 ||
        calc_div(client, 1, 0, &quotient, &error) < 0) {
        const calc_division_by_zero *e = calc_division_by_zero_in(&error);

        if (e)
            printf("%" PRId32 " / 0?\n", e->dividend);
        else
            ferry_error_print(&error, stderr);
        return 1;
    }
    printf("%" PRId64 "\n", quotient);
    return 0;
}
