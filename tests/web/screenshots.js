// SPDX-License-Identifier: Apache-2.0
// Takes the pictures of docs/web.md: NODE_PATH=build/npm/node_modules node tests/web/screenshots.js FERRY CALC-SERVER FOLDER [MINUTES].
// Runs a broker with services, queues and traffic for some minutes first, so that the charts show something.
// pngquant, if it is there, makes the pictures small.
"use strict";
const { execFileSync, spawn } = require("child_process");
const { mkdirSync, mkdtempSync, rmSync } = require("fs");
const { tmpdir } = require("os");
const { join } = require("path");
const { chromium } = require("playwright-core");

const [, , ferry, calcServer, folder, minutes = "3"] = process.argv;
const scene = mkdtempSync(join(tmpdir(), "ferry-"));
const env = { ...process.env, FERRY_URL: `ipc://${scene}/broker` };
const children = [];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The pages, and what is done on them before their picture is taken.
const PAGES = [
    ["overview", "overview"],
    ["services", "services"],
    [
        "call",
        "services/calc.Calc/div",
        async (page) => {
            await page.getByLabel("a i32").fill("7");
            await page.getByRole("button", { name: "Call", exact: true }).click();
            await page.locator(".result-head").waitFor();
        },
    ],
    ["topics", "topics/orders.%3E", (page) => page.locator(".message-line").nth(9).waitFor()],
    ["queues", "queues"],
    [
        "dead-letters",
        "queues/invoices/dead",
        async (page) => {
            for (const at of [0, 2]) await page.locator("tbody input").nth(at).check();
        },
    ],
    ["pipelines", "pipelines"],
    ["caches", "caches"],
    ["schedules", "schedules"],
    ["sessions", "sessions"],
];

function start(words, more = {}) {
    const child = spawn(words[0], words.slice(1), { env: { ...env, ...more }, stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    return child;
}

function run(...words) {
    try {
        execFileSync(ferry, words, { env, stdio: ["pipe", "ignore", "ignore"] });
    } catch {
        // some calls fail on purpose
    }
}

let i = 5; // counts the rounds of play

async function play(base, until = Date.now() + minutes * 60000) {
    const call = (path, body) =>
        fetch(`${base}/v1/${path}`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify(body),
        });
    for (let busy = 6; Date.now() < until; i++) {
        busy = Math.max(2, Math.min(14, busy + Math.random() * 4 - 2));
        const some = [call("publish/orders.eu.created", { id: i, total: (i * 37) % 900, country: "DE" })];
        for (let k = 0; k < busy; k++) some.push(call("call/calc.Calc/add", { a: i, b: k }));
        if (i % 2 === 0) some.push(call("call/calc.Calc/random", []));
        if (i % 3 === 0) some.push(call("call/calc.Calc/squares", { range: { low: 1, high: i % 90 } }));
        if (i % 7 === 0) some.push(call("call/calc.Calc/div", { a: i, b: i % 2 }));
        if (i % 2 === 0)
            some.push(call("publish/orders.eu.paid", { id: i - 3 }), call("call/calc.Calc/div", { a: i, b: 2 }));
        for (let k = 0; k < busy / 2; k++)
            some.push(call("push/invoices", { order: i, page: k, broken: i % 40 === 0 && k === 0 }));
        if (i % 9 === 0) some.push(call("push/mail", { to: `customer-${i}@example.org`, template: "thanks" }));
        await Promise.all(some);
        await sleep(300);
    }
}

async function main() {
    start([ferry, "broker", "--bind", env.FERRY_URL, "--data", `${scene}/data`, "--log-level", "error"]);
    await sleep(1500);
    const web = start([ferry, "web", "--listen", "127.0.0.1:0"]);
    const base = await new Promise((resolve) =>
        web.stdout.on("data", (text) => resolve(/http:\S+?(?=\/?\s)/.exec(`${text}`)[0])),
    );
    start(["redis-server", "--bind", "127.0.0.1", "--port", "6390", "--save", "", "--dir", scene]);
    start([calcServer], { FERRY_INSTANCE: "calc-1", CALC_CACHE: "redis://127.0.0.1:6390" });
    start([calcServer], { FERRY_INSTANCE: "calc-2", CALC_CACHE: "memory://" });
    start([ferry, "serve", "words.count", "--exec", "wc -w", "--slots", "4", "--quiet"]);
    start([ferry, "serve", "shop.order", "--fail", "shop.OutOfStock:no teapots left today", "--quiet"]);
    const render =
        'read -r job; case $job in *true*) echo "template invoice.tex not found" >&2; exit 1;; esac; echo "$job"';
    start([ferry, "work", "invoices", "--exec", render, "--then", "sign", "--slots", "4", "--quiet"]);
    start([ferry, "work", "sign", "--then", "archive", "--slots", "4", "--quiet"]);
    start([ferry, "work", "archive", "--slots", "4", "--quiet"]);
    start([ferry, "work", "audit", "--then", "archive", "--slots", "2", "--quiet"]);
    start([ferry, "sub", "orders.>", "--quiet"]);
    run(
        "schedule",
        "add",
        "nightly-report",
        "reports",
        '{"kind": "daily"}',
        "--cron",
        "15 2 * * *",
        "--tz",
        "Europe/Berlin",
    );
    run("schedule", "add", "heartbeat", "audit", "ping", "--every", "30");
    run("schedule", "add", "monthly-invoices", "invoices", "{}", "--cron", "@monthly", "--missed", "all");
    await sleep(1000);
    run("queue", "bind", "audit", "orders.>");
    run("pub", "--retain", "config.flags", '{"beta": true}');
    run("push", "mail", "--delay", "1h", "later");
    run("queue", "pause", "mail");
    await play(base);

    mkdirSync(folder, { recursive: true });
    const playing = { is: true };
    const traffic = (async () => {
        while (playing.is) await play(base, Date.now() + 1000);
    })();
    const browser = await chromium.launch({
        executablePath: "/usr/bin/chromium-headless-shell",
        args: ["--no-sandbox"],
    });
    for (const colorScheme of ["light", "dark"]) {
        const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme });
        for (const [name, address, act] of PAGES) {
            await page.goto(`${base}/#/${address}`);
            await page.locator("main h1").waitFor();
            await sleep(2500);
            await act?.(page);
            await sleep(300);
            await page.screenshot({ path: join(folder, `web-${name}-${colorScheme}.png`) });
        }
        await page.setViewportSize({ width: 360, height: 740 });
        await page.goto(`${base}/#/overview`);
        await sleep(2000);
        await page.screenshot({ path: join(folder, `web-narrow-${colorScheme}.png`) });
        await page.close();
    }
    playing.is = false;
    await traffic;
    await browser.close();
    try {
        execFileSync("sh", [
            "-c",
            'for f in "$0"/web-*.png; do pngquant --force --skip-if-larger --ext .png 64 "$f"; done',
            folder,
        ]);
    } catch {
        console.log("pngquant is not there, or has left a picture as it was");
    }
}
main()
    .catch((error) => {
        console.error(error);
        process.exitCode = 1;
    })
    .finally(() => {
        for (const child of children.reverse()) child.kill("SIGTERM");
        setTimeout(() => {
            rmSync(scene, { recursive: true, force: true });
            process.exit();
        }, 1500);
    });
