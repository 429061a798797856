// SPDX-License-Identifier: Apache-2.0
// The overview: rates, problems that need attention, and charts of the last hour.

import { figures, h, setText } from "./dom.js";
import { get } from "./api.js";
import { bytes, count, micros, percent, plural, rate, span } from "./format.js";
import { chart } from "./chart.js";

const RELOAD_MS = 5000;

const TILES = [
    ["calls", "Calls", "per second"],
    ["published", "Publishes", "per second"],
    ["pushed", "Jobs pushed", "per second"],
    ["errors", "Errors", "per second"],
    ["p50_us", "Latency p50", "of calls"],
    ["p99_us", "Latency p99", "of calls"],
];

const link = (kind, name) => `#/${kind}/${encodeURIComponent(name)}`;

// Problems that an operator should look at: [{kind, text, href}], the worst first.
export function concerns({ overview, services = [], queues = [], schedules = [], caches = [] }) {
    const found = [];
    const add = (kind, text, href) => found.push({ kind, text, href });
    const stats = overview?.stats;

    if (stats?.degraded) add("bad", `A store cannot write: ${stats.degraded}`, "#/queues");
    if (stats?.memory_max && stats.memory_used > 0.8 * stats.memory_max)
        add("bad", `${percent(stats.memory_used, stats.memory_max)} of max_memory is used`, "#/sessions");
    for (const one of queues) {
        if (one.degraded) add("bad", `Queue ${one.name} cannot store jobs: ${one.degraded}`, link("queues", one.name));
        if (one.dead)
            add("bad", `${plural(one.dead, "dead letter")} in ${one.name}`, `${link("queues", one.name)}/dead`);
        if (one.paused)
            add("warn", `Queue ${one.name} is paused; ${plural(one.ready, "job")} waiting`, link("queues", one.name));
        else if (one.ready && !one.workers && !one.name.endsWith(".dead"))
            add("warn", `${plural(one.ready, "job")} in ${one.name}, and no worker`, link("queues", one.name));
    }
    for (const one of services) {
        if (!one.instances) add("bad", `Service ${one.name} has no instance`, link("services", one.name));
        if (one.ejected)
            add(
                "bad",
                `${plural(one.ejected, "instance")} of ${one.name} ejected after failures`,
                link("services", one.name),
            );
        if (one.waiting)
            add(
                "warn",
                `${plural(one.waiting, "call")} to ${one.name} waiting for a free slot`,
                link("services", one.name),
            );
        if (one.differs)
            add("warn", `Instances of ${one.name} have different descriptions`, link("services", one.name));
    }
    for (const one of caches)
        if (one.breakers_open) add("bad", `${one.client || "A client"} gets no answer from ${one.cache}`, "#/caches");
    for (const one of schedules) if (one.problem) add("bad", `Schedule ${one.name}: ${one.problem}`, "#/schedules");
    return found.sort((a, b) => (a.kind === b.kind ? 0 : a.kind === "bad" ? -1 : 1));
}

export function overview() {
    const tiles = TILES.map(([name, label, unit]) => {
        const value = h("strong", null, "–");
        return { name, value, element: h("div.tile", null, h("span", null, label), value, h("small", null, unit)) };
    });
    const charts = [
        chart({
            title: "Calls",
            format: rate,
            floor: 4,
            series: [
                { column: "calls", label: "calls/s", kind: "a" },
                { column: "errors", label: "errors/s", kind: "bad" },
            ],
        }),
        chart({
            title: "Latency of calls",
            format: micros,
            floor: 1000,
            series: [
                { column: "p99_us", label: "p99", kind: "b" },
                { column: "p50_us", label: "p50", kind: "a" },
            ],
        }),
        chart({
            title: "Topics",
            format: rate,
            floor: 4,
            series: [
                { column: "published", label: "published/s", kind: "a" },
                { column: "delivered", label: "delivered/s", kind: "b" },
                { column: "dropped", label: "dropped/s", kind: "bad" },
            ],
        }),
        chart({
            title: "Queues",
            format: rate,
            floor: 4,
            series: [
                { column: "pushed", label: "pushed/s", kind: "a" },
                { column: "acked", label: "done/s", kind: "b" },
                { column: "dead", label: "dead/s", kind: "bad" },
            ],
        }),
    ];
    const list = h("ul.concerns");
    const broker = figures([
        ["uptime", "Uptime"],
        ["sessions", "Sessions"],
        ["calls_open", "Calls in flight"],
        ["memory", "Memory of clients"],
        ["stored", "Stored for queues"],
        ["durability", "Durability"],
        ["version", "Version of ferry web"],
        ["user", "User"],
    ]);
    let shown = "";

    const element = h(
        "div.overview",
        null,
        h(
            "section.tiles",
            { "aria-label": "Rates now" },
            tiles.map((one) => one.element),
        ),
        h(
            "div.overview-columns",
            null,
            h("section.panel", { "aria-labelledby": "concerns" }, h("h2", { id: "concerns" }, "Needs attention"), list),
            h("section.panel", { "aria-labelledby": "broker" }, h("h2", { id: "broker" }, "Broker"), broker.element),
        ),
        h(
            "section.charts",
            { "aria-label": "The last hour" },
            charts.map((one) => one.element),
        ),
    );

    async function reload() {
        try {
            const history = await get("/api/history");
            if (history.rows.length) charts.forEach((one) => one.update(history));
        } catch {
            /* the banner shows the problem; the next attempt follows */
        }
    }
    reload();
    const timer = setInterval(reload, RELOAD_MS);

    function showConcerns(found) {
        const text = JSON.stringify(found);
        if (text === shown) return;
        shown = text;
        list.replaceChildren(
            ...(found.length
                ? found
                      .slice(0, 12)
                      .map(({ kind, text: what, href }) =>
                          h("li", null, h(`i.dot.${kind}`), href ? h("a", { href }, what) : what),
                      )
                : [h("li", null, h("i.dot.good"), "Nothing. All queues are served and no job is dead.")]),
            ...(found.length > 12 ? [h("li", null, `and ${found.length - 12} more`)] : []),
        );
    }

    return {
        title: "Overview",
        parts: ["services", "queues", "schedules", "caches"],
        element,
        update(state) {
            const { rates, stats, version, user } = state.overview;
            for (const { name, value, element: tile } of tiles) {
                setText(value, rates ? (name.endsWith("_us") ? micros(rates[name]) : rate(rates[name])) : "–");
                tile.classList.toggle("bad", name === "errors" && rates?.errors > 0);
            }
            broker.update({
                uptime: span(stats?.uptime_ms),
                sessions: count(stats?.sessions),
                calls_open: count(stats?.calls_open),
                memory: stats ? `${bytes(stats.memory_used)} of ${bytes(stats.memory_max)}` : "–",
                stored: bytes(stats?.stored_bytes),
                durability: stats?.durability ?? "–",
                version,
                user: stats ? user || "no users configured" : "–",
            });
            if (state.overview.broker === "lost") showConcerns([{ kind: "bad", text: "The broker is not reachable." }]);
            else if (state.queues) showConcerns(concerns(state));
        },
        close: () => clearInterval(timer),
    };
}
