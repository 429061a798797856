// SPDX-License-Identifier: Apache-2.0
// Queues: the list, and one queue with its jobs, dead letters and settings.

import { emptyState, figures, h, setText, show } from "./dom.js";
import { get, path, post } from "./api.js";
import { bytes, count, plural, span } from "./format.js";
import { linked, marked, table } from "./table.js";
import { ask, attempt, tell } from "./dialog.js";
import { jobs } from "./jobs.js";

const SETTINGS_MS = 5000;

const href = (name, ...more) => `#/queues/${[name, ...more].map(encodeURIComponent).join("/")}`;

const marks = (row) => [
    ...(row.degraded ? [["bad", "store degraded"]] : []),
    ...(row.paused ? [["warn", "paused"]] : []),
    ...(row.ready && !row.workers && !row.paused ? [["warn", "no worker"]] : []),
];

// Dead letters are shown with their queue.
const withoutDead = (rows) => {
    const names = new Set(rows.map((row) => row.name));
    return rows.filter((row) => !(row.name.endsWith(".dead") && names.has(row.name.slice(0, -5))));
};

export function queues() {
    const list = table({
        label: "Queues",
        filter: true,
        key: (row) => row.name,
        columns: [
            linked(
                "Queue",
                (row) => row.name,
                (row) => href(row.name),
            ),
            {
                title: "Waiting",
                num: true,
                text: (row) => (row.delayed ? `${count(row.ready)} + ${count(row.delayed)} delayed` : count(row.ready)),
                sort: (row) => row.ready + row.delayed,
            },
            { title: "Working", num: true, text: (row) => count(row.held), sort: (row) => row.held },
            {
                ...linked(
                    "Dead",
                    (row) => count(row.dead),
                    (row) => href(row.name, "dead"),
                ),
                mono: false,
                num: true,
                sort: (row) => row.dead,
            },
            { title: "Workers", num: true, text: (row) => count(row.workers), sort: (row) => row.workers },
            { title: "Pushed", num: true, text: (row) => count(row.pushed), sort: (row) => row.pushed },
            { title: "Done", num: true, text: (row) => count(row.acked), sort: (row) => row.acked },
            { title: "Size", num: true, text: (row) => bytes(row.bytes), sort: (row) => row.bytes },
            { title: "Kept in", text: (row) => row.durability ?? "–" },
            marked("State", marks),
        ],
        empty: emptyState("No queues", "A queue exists from its first job or worker on:", "ferry push mail 'hello'"),
    });
    return {
        title: "Queues",
        parts: ["queues"],
        element: h("section.panel", null, list.element),
        update: (state) => state.queues && list.update(withoutDead(state.queues)),
    };
}

// The settings that `queue` returns, as text.
const SETTINGS = [
    ["max_jobs", "Most jobs", count],
    ["max_bytes", "Most bytes", bytes],
    ["max_attempts", "Attempts", count],
    ["overflow", "When full", String],
    ["retry", "First retry after", span],
    ["retry_max", "Longest pause before a retry", span],
    ["time_limit", "Time limit of a job", (n) => (n ? span(n) : "none set")],
    ["ttl", "Time to live", (n) => (n ? span(n) : "unlimited")],
    ["dedup", "Deduplication window", span],
    ["max_working", "Most jobs in flight", (n) => (n ? count(n) : "unlimited")],
    ["rate", "Rate limit", (text) => (text && text !== "0" ? text : "unlimited")],
    ["durability", "Kept in", String],
];

function settings(name) {
    const list = figures(SETTINGS.map(([key, label]) => [key, label]));
    const bound = h("p.hint");
    const change = () =>
        ask({
            title: `Change a setting of ${name}`,
            button: "Set",
            fields: [
                {
                    name: "setting",
                    label: "Setting",
                    options: SETTINGS.map(([key]) => key).filter((key) => key !== "durability"),
                },
                {
                    name: "value",
                    label: "Value",
                    required: false,
                    hint: "As in the configuration: 1000, 10m, 100/s. Empty: the configuration's value.",
                },
            ],
            async act({ setting, value }) {
                await post(path`/api/queues/${name}/set`, { setting, value });
                reload();
                tell(value ? `${setting} is ${value}.` : `${setting} is what the configuration says.`);
            },
        });
    async function reload() {
        try {
            const row = await get(path`/api/queues/${name}`);
            list.update(
                Object.fromEntries(
                    SETTINGS.map(([key, , text]) => [key, row[key] === undefined ? "–" : text(row[key])]),
                ),
            );
            setText(bound, row.bound?.length ? `Messages of these topics become jobs: ${row.bound.join(", ")}` : "");
        } catch {
            /* the rest of the page shows the reason */
        }
    }
    reload();
    const timer = setInterval(reload, SETTINGS_MS);
    return {
        element: h(
            "div",
            null,
            list.element,
            bound,
            h("div.buttons.actions", null, h("button", { type: "button", onclick: change }, "Change a setting…")),
        ),
        reload,
        close: () => clearInterval(timer),
    };
}

