// SPDX-License-Identifier: Apache-2.0
// The dashboard in a headless browser, with a broker, `ferry web` and a calculator of its own:
// node test-page.js FERRY CALC-SERVER. The npm package playwright-core is found by NODE_PATH, and the
// browser is Debian's chromium-headless-shell; without one of them the test is skipped.
"use strict";
const assert = require("assert/strict");
const { execFileSync, spawn } = require("child_process");
const { existsSync, mkdtempSync, rmSync } = require("fs");
const { tmpdir } = require("os");
const { join } = require("path");

const BROWSER = "/usr/bin/chromium-headless-shell";
const FIRST_PAINT_MAX = 100 * 1000; // bytes
const PATIENCE_MS = 60000; // only a hang takes this long

function skip(why) {
    console.log(`skipped: ${why}; './dev test' installs it`);
    process.exit(77);
}

let chromium;
try {
    ({ chromium } = require("playwright-core"));
} catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    skip("there is no npm package playwright-core");
}
if (!existsSync(BROWSER)) skip(`there is no ${BROWSER}`);

const [, , ferry, calcServer] = process.argv;
const folder = mkdtempSync(join(tmpdir(), "ferry-page-"));
const url = `ipc://${folder}/broker`;
const env = { ...process.env, FERRY_URL: url };
const children = new Set();
// If the page made markup of this name, its script would run and leave a mark.
const HOSTILE = "<img src=x onerror=\"document.title='run'\">";

// start([options,] program, argument…)
function start(...words) {
    const options = typeof words[0] === "string" ? {} : words.shift();
    const child = spawn(words[0], words.slice(1), { env, stdio: ["ignore", "pipe", "inherit"], ...options });
    child.gone = new Promise((resolve) => child.on("exit", resolve));
    children.add(child);
    return child;
}

async function stop(child, signal = "SIGTERM") {
    child.kill(signal);
    await child.gone;
    children.delete(child);
}

const run = (...words) =>
    execFileSync(ferry, words, { env, encoding: "utf8", timeout: PATIENCE_MS, stdio: ["ignore", "pipe", "inherit"] });
const startBroker = () => start(ferry, "broker", "--bind", url, "--data", `${folder}/data`, "--log-level", "error");

async function startWeb() {
    const child = start(ferry, "web", "--listen", "127.0.0.1:0");
    for await (const line of child.stdout) return /http:\S+?(?=\/?\s)/.exec(`${line}`)[0];
    throw new Error("ferry web does not say where it listens");
}

// Before the broker is there, and while it is empty
async function saysWhatIsMissing(page, base) {
    await page.goto(`${base}/#/queues`);
    await page.getByRole("alert").filter({ hasText: "Reconnecting" }).waitFor();
    await page.locator("main").getByText("Loading…").waitFor();
    assert.equal(await page.getByText("No queues").isVisible(), false, "nobody knows yet that there are no queues");
    await page.goto(`${base}/#/overview`);
    await page.getByText("The broker is not reachable.").waitFor();
    const broker = startBroker();
    await page.getByText("Nothing. All queues are served and no job is dead.").waitFor();
    for (const [view, text] of Object.entries({
        services: "No services",
        topics: "No subscribers",
        queues: "No queues",
        pipelines: "No pipelines",
        caches: "No caches",
        schedules: "No schedules",
    })) {
        await page.goto(`${base}/#/${view}`);
        await page.getByText(text, { exact: true }).waitFor();
        assert.equal(await page.locator("main").getByText("Loading…").count(), 0, `${view} still loads`);
    }
    return broker;
}

async function firstPaintIsSmall(page, base) {
    let bytes = 0;
    const seen = [];
    const sizes = [];
    page.on("response", (response) => {
        seen.push(new URL(response.url()));
        if (!response.url().includes("/api/"))
            sizes.push(
                response.body().then(
                    (body) => {
                        bytes += body.length;
                    },
                    () => {},
                ),
            );
    });
    await page.goto(`${base}/`);
    await page.getByText("Connected", { exact: true }).waitFor();
    await page.getByRole("heading", { name: "Needs attention" }).waitFor();
    await Promise.all(sizes);
    console.log(`first paint: ${bytes} bytes`);
    assert(bytes > 10000 && bytes < FIRST_PAINT_MAX, `${bytes} bytes are loaded`);
    assert(
        seen.every((one) => one.origin === base),
        "something is loaded from elsewhere",
    );
}

