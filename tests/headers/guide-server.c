#include <ferry/ferry.h>

static int echo(ferry_request *request, void *ctx) {
    (void)ctx;
    if (request->body.len > 4096)
        return ferry_request_throw(request, "test.TooLong", NULL, "%zu bytes", request->body.len);
    return ferry_request_return(request, request->body);
}

int main(void) {
    FERRY_AUTO(ferry_close) ferry_client *client = NULL;
    FERRY_AUTO(ferry_error_clear) ferry_error error = FERRY_ERROR_INIT;

    if (ferry_open(NULL, NULL, &client, &error) < 0 ||
        ferry_serve_method(client, "test.Echo.echo", NULL, echo, NULL, &error) < 0 ||
        ferry_run(client, &error) < 0)
        ferry_error_print(&error, stderr);
    return error.code != 0;
}
