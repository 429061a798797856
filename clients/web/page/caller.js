// SPDX-License-Identifier: Apache-2.0
// One method: its documentation, a form for its arguments, and the result or the error of a call.

import { chip, field, h, setText, show } from "./dom.js";
import { path, post, postForEvents, Problem } from "./api.js";
import { count, micros, plural, pretty, span } from "./format.js";
import { fieldsEditor, FormError } from "./form.js";

const DEADLINE_MS = 5000;
const ITEMS_MAX = 1000; // of a stream; the oldest are dropped

// Shows an error to the caller of a method: type, text, fields of a declared exception, cause.
function errorCard(error, title) {
    const data = Object.entries(error.data ?? {});
    return h(
        "div.error-card",
        null,
        h("h4", null, title ?? error.type),
        error.message && h("p", null, error.message),
        data.length > 0 &&
            h(
                "dl.fields-of",
                null,
                data.map(([name, value]) =>
                    h(
                        "div",
                        null,
                        h("dt", null, name),
                        h("dd", null, typeof value === "object" ? JSON.stringify(value) : String(value)),
                    ),
                ),
            ),
        error.origin && h("p.hint", null, `From ${error.origin}`),
        error.retry_ms && h("p.hint", null, `May be tried again in ${span(error.retry_ms)}`),
        error.outcome_unknown && h("p.hint", null, "It is not known whether the method ran."),
        error.trace?.length > 0 &&
            h(
                "ol.trace",
                null,
                error.trace.map((line) => h("li", null, typeof line === "string" ? line : JSON.stringify(line))),
            ),
        error.cause && h("div.cause", null, h("small", null, "Caused by"), errorCard(error.cause)),
    );
}

// Formats JSON over several lines, unless that would change numbers: JavaScript rounds integers
// beyond 2^53.
function laidOut(text) {
    const value = JSON.parse(text);
    return JSON.stringify(value) === text ? pretty(value) : text;
}

function facts(method) {
    const { stats } = method;
    return h(
        "div.chips",
        null,
        method.oneway && chip("plain", "oneway"),
        method.idempotent && chip("good", "idempotent"),
        method.deprecated !== undefined &&
            method.deprecated !== null &&
            chip("warn", `deprecated${method.deprecated ? `: ${method.deprecated}` : ""}`),
        method.timeout_ms ? chip("plain", `deadline ${span(method.timeout_ms)}`) : null,
        stats?.calls
            ? chip("plain", `${count(stats.calls)} calls, p50 ${micros(stats.p50_us)}, p99 ${micros(stats.p99_us)}`)
            : null,
        (method.throws ?? []).map((one) => chip("bad", `throws ${one.type}`)),
    );
}