async function callWithForm(page, base) {
    await page.goto(`${base}/#/services/calc.Calc`);
    await page.getByRole("link", { name: "div", exact: true }).click();
    await page.locator(".caller .doc", { hasText: "Whole-number division." }).waitFor();
    await page.getByLabel("a i32").fill("seven");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("a: a whole number is needed").waitFor();
    await page.getByLabel("a i32").fill("7");
    await page.getByLabel("b i32").fill("0");
    await page.keyboard.press("Enter");
    const card = page.locator(".result .error-card");
    await card.waitFor();
    assert.equal(await card.getByRole("heading").textContent(), "calc.DivisionByZero");
    assert.equal(await card.locator("dt").textContent(), "dividend");
    assert.equal(await card.locator("dd").textContent(), "7");
    await page.getByLabel("b i32").fill("2");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.locator(".result-head.good").waitFor();
    assert.equal(await page.locator(".result pre").textContent(), "3");

    // A method that yields items
    await page.getByRole("link", { name: "count", exact: true }).click();
    await page.getByLabel("from i32").fill("3");
    await page.getByLabel("to i32").fill("6");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText(/The stream ended after \d+ items/).waitFor();
    assert.match(await page.locator(".result pre").textContent(), /^3\n4\n5/);

    // A method that takes items and has one result
    await page.getByRole("link", { name: "sum", exact: true }).click();
    await page.getByLabel("Items: i32").fill("40\ntwo");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("Item 2 is not JSON").waitFor();
    await page.getByLabel("Items: i32").fill("40\n\n2");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.locator(".result-head.good").waitFor();
    assert.equal(await page.locator(".result pre").textContent(), "42");

    // A method that takes items and yields items
    await page.getByRole("link", { name: "shift", exact: true }).click();
    await page.getByLabel("by i32").fill("10");
    await page.getByLabel("Items: ").fill('{"low": 1, "high": 2}\n{"low": 3, "high": 4}');
    await page.getByLabel("Deadline").fill("60000");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.getByText("The stream ended after 2 items").waitFor();
    assert.equal(await page.locator(".result pre").textContent(), '{"low":11,"high":12}\n{"low":13,"high":14}');

    // A struct with an optional field that is left out
    await page.getByRole("link", { name: "widen", exact: true }).click();
    await page.getByLabel("low i32").fill("5");
    await page.getByLabel("high i32").fill("9");
    await page.getByRole("button", { name: "Call", exact: true }).click();
    await page.locator(".result-head.good").waitFor();
    assert.deepEqual(JSON.parse(await page.locator(".result pre").textContent()), { low: 4, high: 10 });
}

async function watchTail(page, base) {
    await page.goto(`${base}/#/topics`);
    await page.getByLabel("Topic or pattern").fill("orders.>");
    await page.getByRole("button", { name: "Watch", exact: true }).first().click();
    await page.getByText(/Watching orders\.>/).waitFor();
    const lines = page.locator(".message-line:visible");
    run("pub", "orders.new", '{"id": 1}');
    run("pub", "other", "not watched");
    run("pub", "orders.paid", HOSTILE);
    await lines.filter({ hasText: HOSTILE }).waitFor();
    assert.equal(await lines.count(), 2);
    assert.equal(await lines.locator("b").first().textContent(), "orders.paid", "the newest is not on top");
    await page.getByLabel("Filter", { exact: true }).fill("orders.new");
    assert.equal(await lines.count(), 1);
    await page.getByLabel("Filter", { exact: true }).fill("");
    await page.getByRole("button", { name: "Pause" }).click();
    run("pub", "orders.new", "while paused");
    await page.getByText(/1 waiting/).waitFor();
    assert.equal(await lines.count(), 2);
    await page.getByRole("button", { name: "Continue" }).click();
    await lines.filter({ hasText: "while paused" }).waitFor();
}

async function retryDeadLetters(page, base) {
    run("push", "mail", HOSTILE);
    run("push", "mail", "second");
    run("work", "mail", "--exec", 'echo "no route: $(cat)" >&2; exit 1', "--drain", "--quiet");
    while (JSON.parse(run("queue", "show", "mail", "--json")).dead < 2); // listed when the disk has them
    await page.goto(`${base}/#/queues/mail/dead`);
    const rows = page.locator("tbody tr");
    await rows.filter({ hasText: `no route: ${HOSTILE}` }).waitFor();
    assert.equal(await rows.count(), 2);
    assert(await page.getByRole("button", { name: "Retry", exact: true }).isDisabled());
    await rows.filter({ hasText: "second" }).getByRole("checkbox").check();
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    await page.getByText("1 job returned to mail.").waitFor();
    await rows.filter({ hasText: "second" }).waitFor({ state: "detached" });
    assert.equal(run("work", "mail", "--drain", "--quiet"), "second\n");

    // The rest is purged, behind the name
    await page.goto(`${base}/#/queues/mail.dead`);
    await page.getByRole("button", { name: "Purge…" }).click();
    const button = page.getByRole("button", { name: "Delete the jobs" });
    assert(await button.isDisabled());
    await page.getByLabel("To confirm, type mail.dead").fill("mail");
    assert(await button.isDisabled());
    await page.getByLabel("To confirm, type mail.dead").fill("mail.dead");
    await button.click();
    await page.getByText("1 job deleted.").waitFor();
}

