// What the machine was told and what it said: the action of every call, and the text tokens that it put into the streams.

import { speakerColour } from "./colours.js";
import { h, pane } from "./dom.js";
import { Timeline } from "./timeline.js";

const LANE = 20;

export function lanesPane(data, store) {
  const { lanes } = data.header;
  const line = new Timeline(`Lanes: ${lanes.map((lane) => lane.name).join(", ")}`, LANE * lanes.length);
  const names = h("div", { class: "names", "aria-hidden": true }, lanes.map((lane) => h("span", {}, lane.name)));
  const legend = [
    h("span", { class: "key word" }, "new word"),
    h("span", { class: "key over" }, "drawn, but overruled"),
    h("span", { class: "key given" }, "given by the prefix"),
  ];
  const { element, note } = pane("lanes", "What the machine was told, and what it said", legend, h("div", { class: "named" }, names, line.canvas));
  line.jumps(data, store);
  const draw = (state) => {
    if (!line.begin(state)) return;
    const [from, to] = line.seen(data.calls);
    lanes.forEach((lane, row) => {
      const paint = lane.kind === "action" ? actionCell : textCell(lane.name);
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

function textCell(lane) {
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
