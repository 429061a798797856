#include <ferry/ferry.h>
#include <inttypes.h>

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;
    FERRY_AUTO(ferry_free) ferry_reply *reply = NULL;
    int64_t quotient;

    if (ferry_open(NULL, NULL, &client, &error) < 0 ||
        ferry_callf(client, "calc.Calc.div", &reply, &error, "ii", 1, 0) < 0 ||
        ferry_unpack(reply->body, &error, "l", &quotient) < 0) {
        ferry_error_print(&error, stderr);
        return 1;
    }
    printf("%" PRId64 "\n", quotient);
    return 0;
}
