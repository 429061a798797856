// SPDX-License-Identifier: Apache-2.0
// Pipelines: queues as boxes, forwards and bound topics as arrows, counts in and on them.

import { emptyState, h, loading, s } from "./dom.js";
import { get } from "./api.js";
import { count } from "./format.js";

const RELOAD_MS = 2000;
const WIDTH = 184,
    HEIGHT = 84,
    GAP_X = 84,
    GAP_Y = 24,
    MARGIN = 12;
const NARROW = 620; // pixels; below, the arrows point down

/*
 * Places nodes in layers, so that arrows point forwards: a node's layer is one behind the last layer
 * of its predecessors. Edges that close a circle do not count. Returns a map of node → [layer, place].
 */
export function place(nodes, edges) {
    const before = new Map(nodes.map((node) => [node, []]));
    for (const { from, to } of edges) before.get(to)?.push(from);
    const layer = new Map();
    const open = new Set();
    function layerOf(node) {
        if (layer.has(node)) return layer.get(node);
        open.add(node);
        const n =
            Math.max(
                -1,
                ...before
                    .get(node)
                    .filter((one) => !open.has(one) && before.has(one))
                    .map(layerOf),
            ) + 1;
        open.delete(node);
        layer.set(node, n);
        return n;
    }
    nodes.forEach(layerOf);
    const used = [];
    const placed = new Map();
    for (const node of [...nodes].sort((a, b) => layer.get(a) - layer.get(b))) {
        const n = layer.get(node);
        // not higher than the first node that leads to it, so that most arrows are straight
        const wish = Math.min(
            ...before
                .get(node)
                .filter((one) => placed.has(one))
                .map((one) => placed.get(one)[1]),
            Infinity,
        );
        const at = Math.max(used[n] ?? 0, wish === Infinity ? 0 : wish);
        used[n] = at + 1;
        placed.set(node, [n, at]);
    }
    return placed;
}

const short = (text, max) => (text.length > max ? `${text.slice(0, max - 1)}…` : text);