// ferry web reports these caches as its own.
async function listsCaches(page, base) {
    const caches = [
        { cache: "redis://cache:6379", hits: 90, near_hits: 60, misses: 10, bytes: 2048, max_bytes: 4096 },
        { cache: HOSTILE, breakers_open: 1 },
    ];
    const response = await fetch(`${base}/v1/call/ferry.Broker/report_caches`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ caches }),
    });
    assert.equal(response.status, 202);
    await page.goto(`${base}/#/caches`);
    const row = page.locator("tbody tr").filter({ hasText: "redis://cache:6379" });
    await row.filter({ hasText: "90 %" }).waitFor();
    assert.equal(await row.getByRole("cell").filter({ hasText: "2.0 KiB of 4.0 KiB" }).count(), 1);
    await page.locator("tbody tr").filter({ hasText: HOSTILE }).getByText("Redis does not answer").waitFor();
    assert.equal(await page.locator("dl.figures dd").first().textContent(), "90");
    await page.goto(`${base}/#/overview`);
    await page.getByRole("link", { name: `gets no answer from ${HOSTILE}` }).click();
    await page.getByRole("heading", { name: "Caches" }).waitFor();
}

async function survivesBroker(page, base, broker) {
    await page.goto(`${base}/#/queues`);
    run("push", "kept", "on disk");
    await page.getByRole("link", { name: "kept" }).waitFor();
    await stop(broker, "SIGKILL");
    await page.getByRole("alert").filter({ hasText: "Reconnecting" }).waitFor();
    await page.getByText("Disconnected").waitFor();
    broker = startBroker();
    await page.getByText("Connected", { exact: true }).waitFor();
    await page.getByRole("alert").waitFor({ state: "hidden" });
    run("push", "later", "to the next broker");
    await page.getByRole("link", { name: "later" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "kept" }).count(), 1);
    return broker;
}

async function hostileNamesAreText(page, base) {
    await page.goto(`${base}/#/queues/${encodeURIComponent(HOSTILE)}`);
    await page.getByRole("heading", { name: HOSTILE }).waitFor();
    await page.getByText("The broker has no queue with this name.").waitFor();
    await page.goto(`${base}/#/services/${encodeURIComponent(HOSTILE)}/x`);
    await page.getByRole("heading", { name: HOSTILE }).waitFor();
    // A client's name is that of its program, up to 40 bytes
    const name = "<img src=x onerror=document.title=1>";
    start({ argv0: name, env: { ...env, FERRY_INSTANCE: "the-other" } }, calcServer);
    await page.goto(`${base}/#/sessions`);
    const row = page.locator("tbody tr").filter({ hasText: name });
    await row.getByRole("button", { name: "End…" }).click();
    await page.getByRole("dialog").filter({ hasText: name }).waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("main img, dialog img").count(), 0);
    assert.equal(await page.title(), "Sessions · ferry");
}

// Each view at the width of a small telephone: nothing is wider than the window.
async function fitsNarrowWindows(page, base) {
    await page.setViewportSize({ width: 360, height: 640 });
    for (const view of [
        "overview",
        "services/calc.Calc/widen",
        "topics",
        "queues",
        "pipelines",
        "caches",
        "schedules",
        "sessions",
    ]) {
        await page.goto(`${base}/#/${view}`);
        await page.locator(`nav a[aria-current][href="#/${view.split("/")[0]}"]`).waitFor();
        const wide = await page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        assert(wide <= 0, `${view} is ${wide} pixels wider than the window`);
    }
}

