#pragma once

/* What a server says of its interface, as the interface file that says the same. */

#include <ferry/ferry.h>

/* ret: free(). -EINVAL: the bytes are no description, and reterr says why; -ENOMEM. */
int idl_of_description(const void *bytes, size_t len, char **ret, ferry_error *reterr);
