// SPDX-License-Identifier: Apache-2.0
// Requests to `ferry web`, and its event streams.

const RETRY_MS = 1000;

// The problem details (RFC 9457) of an answer whose status is not 2xx.
export class Problem extends Error {
    constructor(status, details) {
        super(details?.detail ?? `HTTP status ${status}`);
        this.status = status;
        this.title = details?.title ?? "";
        this.ferry = details?.ferry ?? null;
    }
}

async function answer(response) {
    const text = await response.text();
    let json;
    try {
        json = text ? JSON.parse(text) : null;
    } catch {
        throw new Problem(response.status, { title: "bad answer", detail: "the answer is not JSON" });
    }
    if (!response.ok) throw new Problem(response.status, json);
    return json;
}

async function request(path, options) {
    let response;
    try {
        response = await fetch(path, { ...options, redirect: "error" });
    } catch (error) {
        if (error.name === "AbortError") throw error;
        throw new Problem(0, { title: "unreachable", detail: "ferry web does not answer" });
    }
    return answer(response);
}

// path`/api/queues/${name}`: names are percent-encoded.
export const path = (texts, ...names) =>
    texts.reduce((whole, text, i) => whole + encodeURIComponent(names[i - 1]) + text);

export const get = (url) => request(url);

export const post = (url, body = {}, headers = {}) =>
    request(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Ferry-Request": "1", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
    });

// Reads server-sent events to the end of the answer. A handler that fails does not end the stream.
async function readEvents(response, handler) {
    function take(block) {
        let name = "message";
        let id = "";
        const data = [];
        for (const line of block.split("\n")) {
            const value = line.slice(line.indexOf(":") + 1).replace(/^ /, "");
            if (line.startsWith("event:")) name = value;
            else if (line.startsWith("data:")) data.push(value);
            else if (line.startsWith("id:")) id = value;
        }
        if (!data.length) return;
        try {
            handler(name, JSON.parse(data.join("\n")), id);
        } catch (error) {
            reportError(error);
        }
    }

    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        blocks.forEach(take);
    }
}

// Posts, and passes each event of the answer to handler(name, data).
export async function postForEvents(url, body, headers, signal, handler) {
    const response = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Ferry-Request": "1", ...headers },
        body,
        signal,
    });
    if (!response.ok) return answer(response);
    return readEvents(response, handler);
}

/*
 * Follows a stream of server-sent events and connects again when it ends. handlers:
 *   event(name, data, id)  an event; data is parsed JSON
 *   open()                 the stream is there
 *   lost(problem)          it ended or was refused; another attempt follows, unless the status is 4xx
 * Returns a function that ends the stream. EventSource is not used because it hides the status and
 * the text of a refusal.
 */
export function follow(url, handlers) {
    const abort = new AbortController();
    let lastId = "";
    let timer;

    async function read() {
        const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
        const response = await fetch(url, { headers, signal: abort.signal });
        if (!response.ok) return answer(response);
        handlers.open?.();
        await readEvents(response, (name, data, id) => {
            lastId = id || lastId;
            handlers.event(name, data, lastId);
        });
        throw new Problem(0, { detail: "the stream ended" });
    }

    async function run() {
        try {
            await read();
        } catch (error) {
            if (abort.signal.aborted) return;
            const problem = error instanceof Problem ? error : new Problem(0, { detail: "ferry web does not answer" });
            handlers.lost?.(problem);
            const isFinal = problem.status >= 400 && problem.status < 500 && problem.status !== 429;
            if (!isFinal) timer = setTimeout(run, RETRY_MS);
        }
    }

    run();
    return () => {
        clearTimeout(timer);
        abort.abort();
    };
}
