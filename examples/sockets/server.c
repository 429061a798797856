/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: options.c has their numbers and options, entries.c the list, walk.c their states. */

#include "server.h"
#include "handlers.h"

int throw_os_error(ferry_request *request, const char *call, int error) {
    const char *name = strerrorname_np(error);

    return sockets_throw_os_error(
        request, &(sockets_os_error){error, name ? name : "", call, strerror(error)});
}

int sockets_start(ferry_client *client, ferry_error *reterr) {
    static const sockets_handlers handlers = {
        .filenos = filenos,
        .get_option = get_option,
        .options = list_options,
        .set_option = set_option,
        .path_mtu = path_mtu,
        .rebind = rebind,
        .entries = entries,
        .walk = walk,
    };

    return sockets_serve(client, &handlers, NULL, NULL, NULL, reterr);
}
