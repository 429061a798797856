// SPDX-License-Identifier: Apache-2.0
// The next jobs of a queue, or its dead letters: a list, and actions on the selected jobs.

import { emptyState, h, setText, show } from "./dom.js";
import { get, path, post } from "./api.js";
import { bodyLine, bodyText, bytes, count, plural, relative, span } from "./format.js";
import { built, table } from "./table.js";
import { ask, attempt, tell } from "./dialog.js";

const PEEK_MAX = 50;
const RELOAD_MS = 3000;

const STATES = { ready: "waiting", delayed: "delayed", held: "working", storing: "storing", settling: "settling" };

function showJob(job) {
    const facts = [
        ["Number", job.job],
        ["State", STATES[job.state] ?? job.state],
        ["Attempt", job.attempt],
        ["Priority", job.priority],
        ["Age", span(job.age_ms)],
        ["Length", bytes(job.bytes)],
        job.due_ms ? [job.state === "held" ? "Time limit" : "Due", `in ${span(job.due_ms)}`] : null,
        job.expires_ms ? ["Expires", `in ${span(job.expires_ms)}`] : null,
        job.session !== "0" ? ["Session of the worker", job.session] : null,
        ...Object.entries(job.headers ?? {}),
    ].filter(Boolean);
    const dialog = h(
        "dialog.wide",
        { "aria-label": `Job ${job.job}`, onclose: () => dialog.remove() },
        h(
            "form",
            { method: "dialog" },
            h("h2", null, `Job ${job.job}`),
            job.reason && h("div.error-card", null, h("p", null, job.reason)),
            h(
                "dl.fields-of",
                null,
                facts.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, String(value)))),
            ),
            h("h3", null, "Body"),
            h("pre.code", { tabindex: 0 }, bodyText(job) || "(empty)"),
            h("div.buttons", null, h("button.primary", { type: "submit" }, "Close")),
        ),
    );
    document.body.append(dialog);
    dialog.showModal();
}

const tellDone = (verb, { moved, dropped, failed, n }) => {
    const done = n ?? (moved ?? dropped).length;
    tell(`${plural(done, "job")} ${verb}.`);
    if (failed?.length) tell(`${plural(failed.length, "job")} not: ${failed[0].problem.detail}`, "bad");
};

// home: the queue to which dead letters return; null: the jobs are not dead letters.
export function jobs(name, home) {
    let timer = null;
    let isClosed = false;
    const act = (action, body) => post(path`/api/queues/${name}/${action}`, body);
    const chosen = () => ({ jobs: list.selection() });

    const retryAll = h(
        "button",
        {
            type: "button",
            onclick: () =>
                ask({
                    title: "Retry all dead letters",
                    button: "Retry all",
                    text: `All jobs of ${name} return to ${home} and are tried again.`,
                    async act() {
                        tellDone(`returned to ${home}`, await act("retry", { limit: 0 }));
                        reload();
                    },
                }),
        },
        "Retry all…",
    );
    const retry = h(
        "button.primary",
        {
            type: "button",
            onclick: async () => {
                const result = await attempt(() => act("retry", chosen()));
                if (result) tellDone(`returned to ${home}`, result);
                reload();
            },
        },
        "Retry",
    );
    const run = h("button", { type: "button", onclick: () => each("run", "next to be delivered") }, "Run now");
    const move = h(
        "button",
        {
            type: "button",
            onclick: () =>
                ask({
                    title: `Move ${plural(list.selection().length, "job")}`,
                    button: "Move",
                    fields: [{ name: "to", label: "To the queue", value: home ?? "" }],
                    async act({ to }) {
                        tellDone(`moved to ${to}`, await act("move", { to, ...chosen() }));
                        reload();
                    },
                }),
        },
        "Move…",
    );
    const drop = h(
        "button.danger",
        {
            type: "button",
            onclick: () =>
                ask({
                    title: `Drop ${plural(list.selection().length, "job")}`,
                    button: "Drop",
                    danger: true,
                    text: "The jobs are deleted. They cannot be brought back.",
                    async act() {
                        tellDone("dropped", await act("drop", chosen()));
                        reload();
                    },
                }),
        },
        "Drop…",
    );

    async function each(action, text) {
        const some = list.selection();
        const done = await attempt(() => Promise.all(some.map((job) => post(path`/api/jobs/${job}/${action}`))));
        if (done) tell(`${plural(some.length, "job")} ${text}.`);
        reload();
    }

    const selected = h("span.selected", { role: "status" });
    const tools = h(
        "div.table-tools.actions",
        null,
        home && retry,
        !home && run,
        move,
        drop,
        selected,
        home && retryAll,
    );
    const list = table({
        label: home ? "Dead letters" : "Jobs",
        select: true,
        key: (row) => row.job,
        onselect: tellSelection,
        columns: [
            {
                title: "Job",
                mono: true,
                text: (row) => row.job,
                cell: built((now) => {
                    const button = h("button.link", { type: "button", onclick: () => showJob(now()) });
                    return [button, (row) => setText(button, row.job)];
                }),
            },
            ...(home
                ? [{ title: "Reason", wide: true, text: (row) => row.reason || "–" }]
                : [
                      {
                          title: "State",
                          text: (row) =>
                              `${STATES[row.state] ?? row.state}${row.state === "delayed" && row.due_ms ? `, ${relative(Date.now() + row.due_ms)}` : ""}`,
                          sort: (row) => row.state,
                      },
                  ]),
            { title: "Body", wide: true, mono: true, text: (row) => bodyLine(row) || "(empty)" },
            { title: "Attempt", num: true, text: (row) => count(row.attempt), sort: (row) => row.attempt },
            { title: "Age", num: true, text: (row) => span(row.age_ms), sort: (row) => row.age_ms },
            { title: "Length", num: true, text: (row) => bytes(row.bytes), sort: (row) => row.bytes },
        ],
        empty: home
            ? emptyState("No dead letters", "Jobs that fail too often, or that a worker rejects, are kept here.")
            : emptyState("No jobs", "All jobs are done or in flight."),
    });
    const problem = h("p.bad", { hidden: true, role: "alert" });
    const note = h("p.note", { hidden: true });

    function tellSelection(n) {
        for (const button of [retry, run, move, drop]) button.disabled = n === 0;
        setText(selected, n ? `${count(n)} selected` : "None selected");
    }
    tellSelection(0);

    async function reload() {
        clearTimeout(timer);
        timer = null;
        try {
            const rows = await get(`${path`/api/queues/${name}/jobs`}?limit=${PEEK_MAX}`);
            list.update(rows);
            show(problem, false);
            show(note, rows.length === PEEK_MAX);
            setText(note, `The next ${PEEK_MAX} jobs are shown.`);
            retryAll.disabled = rows.length === 0;
        } catch (error) {
            if (error.status === 404) list.update([]);
            show(problem, error.status !== 404);
            setText(problem, error.message);
        }
        if (!isClosed && timer === null) timer = setTimeout(reload, RELOAD_MS);
    }
    reload();

    return {
        element: h("div", null, tools, problem, list.element, note),
        reload,
        close() {
            isClosed = true;
            clearTimeout(timer);
        },
    };
}
