import assert from "node:assert/strict";
import { test } from "node:test";

import {
  contentOf, cutTo,
  flowFigure, flowLayout, flowSizeOf, linesOf, perCall, pipelinePane, pointAt, rangesOf, stageTold, toldAt,
} from "./front.js";
import { page, press } from "./page.js";
import { column, each, looked, run, word } from "./run.js";

const line = (told, more = {}) => ({ kind: "line", told, otherwise: "", strong: false, ...more });
const box = (name, rows, items = [], more = {}) => ({
  name, title: name, rows, items, lane: [0, 1], paint: "draw", given: "", ...more,
});
const FACTS = {
  told: "call {call}, then {next}",
  before: [box("setup", [1, 2], [], { lane: [0, 0.5] }), box("script", [3], [], { lane: [0.5, 1] })],
  stages: [
    {
      told: line("reads column {step}"), given: "", once: false,
      boxes: [
        box("text", [4], [{ kind: "token", column: "main", label: "main" }], { lane: [0, 0.5] }),
        box("codes", [4], [{ kind: "codes", at: "step", first: 0 }], { lane: [0.5, 1] }),
      ],
    },
    {
      told: line("draws"), given: "is given", once: false,
      boxes: [
        box("head", [4], [{ kind: "choice", book: null }], { given: "given: {left}" }),
      ],
    },
    {
      told: line("takes “{word}”", { otherwise: "takes none" }), given: "", once: false,
      boxes: [
        box("both", [3, 4], [], { lane: [0.5, 0.6] }),
        box("machine", [4], [line("{left:word} left"), { kind: "meter", column: "left", most: 8 }], { lane: [0, 0.5] }),
        box("grid", [4], [{ kind: "codes", at: "writes", first: 1 }], { lane: [0.6, 1] }),
      ],
    },
    { told: line("frame {frame}", { otherwise: "none" }), given: "", once: true, boxes: [box("sound", [5, 6])] },
  ],
  arrows: [
    { start: "text", end: "head" }, { start: "codes", end: "head" }, { start: "head", end: "machine" },
    { start: "machine", end: "grid" }, { start: "grid", end: "sound" }, { start: "machine", end: "text" },
    { start: "grid", end: "codes" }, { start: "setup", end: "script" }, { start: "script", end: "text" },
  ],
};

const row = (number, lit = []) => ({
  number, title: `row ${number}`, where: "", status: "done", cells: {}, seconds: lit.length ? 2 : null, note: "", lit,
  call: lit.length ? 0 : null,
});
const ROWS = [row(1), row(2), row(3), row(4, [[0, null]]), row(5), row(6)];

/** A run of ten calls that has what the picture names. */
function shown(header = {}, columns = {}) {
  const grid = Array.from({ length: 22 }, (_, i) => i % 8);
  return run(
    {
      rows: ROWS, titles: { rows: "Rows", grid: "", state: "" }, tokens: { pad: 3, new_word: 2 },
      words: [word("hello", 2)], ...header,
    },
    {
      step: each(0, 1, 2, 3, 4, 5, 6, 7, 8, 9), left: each(8, 8, 7, 1, 1, 1, 1, 1, 1, 0),
      main: each(3, 2, 9, 3, 3, 3, 3, 3, 3, 3), grid: column(Int16Array, [11, 2], grid), ...columns,
    },
  );
}

const texts = (element, kind = "text") => element.all.filter(({ tag }) => tag === kind).map((one) => one.textContent);
const named = (element, name) => element.all.find(({ attributes }) => attributes["data-name"] === name);

test("a text names columns, and what every call has; where there is none, nothing is told", (t) => {
  page(t);
  const data = shown();
  assert.equal(toldAt(data, "call {call} writes {writes}, {left:word}", 3), "call 3 writes 4, 1 word");
  assert.equal(toldAt(data, "then {next}, {left:word}", 0), "then 1, 8 words");
  assert.equal(toldAt(data, "{frame} at {second}", 1), "1 at 0.10 s"); // column 2, and codebook 1 is a column late
  assert.equal(toldAt(shown({ given: { calls: 2, why: "" } }), "{frame}", 1), null);
  assert.deepEqual([4, 5].map((call) => toldAt(shown({ seconds: 0.5 }), "{frame}", call)), ["4", null]); // it has ended
  assert.equal(toldAt(data, "{word}", 2), "hello");
  assert.equal(toldAt(data, "{word}", 3), null);
  assert.equal(toldAt(data, "{gone}", 3), null);
});

