// `node again.js VIEW ASKED`: what the front end says that draws would have been with other settings, as JSON. ASKED is
// a list of [call, draw, settings]. tests/inspect/test_again.py compares it with what the models' samplers draw.

import { readFileSync } from "node:fs";

import { again, Data, unpack } from "./front.js";

const [view, asked] = process.argv.slice(2).map((path) => readFileSync(path));
const data = new Data(await unpack(new Uint8Array(view)));
const told = JSON.parse(asked).map(([call, draw, settings]) => again(data.draw(call, draw), settings));
process.stdout.write(JSON.stringify(told));
