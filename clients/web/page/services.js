// SPDX-License-Identifier: Apache-2.0
// Services: the list, and one service with its instances and methods.

import { emptyState, figures, h, loading, setText, show } from "./dom.js";
import { get, path } from "./api.js";
import { count, micros, percent } from "./format.js";
import { linked, marked, table } from "./table.js";
import { caller } from "./caller.js";

const RELOAD_MS = 3000;

const href = (...names) => `#/services/${names.map(encodeURIComponent).join("/")}`;

export function services() {
    const list = table({
        label: "Services",
        filter: true,
        key: (row) => row.name,
        columns: [
            linked(
                "Service",
                (row) => row.name,
                (row) => href(row.name),
            ),
            { title: "Instances", num: true, text: (row) => count(row.instances), sort: (row) => row.instances },
            {
                title: "Busy",
                num: true,
                text: (row) => `${count(row.busy)} of ${count(row.slots)}`,
                sort: (row) => row.busy,
            },
            { title: "Waiting", num: true, text: (row) => count(row.waiting), sort: (row) => row.waiting },
            { title: "Calls", num: true, text: (row) => count(row.calls), sort: (row) => row.calls },
            {
                title: "Errors",
                num: true,
                text: (row) => (row.errors ? `${count(row.errors)} (${percent(row.errors, row.calls)})` : "0"),
                sort: (row) => row.errors,
            },
            marked("State", (row) => [
                ...(row.instances ? [] : [["bad", "no instance"]]),
                ...(row.ejected ? [["bad", `${row.ejected} ejected`]] : []),
                ...(row.differs ? [["warn", "descriptions differ"]] : []),
                ...(row.not_ready ? [["warn", `${row.not_ready} not ready`]] : []),
                ...(row.described ? [] : [["plain", "undescribed"]]),
            ]),
        ],
        empty: emptyState(
            "No services",
            "A program serves methods with libferry, or a shell command does:",
            "ferry serve words.count --exec 'wc -w'",
        ),
    });
    return {
        title: "Services",
        parts: ["services"],
        element: h("section.panel", null, list.element),
        update: (state) => state.services && list.update(state.services),
    };
}

function signature(method) {
    const args = (method.args ?? []).map((one) => `${one.name}: ${one.type}`).join(", ");
    return `(${args})${method.oneway ? "" : ` → ${method.stream_out ? `stream<${method.stream_out}>` : (method.result ?? "void")}`}`;
}

export function service(name, method) {
    let about = null; // as /api/services/NAME returns it
    let called = null; // the panel of the method
    let shown;

    const top = figures([
        ["instances", "Instances"],
        ["busy", "Busy slots"],
        ["waiting", "Waiting"],
        ["calls", "Calls"],
        ["errors", "Errors"],
    ]);
    const doc = h("p.doc", { hidden: true });
    const problem = h("p.bad", { hidden: true });
    const instances = table({
        label: "Instances",
        key: (row) => `${row.instance} ${row.session}`,
        columns: [
            { title: "Instance", mono: true, text: (row) => row.instance || "–" },
            { title: "Program", text: (row) => row.client },
            { title: "Session", num: true, mono: true, text: (row) => row.session },
            { title: "Busy", num: true, text: (row) => `${count(row.busy)} of ${count(row.slots)}` },
            marked("State", (row) => [
                ...(row.ejected ? [["bad", "ejected"]] : []),
                ...(row.ready === false ? [["warn", "not ready"]] : []),
            ]),
        ],
        empty: emptyState("No instance", "No connected program serves this."),
    });
    const methods = table({
        label: "Methods",
        filter: true,
        key: (row) => row.name,
        columns: [
            linked(
                "Method",
                (row) => row.name,
                (row) => href(name, row.name),
            ),
            {
                title: "Calls",
                num: true,
                text: (row) => count(row.stats?.calls ?? 0),
                sort: (row) => row.stats?.calls ?? 0,
            },
            {
                title: "Errors",
                num: true,
                text: (row) => count(row.stats?.errors ?? 0),
                sort: (row) => row.stats?.errors ?? 0,
            },
            {
                title: "p50",
                num: true,
                text: (row) => (row.stats?.calls ? micros(row.stats.p50_us) : "–"),
                sort: (row) => row.stats?.p50_us ?? 0,
            },
            {
                title: "p99",
                num: true,
                text: (row) => (row.stats?.calls ? micros(row.stats.p99_us) : "–"),
                sort: (row) => row.stats?.p99_us ?? 0,
            },
            marked("Last error", (row) => [
                ...(row.stats?.last_error ? [["bad", row.stats.last_error]] : []),
                ...(row.deprecated ? [["warn", "deprecated"]] : []),
            ]),
        ],
        empty: emptyState(
            "No methods known",
            "This service has no description. Call a method by its name on the right.",
        ),
    });
    const idl = h("pre.code");
    const source = h("details.panel", { hidden: true }, h("summary", null, "Interface file"), idl);
    const side = h("section.panel.caller", { "aria-label": "Call a method" }, loading());
    const element = h(
        "div",
        null,
        doc,
        problem,
        h("section.panel", { "aria-label": "Figures" }, top.element),
        h(
            "div.split",
            null,
            h(
                "div",
                null,
                h("section.panel", null, h("h2", null, "Methods"), methods.element),
                h("section.panel", null, h("h2", null, "Instances"), instances.element),
                source,
            ),
            side,
        ),
    );

    function select() {
        if (!about || shown === method) return;
        shown = method;
        const one = about.methods.find((row) => row.name === method);
        called?.close?.();
        if (!method && about.methods.length) {
            called = null;
            side.replaceChildren(
                emptyState("Call a method", "Choose a method to see its documentation and to call it."),
            );
            return;
        }
        called = caller(
            name,
            one
                ? { ...one, signature: signature(one) }
                : { name: method ?? "", args: null, throws: [], isUnknown: true },
            about.types,
        );
        side.replaceChildren(called.element);
        for (const link of methods.element.querySelectorAll("tbody a"))
            link.textContent === method
                ? link.setAttribute("aria-current", "true")
                : link.removeAttribute("aria-current");
    }

    async function reload() {
        try {
            about = await get(path`/api/services/${name}`);
        } catch (error) {
            show(problem, !about);
            setText(problem, error.message);
            if (!about) side.replaceChildren(emptyState("Not found", error.message));
            return;
        }
        show(problem, about.problem);
        setText(problem, about.problem ? `The description is not valid: ${about.problem}` : "");
        show(doc, about.doc);
        setText(doc, about.doc ?? "");
        show(source, about.idl);
        setText(idl, about.idl ?? "");
        instances.update(about.instances);
        methods.update(about.methods);
        select();
    }
    reload();
    const timer = setInterval(reload, RELOAD_MS);

    return {
        title: name,
        up: ["Services", "#/services"],
        parts: ["services"],
        element,
        // Another method of the same service keeps the view.
        stay(kind, [other, next]) {
            if (kind !== "services" || other !== name) return false;
            method = next;
            select();
            side.scrollIntoView({ block: "nearest" });
            return true;
        },
        again: reload,
        update(state) {
            const row = state.services?.find((one) => one.name === name);
            if (!row) return;
            top.update(
                {
                    instances: count(row.instances),
                    busy: `${count(row.busy)} of ${count(row.slots)}`,
                    waiting: count(row.waiting),
                    calls: count(row.calls),
                    errors: count(row.errors),
                },
                { errors: row.errors ? "bad" : "" },
            );
        },
        close() {
            clearInterval(timer);
            called?.close?.();
        },
    };
}
