// SPDX-License-Identifier: Apache-2.0
// The npm package msgpack-rpc-lite calls through the gateway: node msgpack-rpc-client.js HOST PORT
"use strict";
const assert = require("assert/strict");

let createClient;
try {
    ({ createClient } = require("msgpack-rpc-lite"));
} catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    console.log("no npm package msgpack-rpc-lite");
    process.exit(77);
}

async function main([host, port]) {
    const client = createClient(Number(port), host);
    // Answers are [result, message]
    const call = async (...words) => (await client.request(...words))[0];

    assert.equal(await call("calc.Calc.add", 2, 3), 5);
    assert.equal(await call("calc.Calc.say", "a text \u20ac"), "a text \u20ac");
    await assert.rejects(client.request("calc.Calc.div", 1, 0), (error) =>
        /calc\.DivisionByZero/.test(JSON.stringify(error.message ?? error)),
    );
    await assert.rejects(client.request("calc.Calc.absent"), () => true);
    const sums = await Promise.all([...Array(100).keys()].map((i) => call("calc.Calc.add", i, i)));
    assert.deepEqual(
        sums,
        [...Array(100).keys()].map((i) => 2 * i),
    );
    await client.notify("ferry.push", "from-node", "a job of node");
    console.log("npm: passed");
}

main(process.argv.slice(2)).then(
    () => process.exit(0),
    (error) => {
        console.error(error);
        process.exit(1);
    },
);
