// SPDX-License-Identifier: Apache-2.0
// Topics: a live tail of messages, and the tables of retained topics and subscribed patterns.

import { emptyState, field, h, setText, show } from "./dom.js";
import { follow, path, post } from "./api.js";
import { bodyLine, bodyText, bytes, clock, count } from "./format.js";
import { built, table } from "./table.js";
import { ask, tell } from "./dialog.js";

const LINES_MAX = 500;
const BODY_MAX = 4096; // bytes of each message

function lineOf(message, at) {
    const headers = Object.entries(message.headers ?? {});
    const pre = h("pre.code", { tabindex: 0 });
    const details = h(
        "details.message-line",
        {
            ontoggle: () => {
                if (details.open && !pre.textContent) pre.textContent = bodyText(message) || "(empty)";
            },
        },
        h(
            "summary",
            null,
            h("time", null, clock(at)),
            h("b", null, message.topic),
            h("span.body", null, bodyLine(message) || "(empty)"),
            h("span.size", null, bytes(message.bytes)),
        ),
        headers.length > 0 &&
            h(
                "dl.fields-of",
                null,
                headers.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, String(value)))),
            ),
        pre,
    );
    return details;
}

function tail(pattern) {
    let stop = null;
    let isPaused = false;
    let kept = []; // lines that arrived while paused
    let n = 0,
        dropped = 0,
        hidden = 0;
    let words = "";

    const where = h("input.mono", {
        type: "text",
        value: pattern,
        spellcheck: "false",
        autocomplete: "off",
        required: true,
    });
    const filter = h("input", {
        type: "search",
        placeholder: "text in topic or body",
        oninput: () => {
            words = filter.value.toLowerCase();
            for (const line of lines.children) show(line, matches(line));
            tellCount();
        },
    });
    const begin = h("button.primary", { type: "submit" }, "Watch");
    const pause = h(
        "button",
        { type: "button", disabled: true, "aria-pressed": "false", onclick: togglePause },
        "Pause",
    );
    const clear = h(
        "button",
        {
            type: "button",
            onclick: () => {
                lines.replaceChildren();
                kept = [];
                n = 0;
                tellCount();
            },
        },
        "Clear",
    );
    const status = h("span.tail-status", { role: "status" }, "Not watching");
    const lines = h("div.lines", { role: "log", "aria-label": "Messages", tabindex: 0, "aria-live": "off" });
    const hint = emptyState("No messages yet", "Messages of matching topics appear here as they are published.");
    const element = h(
        "section.panel",
        null,
        h("h2", null, "Live tail"),
        h(
            "form.tail-bar",
            {
                onsubmit: (event) => {
                    event.preventDefault();
                    stop && where.value === pattern ? end() : start(where.value.trim());
                },
            },
            field("Topic or pattern", where),
            field("Filter", filter),
            h("div.buttons", null, begin, pause, clear),
        ),
        h("div.tail-head", null, status),
        hint,
        lines,
    );

    where.addEventListener("input", label);
    const matches = (line) => !words || line.text.includes(words);

    function label() {
        setText(begin, stop && where.value === pattern ? "Stop" : "Watch");
    }

    function tellCount(text) {
        const shown = [...lines.children].filter((line) => !line.hidden).length;
        hidden = lines.children.length - shown;
        show(hint, lines.children.length === 0);
        setText(
            status,
            text ??
                (stop
                    ? [
                          `Watching ${pattern}`,
                          `${count(n)} received`,
                          hidden && `${count(hidden)} filtered out`,
                          isPaused && `${count(kept.length)} waiting`,
                          dropped && `${count(dropped)} lost: this page was too slow`,
                      ]
                          .filter(Boolean)
                          .join(" · ")
                    : "Not watching"),
        );
    }

    function add(some) {
        const isAtTop = lines.scrollTop < 4;
        for (const line of some) {
            lines.prepend(line);
            show(line, matches(line));
        }
        while (lines.children.length > LINES_MAX) lines.lastChild.remove();
        if (isAtTop) lines.scrollTop = 0;
    }

    let frame = 0;
    let waiting = [];
    function take(message) {
        const line = lineOf(message, Date.now());
        line.text = `${message.topic} ${bodyLine(message)}`.toLowerCase();
        n++;
        if (isPaused) {
            kept.push(line);
            if (kept.length > LINES_MAX) kept.shift();
        } else {
            waiting.push(line);
            if (waiting.length > LINES_MAX) waiting.shift();
        }
        frame ||= requestAnimationFrame(() => {
            frame = 0;
            add(waiting);
            waiting = [];
            tellCount();
        });
    }

    function togglePause() {
        isPaused = !isPaused;
        pause.setAttribute("aria-pressed", String(isPaused));
        setText(pause, isPaused ? "Continue" : "Pause");
        if (!isPaused) {
            add(kept);
            kept = [];
        }
        tellCount();
    }

    function start(next) {
        end();
        pattern = next || ">";
        where.value = pattern;
        history.replaceState(null, "", `#/topics/${encodeURIComponent(pattern)}`);
        stop = follow(`${path`/v1/subscribe/${pattern}`}?max_body=${BODY_MAX}`, {
            event(name, data) {
                if (name === "message") take(data);
                else if (name === "ready") tellCount();
                else if (name === "dropped") {
                    dropped += data.n ?? 1;
                    tellCount();
                } else if (name === "problem") tellCount(data.detail);
            },
            lost(problem) {
                if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) end();
                tellCount(stop ? `${problem.message}. Reconnecting…` : problem.message);
            },
        });
        pause.disabled = false;
        label();
        tellCount("Subscribing…");
    }

    function end() {
        stop?.();
        stop = null;
        if (isPaused) togglePause();
        pause.disabled = true;
        label();
        tellCount();
    }
    return { element, start, end };
}

