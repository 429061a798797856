/* From a server's description to the text of an interface file. See describe.h. */

#include "idl/describe.h"

#include <stdlib.h>

#include "base/error.h"
#include "rpc/schema/description.h"

int idl_of_description(const void *bytes, size_t len, char **ret, ferry_error *reterr) {
    CLEANUP(buffer_deinit) Buffer text = {0};
    ferry_service *service = NULL;
    int r = description_read((Span){bytes, len}, &service, reterr);

    if (r < 0)
        return r;
    r = description_print(service, &text);
    ferry_free(service);
    if (r == 0)
        *ret = strndup((const char *)text.data, text.len);
    if (r < 0 || !*ret)
        return error_set_code(reterr, r < 0 ? r : -ENOMEM, NULL);
    return 0;
}
