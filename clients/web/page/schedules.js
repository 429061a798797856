// SPDX-License-Identifier: Apache-2.0
// Schedules: recurring jobs.

import { emptyState, h } from "./dom.js";
import { path, post } from "./api.js";
import { count, moment, relative, span } from "./format.js";
import { built, linked, marked, table } from "./table.js";
import { ask, tell } from "./dialog.js";

const remove = (row) =>
    ask({
        title: `Remove the schedule ${row.name}`,
        button: "Remove",
        danger: true,
        text: `From now on it pushes no jobs to ${row.queue}.`,
        async act() {
            await post(path`/api/schedules/${row.name}/remove`);
            tell(`Schedule ${row.name} removed.`);
        },
    });

export function schedules() {
    const list = table({
        label: "Schedules",
        filter: true,
        key: (row) => row.name,
        columns: [
            { title: "Schedule", mono: true, text: (row) => row.name },
            { title: "When", mono: true, text: (row) => (row.cron ? row.cron : `every ${span(row.every_ms)}`) },
            { title: "Time zone", text: (row) => (row.cron ? row.tz || "UTC" : "–") },
            linked(
                "Queue",
                (row) => row.queue,
                (row) => `#/queues/${encodeURIComponent(row.queue)}`,
            ),
            {
                title: "Next",
                wide: true,
                text: (row) => (row.next ? `${moment(row.next)}, ${relative(Date.parse(row.next))}` : "–"),
                sort: (row) => row.next,
            },
            { title: "Last", wide: true, text: (row) => moment(row.last), sort: (row) => row.last },
            { title: "Runs", num: true, text: (row) => count(row.runs), sort: (row) => row.runs },
            { title: "If missed", text: (row) => row.missed },
            marked("State", (row) => (row.problem ? [["bad", row.problem]] : [])),
            {
                title: "",
                cell: built((now) => [
                    h("button.quiet.actions", { type: "button", onclick: () => remove(now()) }, "Remove…"),
                ]),
            },
        ],
        empty: emptyState(
            "No schedules",
            "A schedule pushes the same job again and again:",
            "ferry schedule add nightly reports --cron '15 2 * * *'",
        ),
    });
    return {
        title: "Schedules",
        parts: ["schedules"],
        element: h("section.panel", null, list.element),
        update: (state) => state.schedules && list.update(state.schedules),
    };
}