function publish() {
    return ask({
        title: "Publish a message",
        button: "Publish",
        fields: [
            { name: "topic", label: "Topic" },
            { name: "body", label: "Body", value: "{}", required: false, hint: "JSON is sent as it is written." },
        ],
        async act({ topic, body }) {
            await post(path`/v1/publish/${topic}`, body);
            tell(`Published to ${topic}.`);
        },
    });
}

export function topics(pattern) {
    const watched = tail(pattern || ">");
    const watching = (name) => ({
        title: "",
        cell: built((get) => [
            h(
                "button.quiet",
                {
                    type: "button",
                    onclick: () => {
                        watched.start(name(get()));
                        watched.element.scrollIntoView();
                    },
                },
                "Watch",
            ),
        ]),
    });
    const named = table({
        label: "Topics",
        filter: true,
        key: (row) => row.name,
        columns: [
            { title: "Topic", mono: true, text: (row) => row.name },
            { title: "Published", num: true, text: (row) => count(row.published), sort: (row) => row.published },
            { title: "Retained", text: (row) => (row.retained ? "yes" : "no") },
            { title: "Kept", num: true, text: (row) => count(row.kept), sort: (row) => row.kept },
            watching((row) => row.name),
        ],
        empty: emptyState(
            "No topics kept",
            "The broker lists topics with a retained message or kept messages. The tail above shows all others.",
        ),
    });
    const patterns = table({
        label: "Subscriptions",
        filter: true,
        key: (row) => row.pattern,
        columns: [
            { title: "Pattern", mono: true, text: (row) => row.pattern },
            { title: "Subscribers", num: true, text: (row) => count(row.subscribers), sort: (row) => row.subscribers },
            watching((row) => row.pattern),
        ],
        empty: emptyState("No subscribers", "A terminal subscribes with:", "ferry sub 'orders.>'"),
    });
    if (pattern) watched.start(pattern);

    return {
        title: "Topics",
        parts: ["topics"],
        tools: h("div.page-tools.actions", null, h("button", { type: "button", onclick: publish }, "Publish…")),
        element: h(
            "div",
            null,
            watched.element,
            h(
                "div.halves",
                null,
                h("section.panel", null, h("h2", null, "Topics"), named.element),
                h("section.panel", null, h("h2", null, "Subscriptions"), patterns.element),
            ),
        ),
        update(state) {
            if (!state.topics) return;
            named.update(state.topics.filter((row) => row.name !== undefined));
            patterns.update(state.topics.filter((row) => row.pattern !== undefined));
        },
        close: watched.end,
    };
}
