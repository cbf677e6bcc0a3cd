// The explorer in a notebook: anywidget's two functions.

import { mount } from "./main.js";

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
  let shown = null;
  const show = async () => {
    const call = shown?.store.state.call;
    shown?.destroy();
    shown = await mount(root, model.get("_views").map(bytesOf), {
      difference: model.get("_difference") ?? undefined,
      ask: model.get("_can_decode") ? asker(model) : undefined,
      call: call ?? model.get("call"),
    });
    root.dia2 = shown; // for tests and the curious: the state that is drawn
  };
  await show();
  model.on("change:_views", show);
  model.on("change:call", () => shown.store.set({ call: model.get("call") }));
  return () => shown?.destroy();
}

export default { render };
