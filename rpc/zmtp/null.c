/* SPDX-License-Identifier: Apache-2.0 */
/* The NULL mechanism: the handshake consists of one READY with metadata from each end. See
 * zmtp.h. */

#include <errno.h>

#include "rpc/zmtp/zmtp.h"

static size_t say(Zmtp *zmtp, uint8_t *to) {
    size_t len;

    /* The state marks that READY was sent. */
    if (zmtp->state)
        return 0;
    zmtp->state = (void *)(uintptr_t)&zmtp_null;
    len = zmtp_command_put("READY", to);
    return len + zmtp_metadata_put(zmtp, to + len);
}

static int hear(Zmtp *zmtp, const uint8_t *command, size_t len) {
    const uint8_t *body = zmtp_command_body("READY", command, len);
    int r;

    if (!body)
        return zmtp_fail(zmtp, "its handshake is not READY");
    r = zmtp_metadata_check(zmtp, body, len - (size_t)(body - command));
    return r < 0 ? r : 1;
}

const ZmtpMechanism zmtp_null = {.name = "NULL", .say = say, .hear = hear};
