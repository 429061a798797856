/* SPDX-License-Identifier: Apache-2.0 */
/* The instances of a service as JSON. See instances.h. */

#include "clients/json/instances.h"

json_t *instances_json(const ferry_description *description) {
    json_t *rows = json_array();

    for (size_t i = 0; i < description->n_instances; i++) {
        const ferry_instance *one = &description->instances[i];

        json_array_append_new(rows, json_pack("{s:s, s:I, s:s, s:I, s:I, s:b, s:b}", "instance",
                                              one->name, "session", (json_int_t)one->session,
                                              "client", one->client, "slots",
                                              (json_int_t)one->slots, "busy", (json_int_t)one->busy,
                                              "ready", one->is_ready, "ejected", one->is_ejected));
    }
    return rows;
}
