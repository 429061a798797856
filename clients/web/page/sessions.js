// SPDX-License-Identifier: Apache-2.0
// Sessions: the connected clients, and a way to end one.

import { emptyState, h } from "./dom.js";
import { path, post } from "./api.js";
import { bytes, count, plural, span } from "./format.js";
import { built, table } from "./table.js";
import { ask, tell } from "./dialog.js";

const kick = (row) =>
    ask({
        title: `End session ${row.session}`,
        button: "End the session",
        danger: true,
        text: `${row.name || "The client"} at ${row.address} loses its connection: its calls fail and its jobs go to other workers. The program may connect again.`,
        async act() {
            await post(path`/api/sessions/${row.session}/kick`);
            tell(`Session ${row.session} ended.`);
        },
    });

const does = (row) =>
    [
        row.serves && plural(row.serves, "service"),
        row.subscriptions && plural(row.subscriptions, "subscription"),
        row.pulls && plural(row.pulls, "queue"),
        row.calls && plural(row.calls, "open call"),
        row.requests && plural(row.requests, "request"),
    ]
        .filter(Boolean)
        .join(", ") || "–";

export function sessions() {
    const list = table({
        label: "Sessions",
        filter: true,
        key: (row) => row.session,
        columns: [
            { title: "Program", text: (row) => row.name || "(without a name)" },
            { title: "Session", num: true, mono: true, text: (row) => row.session, sort: (row) => Number(row.session) },
            { title: "User", text: (row) => row.user || "–" },
            { title: "Address", text: (row) => row.address },
            { title: "Age", num: true, text: (row) => span(row.age_ms), sort: (row) => row.age_ms },
            { title: "Does", wide: true, text: does },
            { title: "Received", num: true, text: (row) => count(row.in), sort: (row) => row.in },
            { title: "Sent", num: true, text: (row) => count(row.out), sort: (row) => row.out },
            { title: "Dropped", num: true, text: (row) => count(row.dropped), sort: (row) => row.dropped },
            { title: "Backlog", num: true, text: (row) => bytes(row.waiting), sort: (row) => row.waiting },
            { title: "Memory", num: true, text: (row) => bytes(row.memory), sort: (row) => row.memory },
            {
                title: "",
                cell: built((now) => [
                    h("button.quiet.actions", { type: "button", onclick: () => kick(now()) }, "End…"),
                ]),
            },
        ],
        empty: emptyState("No sessions", "No client is connected."),
    });
    return {
        title: "Sessions",
        parts: ["sessions"],
        element: h("section.panel", null, list.element),
        update: (state) => state.sessions && list.update(state.sessions),
    };
}
