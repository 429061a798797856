/* SPDX-License-Identifier: Apache-2.0 */
/* The topic router as a whole: new and free. See topics.h. */

#include "broker/topics/topics.h"

#include <errno.h>
#include <stdlib.h>

#include "broker/topics/internal.h"

int topics_new(Topics **ret, Broker *broker) {
    Topics *topics = calloc(1, sizeof(*topics));

    if (!topics)
        return -ENOMEM;
    topics->broker = broker;
    topics->generation = 1;
    if (topic_tree_init(&topics->tree) < 0 || topic_tree_init(&topics->names) < 0) {
        topics_free(topics);
        return -ENOMEM;
    }
    *ret = topics;
    return 0;
}

Topics *topics_free(Topics *topics) {
    if (!topics)
        return NULL;
    if (topics->tree.root)
        subscriptions_free(topics);
    topics_forget_all(topics);
    topic_rules_free(topics);
    topic_tree_deinit(&topics->tree);
    topic_tree_deinit(&topics->names);
    id_map_deinit(&topics->replies);
    free(topics->scratch);
    free(topics);
    return NULL;
}
