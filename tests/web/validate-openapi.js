// SPDX-License-Identifier: Apache-2.0
// Validates an OpenAPI document: validate-openapi.js FILE, with the package in $NODE_PATH. Status 77: it is not there.
const fs = require("fs");
const path = require("path");

const where = (process.env.NODE_PATH || "").split(":").map(folder => path.join(folder, "@seriousme/openapi-schema-validator/index.js"))
    .find(file => fs.existsSync(file));

async function main() {
    if (!where)
        return 77;
    const {Validator} = await import(where);
    const result = await new Validator().validate(process.argv[2]);
    if (!result.valid)
        console.log(JSON.stringify(result.errors, null, 1).slice(0, 3000));
    return result.valid ? 0 : 1;
}

main().then(status => process.exit(status));
