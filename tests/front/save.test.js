import assert from "node:assert/strict";
import { test } from "node:test";

import { Status, save, saving } from "./front.js";
import { FakeElement, page } from "./page.js";
import { looked, run } from "./run.js";

/** A page in a frame with such attributes, or one that is seen from elsewhere only, or by itself. */
function framed(t, frame) {
  page(t);
  const { window } = globalThis;
  window.parent = frame === undefined ? window : {};
  window.frameElement = frame ? Object.assign(new FakeElement("iframe"), { attributes: frame }) : null;
}

/** An explorer whose links are clicked, and which of them were. */
function clicking(t) {
  const root = new FakeElement("main");
  const clicked = [];
  root.append = (link) => {
    link.click = () => clicked.push({ ...link.attributes });
    link.remove = () => {};
  };
  t.mock.method(URL, "createObjectURL", () => "blob:x");
  t.mock.timers.enable({ apis: ["setTimeout"] });
  return { root, clicked };
}

test("whether files may be saved is known of a page by itself and of its own frames", (t) => {
  framed(t);
  assert.equal(saving(), "yes");
  framed(t, {});
  assert.equal(saving(), "yes");
  framed(t, { sandbox: "allow-scripts allow-downloads" });
  assert.equal(saving(), "yes");
  framed(t, { sandbox: "allow-scripts allow-same-origin" });
  assert.equal(saving(), "no");
  framed(t, null);
  assert.equal(saving(), "unknown");
});

test("a file is saved by a link, and what became of it is told", (t) => {
  framed(t);
  const { root, clicked } = clicking(t);
  assert.equal(save(root, "a.csv", new Blob(["x".repeat(2500)])), "Saved a.csv, 2.5 kB");
  assert.deepEqual(clicked, [{ href: "blob:x", download: "a.csv", hidden: "" }]);
  assert.equal(save(root, "a.wav", new Blob(["x".repeat(250_000)])), "Saved a.wav, 0.3 MB");
});

test("a frame that forbids it is told of, or that it may", (t) => {
  const { root, clicked } = clicking(t);
  framed(t, { sandbox: "allow-scripts" });
  assert.match(save(root, "a.csv", new Blob(["x"])), /^Not saved: the frame .* forbids it/);
  assert.deepEqual(clicked, []);
  framed(t, null);
  assert.match(save(root, "a.csv", new Blob(["x"])), /^Saved a\.csv, 0\.0 kB; if no file comes, its frame forbids it/);
  assert.equal(clicked.length, 1);
});

test("what became of a command stays for some seconds, whatever the pointer is on and the run does", (t) => {
  page(t);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { views, store } = looked([run()], { notes: [{ call: 3, text: "odd", kept: true }] });
  const status = new Status(views, null);
  status.element.classList = { toggle() {}, remove() {} };
  const said = () => status.line.textContent;
  status.tell("Saved a.csv");
  status.point("call 7");
  status.draw({ ...store.state, call: 3 });
  assert.equal(said(), "Saved a.csv");
  assert.equal(status.line.attributes["aria-live"], "polite");
  t.mock.timers.tick(6000);
  assert.deepEqual([said(), status.line.attributes["aria-live"]], ["call 7", "off"]);
  status.point("");
  assert.equal(said(), "Note: odd");
  status.draw({ ...store.state, call: 4 });
  assert.equal(said(), "Saved a.csv"); // there is nothing newer
});
