// The explorer in a notebook: anywidget's two functions.

import { Data, unpack } from "./data.js";
import { mount, mountViews } from "./main.js";

const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** Ask the kernel for a sound, once per choice of codebooks. */
function asker(model) {
  const heard = new Map();
  return (books) => {
    const key = books.join(" ");
    if (!heard.has(key)) {
      const answer = new Promise((resolve, reject) => {
        const listen = (message, buffers) => {
          if (message.kind !== "sound" || message.key !== key) return;
          model.off("msg:custom", listen);
          if (message.error) reject(new Error(message.error));
          else resolve(bytesOf(buffers[0]));
        };
        model.on("msg:custom", listen);
      });
      answer.catch(() => heard.delete(key));
      heard.set(key, answer);
      model.send({ kind: "hear", key, books });
    }
    return heard.get(key);
  };
}

async function render({ model, el }) {
  const root = document.createElement("div");
  el.append(root);
  let shown = null; // what stands on the page
  let live = null; // the data of a run that goes on
  let pieces = 0; // of it that are in the data

  const replace = (next) => {
    shown?.destroy();
    shown = next;
    root.dia2 = shown; // for tests and the curious: the state that is drawn
  };
  const show = async () => {
    const call = shown?.store.state.call ?? model.get("call");
    const options = { difference: model.get("_difference") ?? undefined, call };
    if (model.get("_can_decode")) options.ask = asker(model);
    replace(await mount(root, model.get("_views").map(bytesOf), options));
  };
  const grow = async () => {
    const there = model.get("_pieces");
    if (!there.length) return; // the run is over
    const before = live?.calls ?? 0;
    for (; pieces < there.length; pieces += 1) {
      const piece = await unpack(bytesOf(there[pieces]));
      if (live) live.append(piece);
      else live = new Data(piece.header, piece.columns);
    }
    if (!live.calls) root.textContent = "The run begins …";
    else if (!shown) replace(mountViews(root, [live], { call: live.calls - 1 }));
    else {
      const follows = shown.store.state.call === before - 1; // who looks at the last call goes along
      shown.store.set({ calls: live.calls, ...(follows ? { call: live.calls - 1, row: shown.store.state.row } : {}) });
    }
  };
  let last = Promise.resolve(); // one change after another
  const soon = (change) => () => (last = last.then(change));
  model.on("change:_pieces", soon(grow));
  model.on("change:_views", soon(show));
  model.on("change:call", () => shown?.store.set({ call: shown.store.clamp(model.get("call")), row: null }));
  if (model.get("_views").length) soon(show)();
  else {
    root.textContent = "Waiting for a run …";
    soon(grow)();
  }
  await last;
  return () => shown?.destroy();
}

export default { render };
