// SPDX-License-Identifier: Apache-2.0
// Questions before an action, and short messages after it.

import { field, h, setText } from "./dom.js";
import { Problem } from "./api.js";

/*
 * Asks before an action. options:
 *   title, text, button
 *   danger    true: the button is red
 *   typed     the text that must be typed before the button works
 *   fields    [{name, label, value, hint, options}]: what is asked for
 *   act(values)  does it; a Problem that it throws is shown in the dialog, which stays open
 * Resolves to what act() returned, or to undefined if it was cancelled.
 */
export function ask(options) {
    return new Promise((resolve) => {
        let result;
        const problem = h("p.bad", { role: "alert", hidden: true });
        const inputs = new Map();
        for (const one of options.fields ?? []) {
            const input = one.options
                ? h(
                      "select",
                      { required: true },
                      one.options.map((name) => h("option", { value: name }, name)),
                  )
                : h("input", {
                      type: "text",
                      value: one.value ?? "",
                      required: one.required !== false,
                      spellcheck: "false",
                      autocomplete: "off",
                  });
            inputs.set(one.name, [one, input]);
        }
        const typed =
            options.typed &&
            h("input", {
                type: "text",
                spellcheck: "false",
                autocomplete: "off",
                oninput: () => {
                    button.disabled = typed.value !== options.typed;
                },
            });
        const button = h(
            `button.${options.danger ? "danger" : "primary"}`,
            { type: "submit", disabled: Boolean(typed) },
            options.button,
        );
        const cancel = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");

        async function submit(event) {
            event.preventDefault();
            if (typed && typed.value !== options.typed) return;
            button.disabled = true;
            try {
                result = await options.act(
                    Object.fromEntries([...inputs].map(([name, [, input]]) => [name, input.value])),
                );
                dialog.close();
            } catch (error) {
                if (!(error instanceof Problem)) throw error;
                setText(problem, error.message);
                problem.hidden = false;
                button.disabled = false;
            }
        }

        const title = h("h2", { id: "dialog-title" }, options.title);
        const dialog = h(
            "dialog",
            {
                "aria-labelledby": "dialog-title",
                onclose: () => {
                    dialog.remove();
                    resolve(result);
                },
            },
            h(
                "form",
                { method: "dialog", onsubmit: submit },
                title,
                options.text && h("p", null, options.text),
                [...inputs.values()].map(([one, input]) => field(one.label, input, one.hint)),
                typed && field(`To confirm, type ${options.typed}`, typed),
                problem,
                h("div.buttons", null, cancel, button),
            ),
        );
        document.body.append(dialog);
        dialog.showModal();
        (typed || [...inputs.values()][0]?.[1] || (options.danger ? cancel : button)).focus();
    });
}

const MESSAGE_MS = 7000;

// Shows a message at the foot of the page, which screen readers announce. kind: "good" or "bad".
export function tell(text, kind = "good") {
    const message = h(`p.message.${kind}`, null, text);
    document.getElementById("messages").append(message);
    setTimeout(() => message.remove(), MESSAGE_MS);
}

// Runs an action without a question; a problem becomes a message.
export async function attempt(action, text) {
    try {
        const result = await action();
        if (text) tell(typeof text === "function" ? text(result) : text);
        return result;
    } catch (error) {
        if (!(error instanceof Problem)) throw error;
        tell(error.message, "bad");
        return undefined;
    }
}
