// SPDX-License-Identifier: Apache-2.0
// Elements, built from names, attributes and text. Text from the broker only becomes text nodes and
// attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
        if (value === undefined || value === null || value === false) continue;
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (name === "value") node.value = value;
        else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
    return node;
}

// h("button.primary", {onclick: save}, "Save"): an element with classes, attributes and children.
export function h(name, attributes, ...children) {
    const [tag, ...classes] = name.split(".");
    const node = document.createElement(tag);
    if (classes.length) node.className = classes.join(" ");
    return fill(node, attributes, children);
}

// s("path.line", {d}): an element of SVG.
export function s(name, attributes, ...children) {
    const [tag, ...classes] = name.split(".");
    const node = document.createElementNS(SVG, tag);
    if (classes.length) node.setAttribute("class", classes.join(" "));
    return fill(node, attributes, children);
}

// Changes the text of a node only if it differs: a selection in it then survives an update.
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

export function setClass(node, name, is) {
    if (node.classList.contains(name) !== Boolean(is)) node.classList.toggle(name, Boolean(is));
}

export function show(node, is) {
    if (node.hidden === Boolean(is)) node.hidden = !is;
}

let ids = 0;
export const newId = () => `id-${++ids}`;

// A label above a control.
export function field(label, control, hint) {
    control.id ||= newId();
    const note = hint && h("small.hint", { id: `${control.id}-hint` }, hint);
    if (note) control.setAttribute("aria-describedby", note.id);
    return h("div.field", null, h("label", { for: control.id }, label), control, note);
}

export const chip = (kind, text) => h(`span.chip.${kind}`, null, text);

// Text for a region without content.
export function emptyState(title, text, command) {
    return h(
        "div.empty",
        null,
        h("strong", null, title),
        text && h("p", null, text),
        command && h("code", null, command),
    );
}

export const loading = () => h("div.empty", { role: "status" }, h("span.spinner"), "Loading…");

// Figures with labels; update({key: text}) changes them. rows: [[key, label]…]
export function figures(rows) {
    const values = {};
    const element = h(
        "dl.figures",
        null,
        rows.map(([key, label]) => {
            values[key] = h("dd", null, "–");
            return h("div", null, h("dt", null, label), values[key]);
        }),
    );
    return {
        element,
        update(texts, marks = {}) {
            for (const [key, text] of Object.entries(texts)) {
                setText(values[key], text);
                values[key].className = marks[key] ?? "";
            }
        },
    };
}
