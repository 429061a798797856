// SPDX-License-Identifier: Apache-2.0
// Tables of rows that change each second: lines are kept by key, so that focus, selection and
// open dialogs survive an update.

import { h, loading, newId, setClass, setText, show } from "./dom.js";
import { count } from "./format.js";

const LINES_MAX = 500; // more are found with the filter

/*
 * A column: {title, num, text(row), sort(row)} shows text; {title, cell(td, row)} builds and updates
 * the cell by itself. options:
 *   label     of the table, for screen readers
 *   columns   the first one names the row
 *   key(row)  unique
 *   empty     a node for a table without rows
 *   select    true: boxes to choose rows; selection() returns their keys
 *   filter    true: a field that keeps rows whose text contains what is typed
 *   onselect  called when the selection changes
 */
export function table(options) {
    const { columns, key } = options;
    const lines = new Map(); // key → {tr, row}
    const chosen = new Set();
    let rows = [];
    let order = null; // {column, isDown}
    let words = "";

    const body = h("tbody");
    const boxes =
        options.select && h("input", { type: "checkbox", "aria-label": "Select all rows", onchange: chooseAll });
    const heads = columns.map((column, i) => {
        if (!column.text) return h("th", { scope: "col" }, h("span.quiet-head", null, column.title));
        return h(
            `th${column.num ? ".num" : ""}`,
            { scope: "col" },
            h("button.sort", { type: "button", onclick: () => sortBy(i) }, column.title),
        );
    });
    const head = h("thead", null, h("tr", null, boxes && h("th.box", { scope: "col" }, boxes), heads));
    const whole = h("table", { "aria-label": options.label, hidden: true }, head, body);
    const note = h("p.note", { hidden: true, role: "status" });
    const filter =
        options.filter &&
        h("input.filter", {
            type: "search",
            placeholder: `Filter ${options.label.toLowerCase()}`,
            "aria-label": `Filter ${options.label.toLowerCase()}`,
            id: newId(),
            oninput: () => {
                words = filter.value.toLowerCase();
                draw();
            },
        });
    let waiting = loading(); // until the first update: whether there are rows is not known yet
    const element = h(
        "div.table",
        null,
        filter && h("div.table-tools", { hidden: true }, filter),
        waiting,
        whole,
        options.empty,
        note,
    );
    if (options.empty) show(options.empty, false);

    function sortBy(i) {
        const isDown = order?.column === i ? !order.isDown : Boolean(columns[i].num);
        order = { column: i, isDown };
        heads.forEach((th, at) =>
            at === i
                ? th.setAttribute("aria-sort", isDown ? "descending" : "ascending")
                : th.removeAttribute("aria-sort"),
        );
        draw();
    }

    const plain = (row, column) => (column.sort ?? column.text)(row);

    function shown() {
        let some = rows;
        if (words)
            some = some.filter((row) =>
                columns.some((column) => column.text && String(column.text(row)).toLowerCase().includes(words)),
            );
        if (order) {
            const column = columns[order.column];
            const sign = order.isDown ? -1 : 1;
            some = [...some].sort((a, b) => {
                const [x, y] = [plain(a, column), plain(b, column)];
                return (
                    sign *
                    (typeof x === "number" && typeof y === "number"
                        ? x - y
                        : String(x).localeCompare(String(y), "en", { numeric: true }))
                );
            });
        }
        return some;
    }

    function newLine(row) {
        const id = key(row);
        const tr = h("tr");
        if (options.select) {
            tr.append(
                h(
                    "td.box",
                    null,
                    h("input", {
                        type: "checkbox",
                        "aria-label": `Select ${id}`,
                        onchange: (event) => {
                            event.target.checked ? chosen.add(id) : chosen.delete(id);
                            choiceChanged();
                        },
                    }),
                ),
            );
        }
        columns.forEach((column, i) =>
            tr.append(
                h(
                    `${i ? "td" : "th"}${column.num ? ".num" : ""}${column.mono ? ".mono" : ""}${column.wide ? ".wide" : ""}`,
                    { "data-label": column.title, scope: i ? null : "row" },
                ),
            ),
        );
        return { tr };
    }

    function draw() {
        const some = shown();
        const seen = new Set();
        let at = body.firstChild;
        for (const row of some.slice(0, LINES_MAX)) {
            const id = key(row);
            if (seen.has(id)) continue;
            seen.add(id);
            let line = lines.get(id);
            if (!line) lines.set(id, (line = newLine(row)));
            if (line.tr === at) at = at.nextSibling;
            else body.insertBefore(line.tr, at);
            line.row = row;
            const cells = [...line.tr.children].slice(options.select ? 1 : 0);
            columns.forEach((column, i) =>
                column.cell ? column.cell(cells[i], row, () => line.row) : setText(cells[i], String(column.text(row))),
            );
            if (options.select) line.tr.firstChild.firstChild.checked = chosen.has(id);
        }
        for (const [id, line] of lines) {
            if (seen.has(id)) continue;
            line.tr.remove();
            lines.delete(id);
        }
        let isLost = false;
        const known = new Set(rows.map(key));
        for (const id of chosen) if (!known.has(id)) isLost = chosen.delete(id);
        if (isLost) choiceChanged();
        show(whole, some.length > 0);
        if (options.empty) show(options.empty, rows.length === 0);
        if (filter) show(filter.parentNode, rows.length > 5 || words);
        show(note, some.length > LINES_MAX || (rows.length && !some.length));
        setText(
            note,
            some.length
                ? `The first ${LINES_MAX} of ${count(some.length)} rows. The filter finds others.`
                : "No row contains this text.",
        );
    }

    function chooseAll() {
        chosen.clear();
        if (boxes.checked) for (const row of shown().slice(0, LINES_MAX)) chosen.add(key(row));
        draw();
        choiceChanged();
    }

    function choiceChanged() {
        boxes.checked = chosen.size > 0 && chosen.size === lines.size;
        boxes.indeterminate = chosen.size > 0 && chosen.size < lines.size;
        options.onselect?.(chosen.size);
    }

    return {
        element,
        update(some) {
            waiting?.remove();
            waiting = null;
            rows = some;
            draw();
        },
        selection: () => [...chosen],
    };
}

// A cell that is built once and then updated: build(get) returns [node, update(row)].
export const built = (build) => (td, row, get) => {
    if (!td.firstChild) {
        const [node, refresh] = build(get);
        td.append(node);
        td.refresh = refresh;
    }
    td.refresh?.(row);
};

// A link to the page of the row's object.
export const linked = (title, name, href) => ({
    title,
    mono: true,
    text: name,
    cell: built(() => {
        const a = h("a");
        return [
            a,
            (row) => {
                setText(a, name(row));
                setClass(a, "zero", name(row) === "0");
                if (a.getAttribute("href") !== href(row)) a.setAttribute("href", href(row));
            },
        ];
    }),
});

// Chips for unusual states: chips(row) returns [[kind, text]…].
export const marked = (title, chips) => ({
    title,
    text: (row) =>
        chips(row)
            .map(([, text]) => text)
            .join(", "),
    cell(td, row) {
        const texts = JSON.stringify(chips(row));
        if (td.texts === texts) return;
        td.texts = texts;
        td.replaceChildren(...chips(row).map(([kind, text]) => h(`span.chip.${kind}`, null, text)));
    },
});