export function queue(name, tab = "jobs") {
    const isDead = name.endsWith(".dead");
    const top = figures([
        ["ready", "Waiting"],
        ["delayed", "Delayed"],
        ["held", "Working"],
        ["dead", "Dead"],
        ["workers", "Workers"],
        ["pushed", "Pushed"],
        ["acked", "Done"],
        ["redelivered", "Redelivered"],
        ["bytes", "Size"],
    ]);
    const state = h("div.chips");
    const missing = h("p.bad", { hidden: true }, "The broker has no queue with this name.");
    let row = null;
    let marksShown = "";

    const pause = h(
        "button",
        {
            type: "button",
            onclick: () =>
                attempt(
                    () => post(path`/api/queues/${name}/${row?.paused ? "resume" : "pause"}`),
                    row?.paused ? `${name} delivers jobs again.` : `${name} is paused.`,
                ),
        },
        "Pause",
    );
    const purge = h(
        "button.danger",
        {
            type: "button",
            onclick: () =>
                ask({
                    title: `Purge ${name}`,
                    button: "Delete the jobs",
                    danger: true,
                    typed: name,
                    text: `All jobs of ${name} that are not in flight are deleted. They cannot be brought back.`,
                    async act() {
                        tell(
                            `${plural((await post(path`/api/queues/${name}/purge`, { confirm: name })).n, "job")} deleted.`,
                        );
                        content?.reload();
                    },
                }),
        },
        "Purge…",
    );
    const push = h(
        "button",
        {
            type: "button",
            onclick: () =>
                ask({
                    title: `Push a job to ${name}`,
                    button: "Push",
                    fields: [
                        {
                            name: "body",
                            label: "Body",
                            value: "{}",
                            required: false,
                            hint: "JSON is sent as it is written.",
                        },
                    ],
                    async act({ body }) {
                        tell(`Job ${(await post(path`/v1/push/${name}`, body)).job} pushed.`);
                        content?.reload();
                    },
                }),
        },
        "Push…",
    );

    const tabs = [["jobs", "Jobs"], ...(isDead ? [] : [["dead", "Dead letters"]]), ["settings", "Settings"]];
    const place = h("div", { role: "tabpanel", id: "tabpanel" });
    const buttons = tabs.map(([key, label], i) =>
        h(
            "button",
            {
                type: "button",
                role: "tab",
                id: `tab-${key}`,
                "aria-controls": "tabpanel",
                onclick: () => choose(key),
                onkeydown(event) {
                    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
                    if (!by) return;
                    const next = (i + by + tabs.length) % tabs.length;
                    choose(tabs[next][0]);
                    buttons[next].focus();
                },
            },
            label,
        ),
    );
    let content = null;

    function choose(next) {
        tab = tabs.some(([key]) => key === next) ? next : "jobs";
        content?.close();
        content =
            tab === "settings"
                ? settings(name)
                : jobs(
                      tab === "dead" ? `${name}.dead` : name,
                      tab === "dead" ? name : isDead ? name.slice(0, -5) : null,
                  );
        place.replaceChildren(content.element);
        place.setAttribute("aria-labelledby", `tab-${tab}`);
        buttons.forEach((button, i) => {
            const isIt = tabs[i][0] === tab;
            button.setAttribute("aria-selected", String(isIt));
            button.tabIndex = isIt ? 0 : -1;
        });
        history.replaceState(null, "", tab === "jobs" ? href(name) : href(name, tab));
    }
    choose(tab);

    return {
        title: name,
        up: ["Queues", "#/queues"],
        parts: ["queues"],
        tools: h("div.page-tools.actions", null, push, pause, purge),
        element: h(
            "div",
            null,
            missing,
            h("section.panel", { "aria-label": "Figures" }, state, top.element),
            h(
                "section.panel",
                null,
                h("div.tabs", { role: "tablist", "aria-label": "Parts of the queue" }, buttons),
                place,
            ),
        ),
        stay(kind, [other, next]) {
            if (kind !== "queues" || other !== name) return false;
            choose(next ?? "jobs");
            return true;
        },
        again: () => content.reload(),
        update({ queues: rows }) {
            if (!rows) return;
            row = rows.find((one) => one.name === name) ?? null;
            show(missing, !row);
            pause.disabled = purge.disabled = !row;
            if (!row) return;
            setText(pause, row.paused ? "Resume" : "Pause");
            top.update(
                {
                    ready: count(row.ready),
                    delayed: count(row.delayed),
                    held: count(row.held),
                    dead: count(row.dead),
                    workers: count(row.workers),
                    pushed: count(row.pushed),
                    acked: count(row.acked),
                    redelivered: count(row.redelivered),
                    bytes: bytes(row.bytes),
                },
                { dead: row.dead ? "bad" : "" },
            );
            const texts = JSON.stringify([...marks(row), row.degraded]);
            if (texts !== marksShown) {
                marksShown = texts;
                state.replaceChildren(
                    ...marks(row).map(([kind, text]) => h(`span.chip.${kind}`, null, text)),
                    ...(row.degraded ? [row.degraded] : []),
                );
            }
        },
        close: () => content.close(),
    };
}