test("what a stage does, at a call that draws and at one that is given", (t) => {
  page(t);
  const data = shown({ given: { calls: 3, why: "" } });
  const tell = (stage, call) => stageTold(data, FACTS.stages[stage], call);
  assert.deepEqual([tell(0, 4), tell(1, 4), tell(1, 2)], ["reads column 4", "draws", "is given"]);
  assert.deepEqual([tell(2, 2), tell(2, 4)], ["takes “hello”", "takes none"]);
});

test("boxes show the values of the call: what it read, took and wrote", (t) => {
  page(t);
  const data = shown();
  const figure = flowFigure(data, FACTS, "tall", () => {});
  const show = (call) => figure.draw(call, 0, [], `call ${call}`);
  show(3);
  const read = (name) => texts(named(figure.element, name));
  assert.deepEqual(read("text").slice(2, 4), ["main", "9"]); // the token of call 2
  assert.ok(read("machine").includes("1 word left"));
  show(2);
  assert.equal(read("text")[3], "new word");
  assert.ok(read("machine").includes("7 words left"));
  const parts = named(figure.element, "machine").all;
  const bars = parts.filter(({ attributes }) => /^flow-(bar|track)/.test(attributes.class));
  const [track, bar] = bars.map(({ attributes }) => Number(attributes.width));
  assert.ok(Math.abs(bar / track - 7 / 8) < 0.01);
  show(0);
  assert.equal(read("text")[3], "start");
});

test("a box of what is done once tells which of its rows took the longest", (t) => {
  page(t);
  const times = { 1: 0.5, 2: 4, 3: 0.0002, 4: 2, 6: 0.03 };
  const rows = ROWS.map((one) => ({ ...one, seconds: times[one.number] ?? null }));
  const figure = flowFigure(shown({ rows }), FACTS, "tall", () => {});
  figure.draw(3, 0, [], "");
  const read = (name) => texts(named(figure.element, name));
  assert.ok(read("setup").includes("2: 4.0 s"));
  assert.ok(read("sound").includes("6: 30 ms"));
  assert.ok(![...read("script"), ...read("head")].some((text) => / m?s$/.test(text)));
});

test("tokens of words are told as their parts", (t) => {
  page(t);
  const parts = Array.from({ length: 30 }, (_, i) => [-1, 0, 0, 0, 2, 3][i] ?? -1); // call 1: the second of three
  const entries = [{ text: "hello", speaker: 1, padding: 0, tokens: 3 }];
  const data = shown({ entries }, { main_part: column(Int32Array, [10, 3], parts) });
  const figure = flowFigure(data, FACTS, "tall", () => {});
  const read = (call) => {
    figure.draw(call, 0, [], "");
    return texts(named(figure.element, "text"))[3];
  };
  assert.deepEqual([1, 2, 3].map(read), ["pad", "hello 2/3", "9"]);
});

test("a draw shows its choice; in a wide place the best others too", (t) => {
  page(t);
  const [cells, width] = [30, 4];
  const filled = (Numbers, numbers, count = cells) =>
    column(Numbers, [10, 3, count / cells], Array.from({ length: count }, (_, i) => numbers[i % numbers.length]));
  const draws = {
    draw_ids: filled(Int16Array, [7, 5, 3, 1], cells * width), draw_kept: filled(Uint8Array, [15]),
    draw_cond: filled(Uint16Array, [0, 1, 2, 3], cells * width), best_cond: filled(Float32Array, [0]),
    draw_step_cond: filled(Float32Array, [0.5]), draw_guided: filled(Uint16Array, [0, 1, 2, 3], cells * width),
    best_guided: filled(Float32Array, [0]), draw_step_guided: filled(Float32Array, [0.5]),
    draw_probability: filled(Float32Array, [0.5]), draw_choice: filled(Int32Array, [1]),
  };
  const sampling = [{ call: 0, told: "", text: { temperature: 1, top_k: 0 }, audio: { temperature: 1, top_k: 0 } }];
  const read = (size) => {
    const figure = flowFigure(shown({ sampling }, draws), FACTS, size, () => {});
    figure.draw(4, 0, [], "");
    const found = named(figure.element, "head").all;
    const strong = found.filter(({ attributes }) => attributes.class === "flow-strong").map((one) => one.textContent);
    const told = found.filter(({ tag }) => tag === "text").map((one) => one.textContent);
    return [told.filter((text) => /^\d$/.test(text)).slice(1), strong]; // the first is the number of its row
  };
  assert.deepEqual(read("tall"), [["1"], ["1"]]);
  assert.deepEqual(read("wide"), [["7", "5", "1"], ["1"]]);
});

