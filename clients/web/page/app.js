// SPDX-License-Identifier: Apache-2.0
// The frame of the page: navigation, the state of the broker, and the view that the address names.

import { h, setClass, setText, show } from "./dom.js";
import { follow } from "./api.js";

// The first part of the address after "#/" → the views of the list, and of one thing. A view is
// {title, parts, element, update(state), close()}; parts names the parts of /api/live that it shows.
// A view is loaded when it is opened, so that the first paint needs little data.
const VIEWS = {
    overview: async () => [(await import("./overview.js")).overview],
    services: async () => {
        const { services, service } = await import("./services.js");
        return [services, service];
    },
    topics: async () => {
        const { topics } = await import("./topics.js");
        return [topics, topics];
    },
    queues: async () => {
        const { queues, queue } = await import("./queues.js");
        return [queues, queue];
    },
    caches: async () => [(await import("./caches.js")).caches],
    pipelines: async () => [(await import("./pipelines.js")).pipelines],
    schedules: async () => [(await import("./schedules.js")).schedules],
    sessions: async () => [(await import("./sessions.js")).sessions],
};

const byId = (id) => document.getElementById(id);
const main = byId("main");
const state = {}; // the newest of each part
let view = null;
let stop = null; // ends the stream
let isReachable = true;
let isMissing = false; // the view of the address could not be loaded

// "#/queues/mail/dead" → ["queues", "mail", "dead"]
function route() {
    try {
        return location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
    } catch {
        return [""];
    }
}

async function open() {
    const address = location.hash;
    const [name, ...rest] = route();

    if (view?.stay?.(name, rest)) return null;
    const [list, one] = await (VIEWS[name] ?? VIEWS.overview)();
    if (location.hash !== address) return null; // another view was opened meanwhile
    const make = rest.length && one ? one : list;
    view?.close?.();
    view = make(...rest);
    document.title = `${view.title} · ferry`;
    const heading = h("h1", { tabindex: -1 }, view.title);
    main.replaceChildren(
        h("header.page-head", null, view.up && h("a.up", { href: view.up[1] }, `‹ ${view.up[0]}`), heading, view.tools),
        view.element,
    );
    for (const link of document.querySelectorAll("nav a")) {
        const isHere = link.hash === `#/${VIEWS[name] ? name : "overview"}`;
        isHere ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
        if (isHere) link.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    watch();
    refresh();
    return heading;
}

function refresh() {
    const { overview: now } = state;
    if (!now) return;
    const isLost = !isReachable || now.broker === "lost";
    setText(byId("status"), isLost ? "Disconnected" : "Connected");
    byId("status").className = `chip ${isLost ? "bad" : "good"}`;
    setText(byId("address"), now.url);
    const dead = (state.queues ?? []).reduce((sum, one) => sum + one.dead, 0);
    if (state.queues) {
        show(byId("dead"), dead > 0);
        setText(byId("dead"), dead > 99 ? "99+" : String(dead));
        byId("dead").setAttribute("aria-label", `${dead} dead letters`);
    }
    setClass(document.body, "lost", isLost);
    setClass(document.body, "read-only", now.read_only);
    banner(
        isLost
            ? isReachable
                ? `The broker is away: ${now.problem || `no answer from ${now.url}`}. Reconnecting…`
                : "ferry web does not answer. Reconnecting…"
            : "",
    );
    view?.update?.(state);
}

function banner(text) {
    show(byId("banner"), text);
    setText(byId("banner-text"), text);
}

function watch() {
    stop?.();
    stop = null;
    if (document.hidden || !view) return;
    stop = follow(`/api/live?parts=${["overview", ...new Set([...(view.parts ?? []), "queues"])].join(",")}`, {
        event(name, data) {
            if (name !== "state") return;
            const wasLost = !isReachable || state.overview?.broker === "lost";
            isReachable = true;
            Object.assign(state, data);
            if (wasLost && data.overview.broker === "up") view.again?.();
            refresh();
            if (isMissing) go(false);
        },
        lost(problem) {
            // Status 0: ferry web does not answer.
            isReachable = problem.status !== 0;
            if (state.overview) refresh();
            else banner(`${problem.message}. Reconnecting…`);
        },
    });
}

async function go(isFirst) {
    try {
        const heading = await open();
        isMissing = false;
        if (!isFirst) heading?.focus({ preventScroll: true });
    } catch {
        isMissing = true;
        banner("ferry web does not answer. Reconnecting…");
    }
}

addEventListener("hashchange", () => go(false));
document.addEventListener("visibilitychange", watch);
document.addEventListener("keydown", (event) => {
    if (
        event.key !== "/" ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        event.target.closest("input, textarea, select, dialog")
    )
        return;
    const filter = main.querySelector("input.filter");
    if (!filter) return;
    event.preventDefault();
    filter.focus();
});
byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.querySelector("h1").focus();
});
go(true);