export function pipelines() {
    let graph = null; // as /api/pipelines returns it
    let rows = [];
    let width = 0;
    const drawing = h("div.drawing", null, loading());
    const element = h(
        "section.panel",
        null,
        h(
            "p.hint",
            null,
            "Each box is a queue; an arrow is work that its workers pass on, or a topic whose messages become jobs.",
        ),
        drawing,
    );
    new ResizeObserver(([entry]) => {
        width = entry.contentRect.width;
        draw();
    }).observe(element);

    function box(id, x, y) {
        if (id.startsWith("t ")) {
            return s(
                "g.topic-node",
                { transform: `translate(${x} ${y})` },
                s("rect", { width: WIDTH, height: HEIGHT, rx: 42 }),
                s("text.small", { x: WIDTH / 2, y: 34, "text-anchor": "middle" }, "topics"),
                s("text.name", { x: WIDTH / 2, y: 54, "text-anchor": "middle" }, short(id.slice(2), 20)),
            );
        }
        const name = id.slice(2);
        const row = rows.find((one) => one.name === name);
        const kind = row?.dead ? "bad" : row?.paused || (row?.ready && !row.workers) ? "warn" : "ok";
        const label = row
            ? `${name}: ${count(row.ready + row.delayed)} waiting, ${count(row.held)} working, ${count(row.dead)} dead${row.paused ? ", paused" : ""}`
            : name;
        const figure = (at, value, text, mark) => [
            s(`text.figure${mark ? `.${mark}` : ""}`, { x: at, y: 54 }, value),
            s("text.small", { x: at, y: 71 }, text),
        ];
        return s(
            `a.queue-node.${kind}`,
            { href: `#/queues/${encodeURIComponent(name)}`, transform: `translate(${x} ${y})`, "aria-label": label },
            s("rect", { width: WIDTH, height: HEIGHT, rx: 8 }),
            s("rect.mark", { width: 4, height: HEIGHT - 16, x: 0, y: 8, rx: 2 }),
            s("text.name", { x: 14, y: 24 }, short(name, 20)),
            row
                ? [
                      figure(14, count(row.ready + row.delayed), "waiting"),
                      figure(78, count(row.held), "working"),
                      figure(138, count(row.dead), "dead", row.dead ? "bad" : ""),
                  ]
                : [],
        );
    }

    function draw() {
        if (!graph || !width) return;
        const edges = [
            ...graph.binds.map((one) => ({ from: `t ${one.pattern}`, to: `q ${one.queue}`, text: "" })),
            ...graph.edges.map((one) => ({ from: `q ${one.from}`, to: `q ${one.to}`, text: count(one.forwarded) })),
        ];
        if (!edges.length) {
            drawing.replaceChildren(
                emptyState(
                    "No pipelines",
                    "Workers that pass their results on to another queue appear here, and topics that are bound to a queue:",
                    "ferry work resize --exec ./resize --then upload",
                ),
            );
            return;
        }
        const nodes = [...new Set(edges.flatMap((one) => [one.from, one.to]))];
        const placed = place(nodes, edges);
        const isDown = width < NARROW;
        const at = (node) => {
            const [layer, i] = placed.get(node);
            return isDown
                ? [MARGIN + i * (WIDTH + GAP_Y), MARGIN + layer * (HEIGHT + 54)]
                : [MARGIN + layer * (WIDTH + GAP_X), MARGIN + i * (HEIGHT + GAP_Y)];
        };
        const lines = edges.map(({ from, to, text }) => {
            const [x1, y1] = at(from),
                [x2, y2] = at(to);
            const [a, b] = isDown
                ? [
                      [x1 + WIDTH / 2, y1 + HEIGHT],
                      [x2 + WIDTH / 2, y2 - 7],
                  ]
                : [
                      [x1 + WIDTH, y1 + HEIGHT / 2],
                      [x2 - 7, y2 + HEIGHT / 2],
                  ];
            const bend = isDown
                ? [
                      [a[0], (a[1] + b[1]) / 2],
                      [b[0], (a[1] + b[1]) / 2],
                  ]
                : [
                      [(a[0] + b[0]) / 2, a[1]],
                      [(a[0] + b[0]) / 2, b[1]],
                  ];
            return s(
                "g.edge",
                null,
                s("path", { d: `M${a}C${bend[0]} ${bend[1]} ${b}`, "marker-end": "url(#arrow)" }),
                text &&
                    s(
                        "text",
                        {
                            x: (a[0] + b[0]) / 2 + (isDown ? 8 : -3),
                            y: (a[1] + b[1]) / 2 - (isDown ? -4 : 8),
                            "text-anchor": isDown ? "start" : "middle",
                        },
                        text,
                    ),
            );
        });
        const all = nodes.map(at);
        const w = Math.max(...all.map(([x]) => x)) + WIDTH + MARGIN,
            height = Math.max(...all.map(([, y]) => y)) + HEIGHT + MARGIN;
        const focused = document.activeElement?.getAttribute?.("href");
        const svg = s(
            "svg",
            { width: w, height, viewBox: `0 0 ${w} ${height}`, role: "group", "aria-label": "Queues and arrows" },
            s(
                "defs",
                null,
                s(
                    "marker",
                    {
                        id: "arrow",
                        viewBox: "0 0 8 8",
                        refX: 1,
                        refY: 4,
                        markerWidth: 7,
                        markerHeight: 7,
                        orient: "auto",
                    },
                    s("path", { d: "M0 0L8 4L0 8Z" }),
                ),
            ),
            lines,
            nodes.map((node, i) => box(node, ...all[i])),
        );
        drawing.replaceChildren(svg);
        // keep the focus on the same box when the drawing is replaced
        if (focused) [...svg.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused)?.focus();
    }

    let drawn = "";
    async function reload() {
        try {
            graph = await get("/api/pipelines");
        } catch {
            /* the banner shows the problem */
        }
    }
    reload().then(draw);
    const timer = setInterval(reload, RELOAD_MS);

    return {
        title: "Pipelines",
        parts: ["queues"],
        element,
        again: reload,
        update(state) {
            rows = state.queues ?? [];
            const text = JSON.stringify([
                graph,
                rows.map((row) => [row.name, row.ready, row.delayed, row.held, row.dead, row.paused, row.workers]),
            ]);
            if (text === drawn) return;
            drawn = text;
            draw();
        },
        close: () => clearInterval(timer),
    };
}