test("a call that is given shows what was given, and no draw", (t) => {
  page(t);
  const figure = flowFigure(shown({ given: { calls: 3, why: "" } }), FACTS, "tall", () => {});
  const [own, instead] = named(figure.element, "head").children.slice(-2);
  const seen = (call) => {
    figure.draw(call, 0, [], "");
    return [own, instead].map(({ attributes }) => attributes.visibility);
  };
  assert.deepEqual(seen(1), ["hidden", "visible"]);
  assert.equal(instead.textContent, "given: 8");
  assert.deepEqual(seen(3), ["visible", "hidden"]);
});

test("cells are coloured by the surprise of their draws, and empty where nothing is", (t) => {
  page(t);
  const grid = column(Int16Array, [11, 2], Array.from({ length: 22 }, (_, i) => (i > 15 ? -1 : 1)));
  const bits = Array.from({ length: 30 }, (_, i) => (i === 3 * 2 + 2 ? 1 + 16 * 5 : 1));
  const surprise = column(Uint8Array, [10, 3], bits);
  const figure = flowFigure(shown({}, { grid, surprise }), FACTS, "tall", () => {});
  const cells = (call, name) => {
    figure.draw(call, 0, [], "");
    const found = named(figure.element, name).all.map(({ attributes }) => attributes.class ?? "");
    return found.filter((kind) => kind.startsWith("flow-cell"));
  };
  assert.deepEqual(cells(2, "grid"), ["flow-cell flow-l4"]); // codebook 1 of column 3, drawn by call 2 at 5 bits
  assert.deepEqual(cells(3, "codes"), ["flow-cell flow-l0", "flow-cell flow-l4"]); // read by the next one
  assert.deepEqual(cells(9, "grid"), ["flow-cell flow-none"]);
});

test("cells of what was given do not look like drawn ones", (t) => {
  page(t);
  const { grid } = shown().header;
  const figure = flowFigure(shown({ grid: { ...grid, edge: [3, 3] } }), FACTS, "tall", () => {});
  const kind = (call) => {
    figure.draw(call, 0, [], "");
    return named(figure.element, "codes").all.at(-4)?.attributes.class;
  };
  assert.deepEqual([2, 3].map(kind), ["flow-cell flow-given", "flow-cell flow-known"]);
});

test("the numbers of rows stand beside a title, or below it", () => {
  const numbers = (title, room) => {
    const { beside, items } = contentOf({ title, rows: [1, 2, 3], items: [line("a")] }, 8, room, 12, false);
    return [beside, items[0].y];
  };
  const [[wide, high], [narrow, low]] = [numbers("text", 200), numbers("text", 40)];
  assert.deepEqual([wide, narrow], [true, false]);
  assert.ok(low > high); // what follows gives way
});

