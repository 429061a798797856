/* SPDX-License-Identifier: Apache-2.0 */
/* How the core drives memoised methods. See memo.h. */

#include "clients/c/memo/cache.h"
#include "clients/c/memo/memo.h"

static bool memo_due(const Core *core) {
    return core->memo && (core->memo->due || core->memo->due_servings);
}

static bool memo_run(Core *core) {
    Memo *memo = core->memo;
    bool busy;

    if (!memo)
        return false;
    for (MemoSource *source = memo->sources; source; source = source->next)
        if (source->pending > 0)
            cache_lookups_process(source->lookups);
    busy = memo_calls_run(core);
    busy |= memo_servings_run(memo);
    return busy;
}

static int memo_init(Core *core) {
    core->call_memo = &memo_calls;
    core->serve_memo = &memo_services;
    return 0;
}

const Part memo_part = {
    .init = memo_init,
    .free = memo_free,
    .is_due = memo_due,
    .run = memo_run,
    .watch = memo_watch,
    .cancel = memo_cancel,
    .shut = memo_serve_shut,
};
