// SPDX-License-Identifier: Apache-2.0
// Lines over the last hour, drawn as SVG.

import { h, s, setText } from "./dom.js";
import { clock } from "./format.js";

const HEIGHT = 168;
const LEFT = 52,
    RIGHT = 8,
    TOP = 10,
    BOTTOM = 22;
const SPAN_MIN_MS = 5 * 60 * 1000;

// Returns the smallest number >= n of the form 1, 2, 2.5 or 5 times a power of ten.
function niceCeil(n) {
    const power = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 2.5, 5, 10].find((step) => step * power >= n * 0.999) * power;
}

/*
 * options: title; format(n) → text; floor: the smallest top of the scale; series: [{column, label, kind}],
 * where kind is the class that colours the line ("a", "b" or "bad"). The area below the first line is filled.
 * update(history) draws; history: {columns, rows, t0_ms, interval_ms}.
 */
export function chart(options) {
    const { series, format } = options;
    let history = null;
    let width = 0;
    let cursor = null; // the index of a row

    const svg = s("svg.chart", {
        role: "img",
        tabindex: 0,
        height: HEIGHT,
        onpointermove: point,
        onpointerleave: leave,
        onblur: leave,
        onkeydown: step,
    });
    const values = series.map(() => h("b", null, "–"));
    const when = h("span.when", null, "");
    const legend = h(
        "div.legend",
        null,
        series.map((one, i) => h("span", null, h(`i.key.${one.kind}`), `${one.label} `, values[i])),
        when,
    );
    const element = h(
        "figure.panel.chart-panel",
        null,
        h("figcaption", null, h("h3", null, options.title), legend),
        svg,
    );

    new ResizeObserver(([entry]) => {
        width = Math.floor(entry.contentRect.width);
        draw();
    }).observe(svg);

    const last = () => history.rows.length - 1;
    const timeOf = (i) => history.t0_ms + i * history.interval_ms;
    const valueAt = (i, one) => history.rows[i]?.[history.columns.indexOf(one.column)] ?? null;

    function scale() {
        const end = timeOf(last());
        const start = Math.min(end - SPAN_MIN_MS, history.t0_ms);
        let top = options.floor;
        for (const one of series) for (let i = 0; i <= last(); i++) top = Math.max(top, valueAt(i, one) ?? 0);
        top = niceCeil(top);
        return {
            start,
            end,
            top,
            x: (ms) => LEFT + ((ms - start) / (end - start)) * (width - LEFT - RIGHT),
            y: (n) => TOP + (1 - n / top) * (HEIGHT - TOP - BOTTOM),
        };
    }

    // Unknown rows leave a gap.
    function lineOf(one, { x, y }) {
        let line = "",
            area = "",
            from = null;
        const close = (i) => {
            if (from !== null) area += `L${x(timeOf(i)).toFixed(1)},${y(0)}L${x(timeOf(from)).toFixed(1)},${y(0)}Z`;
            from = null;
        };
        for (let i = 0; i <= last(); i++) {
            const n = valueAt(i, one);
            if (n === null) {
                close(i - 1);
                continue;
            }
            const at = `${from === null ? "M" : "L"}${x(timeOf(i)).toFixed(1)},${y(n).toFixed(1)}`;
            from ??= i;
            line += at;
            area += at;
            // a single point is drawn as a short line
            if (from === i && valueAt(i + 1, one) === null) line += "h1";
        }
        close(last());
        return { line, area };
    }

    function draw() {
        if (!history || width < 120) return;
        const at = scale();
        const parts = [];
        for (let i = 0; i <= 4; i++) {
            const y = at.y((at.top * i) / 4);
            parts.push(s(`line.grid${i ? "" : ".base"}`, { x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
            if (i % 2 === 0) parts.push(s("text.tick.end", { x: LEFT - 8, y: y + 4 }, format((at.top * i) / 4)));
        }
        const minutes = (at.end - at.start) / 60000;
        const every = [1, 2, 5, 10, 15, 30].find((m) => minutes / m <= Math.max(3, width / 90)) * 60000;
        for (let ms = Math.ceil(at.start / every) * every; ms <= at.end; ms += every) {
            const x = at.x(ms);
            if (x < LEFT + 14 || x > width - 20) continue;
            parts.push(s("text.tick.middle", { x, y: HEIGHT - 5 }, clock(ms, false)));
        }
        series.forEach((one, i) => {
            const { line, area } = lineOf(one, at);
            if (i === 0) parts.push(s(`path.area.${one.kind}`, { d: area }));
            parts.push(s(`path.line.${one.kind}`, { d: line }));
        });
        if (cursor !== null && cursor <= last()) {
            const x = at.x(timeOf(cursor));
            parts.push(s("line.cursor", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
            for (const one of series) {
                const n = valueAt(cursor, one);
                if (n !== null) parts.push(s(`circle.dot.${one.kind}`, { cx: x, cy: at.y(n), r: 3.5 }));
            }
        }
        svg.replaceChildren(...parts);
        const shown = cursor ?? last();
        series.forEach((one, i) => setText(values[i], format(valueAt(shown, one))));
        setText(when, cursor === null ? "" : `at ${clock(timeOf(cursor))}`);
        svg.setAttribute(
            "aria-label",
            `${options.title}, ${Math.round(minutes)} minutes. Now: ${series.map((one) => `${one.label} ${format(valueAt(last(), one))}`).join(", ")}. Left and right arrow keys read earlier values.`,
        );
    }

    function point(event) {
        if (!history || width < 120) return;
        const at = scale();
        const share = (event.clientX - svg.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT);
        const ms = at.start + share * (at.end - at.start);
        cursor = Math.max(0, Math.min(last(), Math.round((ms - history.t0_ms) / history.interval_ms)));
        draw();
    }

    function leave() {
        cursor = null;
        draw();
    }

    function step(event) {
        const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[event.key];
        if (!by || !history) return;
        event.preventDefault();
        cursor = Math.max(0, Math.min(last(), (cursor ?? last()) + by));
        draw();
    }

    return {
        element,
        update(next) {
            history = next;
            draw();
        },
    };
}
