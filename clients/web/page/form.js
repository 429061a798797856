// SPDX-License-Identifier: Apache-2.0
// A form for the arguments of a method, made from their types. Each editor has
// {element, json() → JSON text, set(value, isExample)}; optional parts of an example stay absent.
// Integers are written as digits: 64 bits stay exact.

import { h, newId, show } from "./dom.js";

const LIMITS = { i8: 7n, i16: 15n, i32: 31n, i64: 63n }; // bits without the sign

// The error of an input with wrong content: the input and the reason.
export class FormError extends Error {
    constructor(input, text) {
        super(text);
        this.input = input;
    }
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

// An input and the texts of its value. read(text) → JSON text, or throws a text for people.
function textEditor(label, read, write, options = {}) {
    const input = h(options.lines ? "textarea" : "input", {
        id: newId(),
        type: options.lines ? null : "text",
        rows: options.lines,
        inputmode: options.mode,
        spellcheck: "false",
        autocomplete: "off",
        placeholder: options.placeholder,
    });
    return {
        input,
        json() {
            try {
                return read(input.value);
            } catch (error) {
                throw new FormError(input, `${label}: ${error.message}`);
            }
        },
        set: (value) => {
            input.value = write(value);
        },
    };
}

function integer(kind, label) {
    const limit = 1n << LIMITS[kind];
    return textEditor(
        label,
        (text) => {
            text = text.trim();
            if (!/^[+-]?\d{1,20}$/.test(text)) throw new Error("a whole number is needed");
            const n = BigInt(text);
            if (n < -limit || n >= limit) throw new Error(`a whole number from ${-limit} to ${limit - 1n} is needed`);
            return String(n);
        },
        String,
        { mode: "numeric", placeholder: "0" },
    );
}

function float(label) {
    return textEditor(
        label,
        (text) => {
            text = text.trim().toLowerCase();
            if (["nan", "inf", "-inf"].includes(text)) return JSON.stringify({ $float: text });
            if (text === "" || !Number.isFinite(Number(text))) throw new Error("a number is needed, or nan, inf, -inf");
            return JSON.stringify(Number(text));
        },
        (value) => (typeof value === "object" ? value.$float : String(value)),
        { mode: "decimal", placeholder: "0.0" },
    );
}

function binary(label) {
    return textEditor(
        label,
        (text) => {
            if (!text.startsWith("base64:")) return JSON.stringify({ $bin: base64(text) });
            try {
                atob(text.slice(7).trim());
            } catch {
                throw new Error("this is not base64");
            }
            return JSON.stringify({ $bin: text.slice(7).trim() });
        },
        (value) => (typeof value === "string" ? value : `base64:${value?.$bin ?? ""}`),
        { lines: 2, placeholder: "text, or base64:AAEC" },
    );
}

function uuid(label) {
    return textEditor(
        label,
        (text) => {
            const hex = text.replaceAll("-", "").trim();
            if (!/^[0-9a-f]{32}$/i.test(hex)) throw new Error("a UUID is needed");
            return JSON.stringify({
                $bin: btoa(String.fromCharCode(...hex.match(/../g).map((two) => parseInt(two, 16)))),
            });
        },
        (value) => {
            const hex = [...atob(value?.$bin ?? "")]
                .map((char) => char.charCodeAt(0).toString(16).padStart(2, "0"))
                .join("");
            return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
        },
        { placeholder: "00000000-0000-0000-0000-000000000000" },
    );
}

function choice(values) {
    const input = h(
        "select",
        { id: newId() },
        values.map((one) => h("option", { value: one.value }, `${one.name} (${one.value})`)),
    );
    return {
        input,
        json: () => input.value,
        set: (value) => {
            input.value = String(values.find((one) => one.name === value)?.value ?? value);
        },
    };
}

function flag(label) {
    const input = h("input", { type: "checkbox", id: newId() });
    return {
        element: h("label.check", null, input, label),
        json: () => String(input.checked),
        set: (value) => {
            input.checked = value === true;
        },
    };
}

const group = (label, type, ...content) =>
    h("fieldset", null, h("legend", null, label, " ", h("span.type", null, type)), content);

// Lists, sets and maps: entries that can be added and removed.
function sequence(label, typeText, noun, ref, types) {
    const isMap = ref.kind === "map";
    const entries = [];
    const list = h("div.entries");

    function add(value, isExample) {
        const n = entries.length;
        const key = isMap && editor({ label: "key", ref: ref.key }, types);
        const item = editor({ label: isMap ? "value" : `${label}[${n}]`, ref: ref.item }, types);
        const entry = { key, item };
        const remove = h(
            "button.quiet",
            {
                type: "button",
                "aria-label": `Remove this ${noun}`,
                onclick: () => {
                    entries.splice(entries.indexOf(entry), 1);
                    entry.element.remove();
                    more.focus();
                },
            },
            "Remove",
        );
        entry.element = h("div.entry", null, h("div", null, key && key.element, item.element), remove);
        if (value !== undefined) {
            if (key) key.set(value[0]);
            item.set(isMap ? value[1] : value, isExample);
        }
        entries.push(entry);
        list.append(entry.element);
        return entry;
    }

    const more = h(
        "button",
        { type: "button", onclick: () => add().element.querySelector("input, select, textarea")?.focus() },
        `Add ${noun}`,
    );
    return {
        element: group(label, typeText, list, more),
        json: () =>
            isMap
                ? `{"$map":[${entries.map(({ key, item }) => `[${key.json()},${item.json()}]`).join(",")}]}`
                : `[${entries.map(({ item }) => item.json()).join(",")}]`,
        set(value, isExample) {
            entries.length = 0;
            list.replaceChildren();
            const some = !isMap ? value : (value?.$map ?? Object.entries(value ?? {}));
            for (const one of some ?? []) add(one, isExample);
        },
    };
}

function structure(label, typeText, fields, types) {
    const inner = fieldsEditor(fields, types);
    return { ...inner, element: group(label, typeText, inner.element) };
}

function union(label, typeText, fields, types) {
    const place = h("div");
    let member;
    const select = h(
        "select",
        { "aria-label": `Member of ${label}`, onchange: () => choose(select.value) },
        fields.map((one) => h("option", { value: one.name }, one.name)),
    );

    function choose(name) {
        const field = fields.find((one) => one.name === name) ?? fields[0];
        select.value = field.name;
        member = { name: field.name, ...editor({ label: field.name, ref: field.type_ref, type: field.type }, types) };
        place.replaceChildren(member.element);
    }
    choose();
    return {
        element: group(label, typeText, select, place),
        json: () => `{${JSON.stringify(member.name)}:${member.json()}}`,
        set(value, isExample) {
            const [[name, inner] = []] = Object.entries(value ?? {});
            if (!name) return;
            choose(name);
            member.set(inner, isExample);
        },
    };
}

const typeText = (ref) =>
    ref.name ??
    (ref.kind === "map"
        ? `map<${typeText(ref.key)}, ${typeText(ref.item)}>`
        : ref.item
          ? `${ref.kind}<${typeText(ref.item)}>`
          : ref.kind);

function editor({ label, ref, type = typeText(ref), doc }, types) {
    const named = types[ref.name] ?? {};
    let made;
    switch (ref.kind) {
        case "bool":
            made = flag(label);
            break;
        case "i8":
        case "i16":
        case "i32":
        case "i64":
            made = integer(ref.kind, label);
            break;
        case "double":
            made = float(label);
            break;
        case "binary":
            made = binary(label);
            break;
        case "uuid":
            made = uuid(label);
            break;
        case "enum":
            made = choice(named.values ?? []);
            break;
        case "list":
        case "set":
            return sequence(label, type, "item", ref, types);
        case "map":
            return sequence(label, type, "entry", ref, types);
        case "union":
            return union(label, type, named.fields ?? [], types);
        case "struct":
        case "exception":
            return structure(label, type, named.fields ?? [], types);
        default:
            made = textEditor(label, JSON.stringify, String, { lines: 1 });
    }
    made.element ??= h(
        "div.field",
        null,
        h("label", { for: made.input.id }, label, " ", h("span.type", null, type)),
        made.input,
        doc && h("small.hint", null, doc),
    );
    return made;
}

// An optional argument. Its editor is made only when the argument is added, so recursive types end.
function optional(one, types) {
    let inner = null;
    let example;
    const place = h("div", { hidden: true });
    const box = h("input", { type: "checkbox", onchange: () => turn(box.checked) });

    function turn(is) {
        box.checked = is;
        if (is && !inner) {
            inner = editor(one, types);
            if (example !== undefined && example !== null) inner.set(example, true);
            place.append(inner.element);
        }
        show(place, is);
    }
    return {
        element: h(
            "div.optional",
            null,
            h(
                "label.check",
                null,
                box,
                "set ",
                h("b", null, one.label),
                h("span.type", null, ` ${one.type}, optional`),
            ),
            place,
        ),
        json: () => (box.checked ? inner.json() : undefined),
        set(value, isExample) {
            if (isExample) {
                example = value;
                return;
            }
            turn(value !== undefined && value !== null);
            if (box.checked) inner.set(value);
        },
    };
}

// Editors for fields, whose JSON is an object by name.
export function fieldsEditor(fields, types) {
    const editors = fields.map((one) => {
        const about = { label: one.name, ref: one.type_ref, type: one.type, doc: one.doc };
        return [one.name, one.optional ? optional(about, types) : editor(about, types)];
    });
    return {
        element: h(
            "div.fields",
            null,
            editors.map(([, made]) => made.element),
        ),
        json() {
            const members = editors.map(([name, made]) => [name, made.json()]).filter(([, text]) => text !== undefined);
            return `{${members.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
        },
        set(value, isExample) {
            for (const [name, made] of editors) if (value?.[name] !== undefined) made.set(value[name], isExample);
        },
    };
}
