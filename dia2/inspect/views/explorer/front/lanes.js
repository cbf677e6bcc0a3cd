// What becomes of each call, a lane each: actions and text tokens of a machine, states, counts.

import { speakerColour } from "./colours.js";
import { h, pane } from "./dom.js";
import { Timeline } from "./timeline.js";

const LANE = 20;

export function lanesPane(data, store) {
  const { lanes } = data.header;
  const line = new Timeline(`Lanes: ${lanes.map((lane) => lane.name).join(", ")}`, LANE * lanes.length);
  const names = h("div", { class: "names", "aria-hidden": true }, lanes.map((lane) => h("span", {}, lane.label ?? lane.name)));
  const legend = lanes.flatMap(({ keys }) => keys ?? []).map(([name, text]) => h("span", { class: `key ${name}` }, text));
  const { element, note } = pane("lanes", data.header.titles.lanes, legend, h("div", { class: "named" }, names, line.canvas));
  line.jumps(store);
  const draw = (state) => {
    if (!line.begin(state)) return;
    const [from, to] = line.seen(data.calls);
    lanes.forEach((lane, row) => {
      const paint = CELLS_OF[lane.kind](lane);
      for (let call = from; call < to; call += 1) paint(line, data, call, row * LANE + 2, call > state.call);
    });
    line.playhead(state.call);
  };
  return { element, draw, note };
}

function box(line, call, y, colour, filled) {
  const { context } = line;
  const gap = line.step > 4 ? 1 : 0;
  const width = Math.max(1, line.step - gap);
  if (filled) {
    context.fillStyle = colour;
    context.fillRect(line.x(call), y, width, LANE - 4);
    return;
  }
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.strokeRect(line.x(call) + 0.75, y + 0.75, Math.max(0.5, width - 1.5), LANE - 5.5);
}

function actionCell(line, data, call, y, later) {
  const { palette, context } = line;
  box(line, call, y, palette.empty, true);
  const ended = data.at("end_step", call);
  if (ended >= 0 && ended < data.at("step", call)) return; // no word is left, and what is drawn means nothing
  const action = data.action(call);
  context.globalAlpha = later ? 0.3 : action.given ? 0.5 : 1;
  if (action.outcome === "break") box(line, call, y, palette.frame, true);
  else if (action.outcome !== "pad") box(line, call, y, palette.word, true);
  if (action.overruled) box(line, call, y, palette.over, false);
  context.globalAlpha = 1;
}

function textCell({ name: lane }) {
  return (line, data, call, y, later) => {
    const { palette, context } = line;
    box(line, call, y, palette.empty, true);
    const token = data.at(lane, call);
    const { tokens } = data.header;
    if (token === tokens.pad) return;
    const part = data.part(lane, call);
    context.globalAlpha = later ? 0.3 : 1;
    box(line, call, y, part ? speakerColour(palette, part.speaker) : token === tokens.new_word ? palette.word : palette.faint, true);
    context.globalAlpha = 1;
  };
}

function stateCell({ name, colours: shades }) {
  return (line, data, call, y, later) => {
    line.context.globalAlpha = later ? 0.3 : 1;
    box(line, call, y, line.palette[shades[data.at(name, call)]], true);
    line.context.globalAlpha = 1;
  };
}

/** As high as the count is beside the most there can be; empty where nothing is counted. */
function countCell({ name, most, colour }) {
  return (line, data, call, y, later) => {
    const { palette, context } = line;
    box(line, call, y, palette.empty, true);
    const value = data.at(name, call);
    if (value < 0) return;
    const high = Math.max(2, (Math.min(value, most) / most) * (LANE - 4));
    context.globalAlpha = later ? 0.3 : 1;
    context.fillStyle = palette[colour];
    context.fillRect(line.x(call), y + LANE - 4 - high, Math.max(1, line.step - (line.step > 4 ? 1 : 0)), high);
    context.globalAlpha = 1;
  };
}

const CELLS_OF = { action: () => actionCell, text: textCell, states: stateCell, count: countCell };
