// SPDX-License-Identifier: Apache-2.0
// Caches: reports of clients about the caches that they use.

import { emptyState, figures, h } from "./dom.js";
import { bytes, count, percent } from "./format.js";
import { marked, table } from "./table.js";

const looked = (row) => row.hits + row.misses;
const share = (row) => (looked(row) ? row.hits / looked(row) : -1);

const troubles = (row) => [
    ...(row.breakers_open ? [["bad", "Redis does not answer"]] : []),
    ...(row.dropped_writes ? [["warn", `${count(row.dropped_writes)} writes dropped`]] : []),
];

// Two caches of a session may have the same place: nth tells them apart. Rows of a session stand together.
const numbered = (rows) => {
    let nth = 0;
    return rows.map((row, i) => {
        nth = rows[i - 1]?.session === row.session ? nth + 1 : 0;
        return { ...row, nth };
    });
};

// The sum of a counter over all caches
const sum = (rows, counter) => rows.reduce((total, row) => total + row[counter], 0);

export function caches() {
    const totals = figures([
        ["hits", "Hits"],
        ["near", "Near hits"],
        ["misses", "Misses"],
        ["share", "Hit rate"],
        ["errors", "Errors"],
    ]);
    const list = table({
        label: "Caches",
        filter: true,
        key: (row) => `${row.session} ${row.nth}`,
        columns: [
            { title: "Cache", mono: true, text: (row) => row.cache },
            { title: "Client", text: (row) => row.client || "(without a name)" },
            { title: "Hit rate", num: true, text: (row) => percent(row.hits, looked(row)), sort: share },
            { title: "Hits", num: true, text: (row) => count(row.hits), sort: (row) => row.hits },
            { title: "Near", num: true, text: (row) => count(row.near_hits), sort: (row) => row.near_hits },
            { title: "Misses", num: true, text: (row) => count(row.misses), sort: (row) => row.misses },
            { title: "Errors", num: true, text: (row) => count(row.errors), sort: (row) => row.errors },
            { title: "Entries", num: true, text: (row) => count(row.entries), sort: (row) => row.entries },
            {
                title: "Memory",
                num: true,
                text: (row) => (row.max_bytes ? `${bytes(row.bytes)} of ${bytes(row.max_bytes)}` : "–"),
                sort: (row) => row.bytes,
            },
            { title: "Evicted", num: true, text: (row) => count(row.evictions), sort: (row) => row.evictions },
            marked("State", troubles),
        ],
        empty: emptyState(
            "No caches",
            "A client that was opened with a cache reports its hits and misses:",
            "(ferry_options){.cache = cache}",
        ),
    });
    return {
        title: "Caches",
        parts: ["caches"],
        element: h(
            "div",
            null,
            h("section.panel", { "aria-label": "All caches together" }, totals.element),
            h("section.panel", null, list.element),
        ),
        update({ caches: rows }) {
            if (!rows) return;
            list.update(numbered(rows));
            totals.update({
                hits: count(sum(rows, "hits")),
                near: count(sum(rows, "near_hits")),
                misses: count(sum(rows, "misses")),
                share: percent(sum(rows, "hits"), sum(rows, "hits") + sum(rows, "misses")),
                errors: count(sum(rows, "errors")),
            });
        },
    };
}