// From the address bar to a queue that is paused and resumed, with keys alone. Each stop shows its focus.
async function worksByKeyboard(page, base) {
    const focus = (read) => page.evaluate(`((it) => ${read})(document.activeElement)`);
    const press = async (...keys) => {
        for (const key of keys) await page.keyboard.press(key);
    };
    const tabTo = async (text) => {
        for (let i = 0; i < 60; i++) {
            await press("Tab");
            if ((await focus("it.textContent.trim()")).startsWith(text)) {
                const { style, width } = await focus(
                    "({ style: getComputedStyle(it).outlineStyle, width: parseFloat(getComputedStyle(it).outlineWidth) })",
                );
                assert(style !== "none" && width >= 1, `the focus on ${text} is not visible`);
                return;
            }
        }
        assert.fail(`Tab does not reach ${text}`);
    };

    for (let i = 0; i < 5; i++) run("push", `other-${i}`, "x"); // a longer table has a filter
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto("about:blank");
    await page.goto(`${base}/#/overview`);
    await page.getByRole("heading", { name: "Needs attention" }).waitFor();
    await press("Tab");
    assert.equal(await focus("it.textContent"), "Skip to the content");
    await press("Enter");
    assert.equal(await focus("it.tagName + it.textContent"), "H1Overview");
    await page.goto(`${base}/#/sessions`);
    await page.getByRole("heading", { name: "Sessions" }).waitFor();
    await page.evaluate(() => document.activeElement.blur());
    await tabTo("Queues");
    await press("Enter");
    await page.getByRole("link", { name: "kept" }).waitFor();
    assert.equal(await focus("it.tagName + it.textContent"), "H1Queues", "the new view does not get the focus");
    await press("/");
    assert.equal(await focus("it.type"), "search");
    await page.keyboard.type("kept");
    assert.equal(await page.locator("tbody tr:visible").count(), 1);
    await tabTo("kept");
    await press("Enter");
    await page.getByRole("heading", { name: "kept" }).waitFor();
    await tabTo("Pause");
    await press("Enter");
    await page.getByRole("button", { name: "Resume" }).waitFor();
    await press("Enter");
    await page.getByRole("button", { name: "Pause" }).waitFor();
    await tabTo("Purge");
    await press("Enter");
    await page.getByLabel("To confirm, type kept").waitFor();
    assert.equal(await focus("it.closest('dialog') !== null"), true, "the focus is not in the dialog");
    await press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    assert.match(await focus("it.textContent"), /^Purge/, "the focus does not return");
}

// The system's setting chooses the colours. Text has the contrast that WCAG 2 asks for (AA), in both.
async function followsColorScheme(page, base) {
    const measure = () =>
        page.evaluate(() => {
            const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
            const light = (color) => {
                const [r, g, b] = color.match(/[\d.]+/g).map((value) => channel(Number(value) / 255));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const behind = (it) => {
                const { backgroundColor: color } = getComputedStyle(it);
                return /^rgba\(.*, 0\)$/.test(color) && it.parentElement ? behind(it.parentElement) : color;
            };
            const texts = [...document.querySelectorAll("h1, td, td a, th button, dt, dd, .chip, nav a, .hint")];
            const ratios = texts
                .filter((it) => it.checkVisibility() && it.textContent.trim())
                .map((it) => {
                    const [a, b] = [light(getComputedStyle(it).color), light(behind(it))];
                    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), it.textContent];
                });
            return { paper: light(behind(document.body)), ratios };
        });
    for (const view of ["overview", "services", "queues", "caches", "sessions"]) {
        await page.goto(`${base}/#/${view}`);
        await page.locator(`nav a[aria-current][href="#/${view}"]`).waitFor();
        for (const colorScheme of ["light", "dark"]) {
            await page.emulateMedia({ colorScheme });
            const { paper, ratios } = await measure();
            assert.equal(paper > 0.5, colorScheme === "light", `the paper of ${view} is not ${colorScheme}`);
            assert(ratios.length > 5, `${view} has no texts`);
            for (const [ratio, text] of ratios)
                assert(ratio >= 4.5, `'${text}' in ${view}, ${colorScheme}, has a contrast of ${ratio.toFixed(2)}`);
        }
    }
    await page.emulateMedia({ colorScheme: "light" });
}

async function main() {
    let broker, browser;
    try {
        const base = await startWeb();
        browser = await chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox", "--disable-gpu"] });
        const early = await browser.newPage({ viewport: { width: 1280, height: 800 } });
        early.setDefaultTimeout(PATIENCE_MS);
        broker = await saysWhatIsMissing(early, base);
        await early.close();
        start(calcServer);
        const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
        page.setDefaultTimeout(PATIENCE_MS);
        const broken = [];
        page.on("pageerror", (error) => broken.push(error.message));
        page.on("console", (message) => {
            if (/Content Security Policy|TrustedHTML/.test(message.text())) broken.push(message.text());
        });
        await firstPaintIsSmall(page, base);
        await callWithForm(page, base);
        await watchTail(page, base);
        await retryDeadLetters(page, base);
        await listsCaches(page, base);
        broker = await survivesBroker(page, base, broker);
        await hostileNamesAreText(page, base);
        await worksByKeyboard(page, base);
        await followsColorScheme(page, base);
        await fitsNarrowWindows(page, base);
        assert.deepEqual(broken, []);
        console.log(
            "page: empty views, call, tail, dead letters, caches, a lost broker, hostile names, the keyboard, " +
                "both colour schemes, narrow windows: ok",
        );
    } finally {
        await browser?.close();
        await Promise.all([...children].map((child) => stop(child, "SIGKILL")));
        rmSync(folder, { recursive: true, force: true });
    }
}

main().then(
    () => process.exit(0),
    (error) => {
        console.error(error);
        process.exit(1);
    },
);
