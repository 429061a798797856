// SPDX-License-Identifier: Apache-2.0
// Numbers, times and bodies as text for people.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (n) => (n === undefined || n === null ? "–" : whole.format(Number(n)));

// "1 job", "2 jobs"
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${Number(n) === 1 ? one : many}`;

function scaled(n, step, units) {
    let at = 0;
    while (n >= step && at < units.length - 1) ((n /= step), at++);
    return `${n < 10 && at ? n.toFixed(1) : Math.round(n)}${units[at]}`;
}

// A rate or a mean: "0.4", "12", "1.2k".
export function rate(n) {
    if (n === undefined || n === null) return "–";
    n = Number(n);
    if (n === 0) return "0";
    return n < 10 ? n.toFixed(1) : n < 10000 ? whole.format(n) : scaled(n, 1000, ["", "k", "M", "G"]);
}

export function bytes(n) {
    return n === undefined || n === null ? "–" : scaled(Number(n), 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);
}

export function micros(n) {
    if (n === undefined || n === null) return "–";
    n = Number(n);
    if (n < 1000) return `${Math.round(n)} µs`;
    if (n < 1e6) return `${(n / 1e3).toFixed(n < 1e4 ? 1 : 0)} ms`;
    return `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)} s`;
}

// A span of time by its two largest units: "3 d 4 h", "250 ms".
export function span(ms) {
    if (ms === undefined || ms === null) return "–";
    ms = Number(ms);
    if (ms < 1000) return `${Math.round(ms)} ms`;
    const parts = [
        ["d", 86400],
        ["h", 3600],
        ["min", 60],
        ["s", 1],
    ];
    let left = Math.floor(ms / 1000);
    const texts = [];
    for (const [unit, size] of parts) {
        const n = Math.floor(left / size);
        left -= n * size;
        if (n || texts.length) texts.push(n ? `${n} ${unit}` : "");
        if (texts.length === 2) break;
    }
    return texts.filter(Boolean).join(" ");
}

// "in 4 min 10 s", "2 h ago"
export function relative(ms, now = Date.now()) {
    const distance = ms - now;
    if (Math.abs(distance) < 1000) return "now";
    return distance > 0 ? `in ${span(distance)}` : `${span(-distance)} ago`;
}

const two = (n) => String(n).padStart(2, "0");

export function clock(ms, withSeconds = true) {
    const date = new Date(ms);
    return `${two(date.getHours())}:${two(date.getMinutes())}${withSeconds ? `:${two(date.getSeconds())}` : ""}`;
}

// "2026-11-30 06:15", in the time zone of the browser
export function moment(text) {
    if (!text) return "–";
    const date = new Date(text);
    return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(date, date.getSeconds() !== 0)}`;
}

export const percent = (part, of) => (of ? `${((100 * part) / of).toFixed(part && part / of < 0.1 ? 1 : 0)} %` : "–");

export const pretty = (value) => JSON.stringify(value, null, 2);

// The body of a job or message, whole, for a <pre>.
export function bodyText(one) {
    if ("value" in one) return pretty(one.value);
    if (one.body !== undefined) return one.body;
    return one.body_base64 === undefined ? "" : hexDump(one.body_base64);
}

// One line of it.
export function bodyLine(one) {
    const text =
        "value" in one
            ? JSON.stringify(one.value)
            : (one.body ?? hexDump(one.body_base64 ?? "").replace(/^.{6}|\n.*/gs, ""));
    return text.length > 200 ? `${text.slice(0, 200)}…` : text.replace(/\s+/g, " ");
}

function hexDump(base64) {
    const data = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    const lines = [];
    for (let at = 0; at < data.length; at += 16) {
        const row = [...data.subarray(at, at + 16)];
        const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
        const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
        lines.push(`${at.toString(16).padStart(4, "0")}  ${hex.padEnd(47)}  ${text}`);
    }
    return lines.join("\n");
}