for (const size of ["slim", "tall", "wide"]) {
  test(`boxes stand apart and arrows end at them, ${size}`, () => {
    const { width, height, rects, paths } = flowLayout(FACTS, 40, size);
    const all = [...rects.values()];
    for (const [i, a] of all.entries()) {
      assert.ok(a.x >= 0 && a.y >= 0 && a.x + a.width <= width && a.y + a.height <= height);
      for (const b of all.slice(i + 1)) {
        const beside = a.x + a.width <= b.x || b.x + b.width <= a.x;
        assert.ok(beside || a.y + a.height <= b.y || b.y + b.height <= a.y);
      }
    }
    const edge = ({ x, y, width: w, height: h }, [px, py]) =>
      Math.min(Math.abs(px - x), Math.abs(px - x - w)) < 1e-6 && py >= y && py <= y + h
      || Math.min(Math.abs(py - y), Math.abs(py - y - h)) < 1e-6 && px >= x && px <= x + w;
    for (const { start, end, points } of paths) {
      assert.ok(edge(rects.get(start), points[0]), `${start} → ${end}`);
      assert.ok(edge(rects.get(end), points.at(-1)), `${start} → ${end}`);
      for (const [[x, y], [toX, toY]] of points.slice(1).map((point, i) => [points[i], point])) {
        assert.ok(x === toX || y === toY); // no slants
        assert.ok(Math.min(x, toX) >= 0 && Math.max(x, toX) <= width && Math.max(y, toY) <= height);
      }
    }
  });
}

test("a strip that does not fit a slim place is folded", () => {
  const before = [0, 1, 2, 3].map((i) => box(`${i}`, [1], [], { lane: [i / 4, (i + 1) / 4] }));
  const rowsOf = (size) => {
    const { rects } = flowLayout({ ...FACTS, before, arrows: [] }, 8, size);
    return new Set(before.map(({ name }) => rects.get(name).y)).size;
  };
  assert.deepEqual(["slim", "tall", "wide"].map(rowsOf), [2, 1, 1]);
});

test("letters are large enough in any place", () => {
  for (const [pixels, size] of [[280, "slim"], [339, "slim"], [340, "tall"], [759, "tall"], [760, "wide"]]) {
    assert.equal(flowSizeOf(pixels), size);
    const { width, font } = flowLayout(FACTS, 8, size);
    assert.ok((font * pixels) / width >= 12, `${pixels}`);
  }
});

test("texts fit their boxes", () => {
  assert.deepEqual(linesOf("one two three", 80, 12), ["one two", "three"]);
  assert.equal(cutTo("a very long word", 60, 12), "a very l…");
  assert.equal(cutTo("語語語語語語", 60, 12), "語語語語…"); // as wide as high
  assert.equal(rangesOf([1, 2, 3, 6, 11, 12]), "1–3, 6, 11–12");
});

test("where a dot is on its way", () => {
  const points = [[0, 0], [0, 10], [30, 10]];
  assert.deepEqual([0, 0.25, 0.5, 1].map((share) => pointAt(points, share)), [[0, 0], [0, 10], [10, 10], [30, 10]]);
});

test("what a row takes in each of its calls", () => {
  const data = shown();
  assert.equal(perCall(data, row(4, [[0, 4], [8, null]])), 2 / 6);
  assert.equal(perCall(data, row(1)), null);
});