export function caller(service, method, types) {
    const hasForm = Array.isArray(method.args);
    const form = hasForm ? fieldsEditor(method.args, types) : null;
    const name =
        method.isUnknown &&
        h("input", { type: "text", value: method.name, required: true, spellcheck: "false", autocomplete: "off" });
    const json = h("textarea.code", {
        rows: 6,
        spellcheck: "false",
        value: hasForm ? pretty(method.example ?? {}) : "",
    });
    const asJson = h("input", { type: "checkbox", onchange: swap });
    const deadline = h("input.short", {
        type: "text",
        inputmode: "numeric",
        value: String(method.timeout_ms || DEADLINE_MS),
    });
    // Items for a method that takes a stream: one JSON value in each line
    const items = method.stream_in && h("textarea.code", { rows: 4, spellcheck: "false" });
    let stopStream = null; // ends the call of a stream that is being read
    const problem = h("p.bad", { role: "alert", hidden: true });
    const result = h("div.result", { role: "status", "aria-live": "polite" });
    const button = h("button.primary", { type: "submit" }, method.oneway ? "Send" : "Call");
    const formPlace = h("div", null, form?.element);
    const jsonPlace = h(
        "div",
        { hidden: hasForm },
        field("Arguments, as JSON", json, "An object by name, or a list in order."),
    );

    if (form && method.example) form.set(method.example, true);

    // The JSON begins with the values of the form, if they are valid.
    function swap() {
        if (asJson.checked) {
            try {
                json.value = laidOut(form.json());
            } catch (error) {
                if (!(error instanceof FormError)) throw error;
            }
        }
        show(jsonPlace, asJson.checked);
        show(formPlace, !asJson.checked);
    }

    function readArguments() {
        if (form && !asJson.checked) return form.json();
        const text = json.value.trim() || "{}";
        try {
            JSON.parse(text);
        } catch (error) {
            throw new FormError(json, `The arguments are not JSON: ${error.message}`);
        }
        return text;
    }

    // The lines of a request with items: the arguments, and then each item.
    function addItems(text) {
        const lines = items.value.split("\n").filter((line) => line.trim());
        lines.forEach((line, i) => {
            try {
                JSON.parse(line);
            } catch (error) {
                throw new FormError(items, `Item ${i + 1} is not JSON: ${error.message}`);
            }
        });
        return [text.replace(/\s*\n\s*/g, " "), ...lines].join("\n");
    }

    function refuse(error) {
        error.input.setAttribute("aria-invalid", "true");
        error.input.addEventListener(
            "input",
            () => {
                error.input.removeAttribute("aria-invalid");
                show(problem, false);
            },
            { once: true },
        );
        setText(problem, error.message);
        show(problem, true);
        error.input.focus();
    }

    function tellResult(kind, title, started, content) {
        result.replaceChildren(
            h(
                `div.result-head.${kind}`,
                null,
                h("strong", null, title),
                h("span", null, `${Math.max(1, Math.round(performance.now() - started))} ms`),
            ),
            content,
        );
    }

    async function submit(event) {
        event.preventDefault();
        show(problem, false);
        let body;
        try {
            if (!/^[1-9]\d{0,7}$/.test(deadline.value.trim()))
                throw new FormError(deadline, "Deadline: milliseconds from 1 on are needed");
            body = items ? addItems(readArguments()) : readArguments();
        } catch (error) {
            if (!(error instanceof FormError)) throw error;
            refuse(error);
            return;
        }
        const url = path`/v1/call/${service}/${name ? name.value : method.name}`;
        const headers = { "Ferry-Deadline-Ms": deadline.value.trim(), "Ferry-Integers": "string" };
        if (items) headers["Content-Type"] = "application/x-ndjson";
        button.disabled = true;
        const started = performance.now();
        try {
            if (method.stream_out) {
                await readItems(url, body, headers, started);
                return;
            }
            const value = await post(url, body, headers);
            if (method.oneway) tellResult("good", "Sent", started, h("p.hint", null, "A oneway method has no result."));
            else if (value === null && !method.result)
                tellResult("good", "Done", started, h("p.hint", null, "The method has no result."));
            else
                tellResult(
                    "good",
                    `Result${method.result ? `: ${method.result}` : ""}`,
                    started,
                    h("pre.code", { tabindex: 0 }, pretty(value)),
                );
        } catch (error) {
            if (!(error instanceof Problem)) {
                tellResult("bad", "Error", started, errorCard({ message: error.message }, "no answer"));
                return;
            }
            tellError(error, started);
        } finally {
            button.disabled = false;
        }
    }

    function tellError(error, started) {
        const isDeclared = (method.throws ?? []).some((one) => one.type === error.title);
        tellResult(
            "bad",
            isDeclared ? "Exception" : "Error",
            started,
            errorCard(error.ferry ?? { message: error.message }, error.title || "error"),
        );
    }

    // Shows the items of a stream as they arrive, until its end or until the button is pressed.
    async function readItems(url, body, headers, started) {
        const items = [];
        const text = h("pre.code", { tabindex: 0, "aria-live": "off" });
        const abort = new AbortController();
        const end = h("button", { type: "button", onclick: () => abort.abort() }, "Stop");
        let n = 0;
        tellResult("good", `Items: ${method.stream_out}`, started, h("div", null, text, h("div.buttons", null, end)));
        stopStream = () => abort.abort();
        try {
            await postForEvents(url, body, headers, abort.signal, (kind, data) => {
                if (kind === "item") {
                    n++;
                    items.push(JSON.stringify(data));
                    if (items.length > ITEMS_MAX) items.shift();
                    text.textContent = items.join("\n");
                    text.scrollTop = text.scrollHeight;
                } else if (kind === "problem") {
                    result.append(errorCard(data.ferry ?? { message: data.detail }, data.title));
                } else if (kind === "end") {
                    result.append(h("p.hint", null, `The stream ended after ${plural(n, "item")}.`));
                }
            });
        } catch (error) {
            if (error.name !== "AbortError") throw error;
            result.append(h("p.hint", null, `Stopped after ${plural(n, "item")}.`));
        } finally {
            end.remove();
        }
    }

    const head = [
        h("h2.mono", null, method.isUnknown ? "Call a method" : method.name),
        method.signature && h("p.signature", null, method.signature),
        method.doc && h("p.doc", null, method.doc),
        facts(method),
    ];
    return {
        close: () => stopStream?.(),
        element: h(
            "form",
            { onsubmit: submit, novalidate: true },
            head,
            name && field("Method", name),
            formPlace,
            jsonPlace,
            hasForm && method.args.length === 0 && h("p.hint", null, "The method has no arguments."),
            items && field(`Items: ${method.stream_in}`, items, "One JSON value in each line."),
            h(
                "div.call-bar",
                null,
                hasForm && method.args.length > 0 && h("label.check", null, asJson, "as JSON"),
                h("label.check", null, "Deadline", deadline, "ms"),
                button,
            ),
            problem,
            result,
        ),
    };
}
