// SPDX-License-Identifier: Apache-2.0
// The statistics of the cache that `ferry web --cache URL` watches.

import { emptyState, figures, h, loading } from "./dom.js";
import { get } from "./api.js";
import { bytes, count, percent } from "./format.js";

const RELOAD_MS = 2000;

const title = (name) => name.replace(/_/g, " ").replace(/^./, (letter) => letter.toUpperCase());

const text = (name, value) => {
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value !== "number") return String(value ?? "–");
    return /bytes|memory/.test(name) ? bytes(value) : Number.isInteger(value) ? count(value) : value.toFixed(3);
};

export function cache() {
    const element = h("section.panel", null, loading());
    let shown = null;
    let names = "";

    async function reload() {
        let now;
        try {
            now = await get("/api/cache");
        } catch (error) {
            if (!shown) element.replaceChildren(emptyState("No statistics", error.message));
            return;
        }
        if (!now) {
            element.replaceChildren(
                emptyState(
                    "No cache is watched",
                    "Start the dashboard with the address of a cache:",
                    "ferry web --cache redis://127.0.0.1:6379",
                ),
            );
            return;
        }
        const flat = Object.entries(now).filter(([, value]) => value === null || typeof value !== "object");
        if ("hits" in now && "misses" in now) flat.unshift(["hit_ratio", percent(now.hits, now.hits + now.misses)]);
        if (names !== flat.map(([name]) => name).join()) {
            names = flat.map(([name]) => name).join();
            shown = figures(flat.map(([name]) => [name, title(name)]));
            element.replaceChildren(shown.element);
        }
        shown.update(Object.fromEntries(flat.map(([name, value]) => [name, text(name, value)])));
    }
    reload();
    const timer = setInterval(reload, RELOAD_MS);
    return { title: "Cache", element, again: reload, close: () => clearInterval(timer) };
}