/** The pane of a run, drawn as the store says. */
function opened(t, state = {}, header = {}) {
  const clock = page(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const data = shown(header);
  const { store } = looked([data], { call: 2, tab: "Pipeline", ...state });
  const whole = pipelinePane(data, store, FACTS);
  store.subscribe((now) => whole.draw(now));
  store.draw();
  clock.frame();
  const button = (name) => whole.element.all.find((one) => one.tag === "button" && one.textContent === name);
  const click = (name) => {
    button(name).dispatchEvent(new Event("click"));
    clock.frame();
  };
  const said = () => whole.element.all.find(({ attributes }) => attributes.class === "flow-said").textContent;
  const lit = () => whole.element.all.filter(({ attributes }) => /flow-lit/.test(attributes.class)).map(
    ({ attributes }) => attributes["data-name"],
  );
  return { whole, store, click, button, said, lit, clock };
}

test("steps go through the stages in their order, and on to the next call", (t) => {
  const { whole, store, click, said, lit, button } = opened(t);
  assert.equal(said(), "call 2, then 3");
  assert.ok(button("Whole call").disabled);
  const seen = FACTS.stages.map(() => {
    click("Step");
    return [said(), lit()];
  });
  assert.deepEqual(seen, [
    ["1. reads column 2", ["text", "codes"]],
    ["2. draws", ["head"]],
    ["3. takes “hello”", ["both", "machine", "grid"]],
    ["4. frame 2", ["sound"]],
  ]);
  click("Step");
  assert.deepEqual([store.state.call, said()], [3, "1. reads column 3"]);
  click("Whole call");
  assert.deepEqual([said(), lit()], ["call 3, then 4", []]);
  assert.ok(!whole.element.all.some(({ attributes }) => /flow-on/.test(attributes.class))); // nor an arrow
});

test("the last call is one to step to", (t) => {
  const { store, click } = opened(t, { call: 8 });
  for (let i = 0; i < 5; i += 1) click("Step");
  assert.equal(store.state.call, 9);
});

test("after the last call there is no other one", (t) => {
  const { store, click, said } = opened(t, { call: 9 });
  for (let i = 0; i < 5; i += 1) click("Step");
  assert.deepEqual([store.state.call, said()], [9, "call 9, then 10"]);
});

test("a call that is played goes on by itself, stops at its end, and pauses", (t) => {
  const { click, said, button, store } = opened(t);
  const later = () => t.mock.timers.tick(1500);
  click("Play the call");
  assert.equal(said(), "1. reads column 2");
  later();
  assert.equal(said(), "2. draws");
  click("Pause");
  later();
  assert.equal(said(), "2. draws");
  click("Play the call");
  for (let i = 0; i < 9; i += 1) later();
  assert.equal(said(), "4. frame 2");
  assert.ok(button("Play the call"));
  assert.equal(store.state.call, 2);
});

test("where the run goes on, the steps end", (t) => {
  const { click, said, store, clock } = opened(t);
  click("Play the call");
  store.set({ call: 5 });
  clock.frame();
  assert.equal(said(), "call 5, then 6");
  t.mock.timers.tick(9000);
  assert.equal(said(), "call 5, then 6");
});

test("a click on a box marks its rows and goes to the one that the call is in", (t) => {
  const { whole, store, clock } = opened(t);
  const pressed = (what) => whole.element.all.filter(
    ({ tag, attributes }) => tag === what && attributes["aria-pressed"] === "true",
  ).map(({ attributes }) => attributes["data-name"] ?? attributes["aria-label"].replace(/:.*/, ""));
  named(whole.element, "machine").dispatchEvent(new Event("click"));
  clock.frame();
  assert.equal(store.state.row, 4);
  assert.deepEqual(pressed("svg"), ["text", "codes", "head", "both", "machine", "grid"]); // row 4 does them all
  const sound = named(whole.element, "sound");
  assert.equal(press(sound, "Enter").taken, true);
  clock.frame();
  assert.deepEqual([store.state.row, store.state.call], [5, 2]); // it moves no call
  assert.deepEqual([pressed("svg"), pressed("button")], [["sound"], ["Row 5", "Row 6"]]);
  assert.equal(press(sound, "x").taken, false);
  named(whole.element, "both").dispatchEvent(new Event("click"));
  clock.frame();
  assert.equal(store.state.row, 4); // the second of its rows, which the call is in
});

test("a row marks its boxes, and Call is a click away", (t) => {
  const { whole, store, click, clock } = opened(t);
  const chip = whole.element.all.find(({ attributes }) => attributes["aria-label"] === "Row 1: row 1, done");
  chip.dispatchEvent(new Event("click"));
  clock.frame();
  assert.equal(store.state.row, 1);
  assert.equal(named(whole.element, "setup").attributes["aria-pressed"], "true");
  click("Show it in Call");
  assert.deepEqual([store.state.tab, store.state.pane, store.state.row], ["Call", "Call", 1]);
});

test("dots go along the arrows of a step, and not where motion is not wanted", (t) => {
  const { whole, click, clock } = opened(t);
  const dots = () => whole.element.all.filter(
    ({ attributes }) => attributes.class === "flow-dot" && attributes.visibility === "visible",
  ).length;
  click("Step");
  click("Step");
  clock.frame();
  assert.equal(dots(), 2); // from both boxes of the first stage to the head
  clock.frame(2000);
  assert.equal(dots(), 0);
  globalThis.matchMedia = () => ({ matches: true });
  click("Step");
  clock.frame();
  assert.equal(dots(), 0);
});
