/* SPDX-License-Identifier: Apache-2.0 */

/* Serves a service that a table defines. The table is generated from an interface file, or written
 * by hand. */

#include <stdlib.h>

#include "base/buffer.h"
#include "clients/c/serving/serve.h"
#include "rpc/schema/description/description.h"

static int check(const ferry_service *service, ferry_error *reterr) {
    if (!service || !service->name)
        return error_set(reterr, "ferry.Misuse", "the service, or its name, is NULL");
    if (service->schema_version != FERRY_SCHEMA_VERSION)
        return error_set(reterr, "ferry.Unsupported",
                         "the tables of '%s' have version %u, this library needs %d: generate them "
                         "again with the ferry-idl of this library",
                         service->name, service->schema_version, FERRY_SCHEMA_VERSION);
    return 0;
}

int ferry_serve(ferry_client *client, const ferry_service *service, const void *handlers,
                const ferry_serve_options *options, void *ctx, ferry_registration **ret,
                ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer description = {0};
    ServedMethod *methods;
    size_t n = 0;
    int r = client_check(client, reterr);

    if (r == 0)
        r = check(service, reterr);
    if (r < 0)
        return r;
    r = description_write(service, &description);
    if (r < 0)
        return error_set_code(reterr, r, "the description of '%s' cannot be written: %s",
                              service->name, strerror(-r));
    methods = calloc(service->n_methods + 1, sizeof(*methods));
    if (!methods)
        return error_set_code(reterr, -ENOMEM, NULL);
    for (uint32_t i = 0; i < service->n_methods; i++) {
        const ferry_method *method = &service->methods[i];

        if (!method->dispatch)
            continue;
        methods[n++] = (ServedMethod){.name = method->name,
                                      .name_len = strlen(method->name),
                                      .invoke = invoke_typed,
                                      .is_void = !method->result && !method->stream_out,
                                      .typed = method,
                                      .handlers = handlers,
                                      .ctx = ctx};
    }
    r = service_serve(
        client,
        &(ServeSpec){.service = service->name,
                     .n_methods = n,
                     .methods = methods,
                     .description = ferry_bytes_of(description.data, description.len)},
        options, ret, reterr);
    free(methods);
    return r;
}
