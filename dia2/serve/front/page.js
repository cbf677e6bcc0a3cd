// The server's page: a script is written, spoken and looked into.

import serve from "/explorer.js";

const RATE = 24_000; // Hz of all Dia2 checkpoints; the server says otherwise in /v1/models
const LEAD = 0.12; // seconds that a piece is played after it came, so that the next one is there in time
const TAG = /\[S([12])\]/g;
const TOKEN = "dia2-token";

/**
 * @typedef {{ id: string, input: string, created: number, over: boolean }} Run
 * @typedef {{ spelling: string, message: string }} Note
 */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`The page has no ${id}.`);
  return element;
}

/** @type {(name: string, props: Record<string, string>, ...children: (Node | string)[]) => HTMLElement} */
function h(name, props, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const script = byId("script", HTMLTextAreaElement);
const marks = byId("marks", HTMLElement);
const status = byId("status", HTMLElement);
const go = byId("go", HTMLButtonElement);
const stop = byId("stop", HTMLButtonElement);
const root = byId("explorer", HTMLElement);
const explorer = serve(root);
/** @type {Note[]} */
let notes = [];
const MOST = 4096; // characters
let shown = ""; // id of the run in the explorer

// Requests

/**
 * Ask the server; one that wants a token is given it.
 *
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function ask(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    await askForToken();
    return ask(path, options);
  }
  if (!answer.ok) throw new Error(await messageOf(answer));
  return answer;
}

/** @type {(answer: Response) => Promise<string>} */
async function messageOf(answer) {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `The server answers ${answer.status}.`;
  }
}

/** @returns {Promise<void>} */
function askForToken() {
  const dialog = byId("token", HTMLDialogElement);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(TOKEN, byId("token-value", HTMLInputElement).value);
      resolve();
    }, { once: true });
  });
}

/** @type {(path: string, body: object, signal?: AbortSignal) => Promise<Response>} */
function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body), ...(signal ? { signal } : {}) });
}

// The editor

/** Draw the script behind the text field, its turns in their speakers' colours. */
function draw() {
  const text = script.value;
  const parts = [];
  let speaker = "1";
  let from = 0;
  for (const found of [...text.matchAll(TAG), null]) {
    const to = found?.index ?? text.length;
    if (to > from) parts.push(h("span", { class: `turn${speaker}` }, ...marked(text.slice(from, to))));
    if (!found) break;
    speaker = found[1];
    parts.push(h("span", { class: `s${speaker}` }, found[0]));
    from = to + found[0].length;
  }
  marks.replaceChildren(...parts, "\n");
  marks.scrollTop = script.scrollTop;
  const count = byId("count", HTMLElement);
  count.textContent = `${text.length} of ${MOST}`;
  count.classList.toggle("over", text.length > MOST);
}

/** @type {(text: string) => (Node | string)[]} */
function marked(text) {
  /** @type {(Node | string)[]} */
  let parts = [text];
  for (const { spelling } of notes) {
    parts = parts.flatMap((part) => (typeof part === "string" ? around(part, spelling) : [part]));
  }
  return parts;
}

/** @type {(text: string, spelling: string) => (Node | string)[]} */
function around(text, spelling) {
  const [first, ...rest] = text.split(spelling);
  return [first, ...rest.flatMap((part) => [h("span", { class: "doubtful" }, spelling), part])];
}

let due = 0;
/** Ask about the script once nobody has typed for a moment. */
function checkSoon() {
  clearTimeout(due);
  due = setTimeout(check, 400);
}

async function check() {
  if (!script.value.trim() || script.value.length > MOST) return;
  const text = script.value;
  const found = await (await post("/v1/script", { input: text })).json();
  if (text !== script.value) return; // it is asked about again
  notes = found.notes;
  const told = [...(found.error ? [found.error] : []), ...notes.map(({ message }) => message)];
  byId("notes", HTMLElement).replaceChildren(...told.map((message) => h("li", {}, message)));
  draw();
}

script.addEventListener("input", () => {
  draw();
  checkSoon();
});
script.addEventListener("scroll", () => {
  marks.scrollTop = script.scrollTop;
});
new ResizeObserver(() => {
  marks.style.height = `${script.offsetHeight}px`;
}).observe(script);
for (const button of document.querySelectorAll("[data-insert]")) {
  button.addEventListener("click", () => {
    script.setRangeText(button.getAttribute("data-insert") ?? "", script.selectionStart, script.selectionEnd, "end");
    script.focus();
    draw();
    checkSoon();
  });
}

// Speaking

/** Plays samples that come piece by piece. */
class Speaker {
  constructor() {
    this.context = new AudioContext({ sampleRate: RATE });
    this.until = 0; // of the context's clock
    this.odd = new Uint8Array(0); // half of a sample
  }

  /** @param {Uint8Array} bytes 16-bit samples */
  feed(bytes) {
    const joined = new Uint8Array(this.odd.length + bytes.length);
    joined.set(this.odd);
    joined.set(bytes, this.odd.length);
    const whole = joined.length & ~1;
    this.odd = joined.slice(whole);
    const samples = Float32Array.from(new Int16Array(joined.buffer, 0, whole / 2), (value) => value / 32768);
    if (!samples.length) return;
    const buffer = this.context.createBuffer(1, samples.length, RATE);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.context.destination);
    const at = Math.max(this.until, this.context.currentTime + (this.until ? 0 : LEAD));
    source.start(at);
    this.until = at + buffer.duration;
  }

  /** All that was given has been heard. */
  async end() {
    const left = Math.max(0, this.until - this.context.currentTime);
    await new Promise((resolve) => { setTimeout(resolve, 1000 * left); });
    await this.context.close();
  }

  stop() {
    if (this.context.state !== "closed") this.context.close();
  }
}

/** @type {AbortController | null} */
let speaking = null;

/** @type {(text: string, wrong?: boolean, where?: HTMLElement) => void} */
function tell(text, wrong = false, where = status) {
  where.textContent = text;
  where.classList.toggle("wrong", wrong);
}

/** What is asked for, as the form says. */
function asked() {
  /** @type {Record<string, string | number | boolean>} */
  const body = {
    model: byId("model", HTMLElement).textContent ?? "",
    input: script.value,
    voice: byId("voice", HTMLSelectElement).value,
    response_format: "pcm",
    trace: true,
  };
  for (const name of ["seed", "cfg_scale", "temperature", "top_k"]) {
    const { value } = byId(name, HTMLInputElement);
    if (value.trim()) body[name] = Number(value);
  }
  return body;
}

async function speak() {
  const leave = new AbortController();
  const speaker = new Speaker();
  speaking = leave;
  leave.signal.addEventListener("abort", () => speaker.stop());
  go.disabled = true;
  stop.disabled = false;
  const began = performance.now();
  tell("Waiting …");
  try {
    const answer = await post("/v1/audio/speech", asked(), leave.signal);
    const run = answer.headers.get("X-Dia2-Run") ?? "";
    look(run);
    const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
    let heard = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (!heard) tell(`First sound after ${((performance.now() - began) / 1000).toFixed(2)} s`);
      heard += part.value.length / 2 / RATE;
      speaker.feed(part.value);
    }
    const took = (performance.now() - began) / 1000;
    tell(`${heard.toFixed(1)} s of sound in ${took.toFixed(1)} s`);
    list();
    await speaker.end();
  } catch (error) {
    speaker.stop();
    if (leave.signal.aborted) tell("Stopped.");
    else tell(error instanceof Error ? error.message : String(error), true);
  } finally {
    speaking = null;
    go.disabled = false;
    stop.disabled = true;
    list();
  }
}

byId("speak", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  if (!speaking) speak();
});
stop.addEventListener("click", () => speaking?.abort());
script.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !speaking) speak();
});

// Voices

/** List the voices there are, one of them chosen. @param {string} [chosen] */
async function listVoices(chosen) {
  const { data } = await (await ask("/v1/audio/voices")).json();
  const names = data.map((/** @type {{ id: string }} */ voice) => voice.id);
  const select = byId("voice", HTMLSelectElement);
  select.replaceChildren(...names.map((/** @type {string} */ name) => h("option", {}, name)));
  if (chosen) select.value = chosen;
}

async function addVoice() {
  const added = byId("added", HTMLElement);
  const send = byId("send", HTMLButtonElement);
  const name = byId("name", HTMLInputElement).value;
  const [file] = byId("file", HTMLInputElement).files ?? [];
  const form = new FormData();
  form.set("name", name);
  form.set("file", file);
  send.disabled = true;
  tell("Listening to it …", false, added);
  byId("findings", HTMLElement).replaceChildren();
  try {
    const { findings } = await (await ask("/v1/audio/voices", { method: "POST", body: form })).json();
    const told = findings.map((/** @type {{ message: string, fix: string }} */ found) =>
      h("li", {}, `${found.message} → ${found.fix}`));
    byId("findings", HTMLElement).replaceChildren(...told);
    await listVoices(name);
    tell(`${name} is ready.`, false, added);
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error), true, added);
  } finally {
    send.disabled = false;
  }
}

byId("add", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  addVoice();
});

// Runs

/** Show a run in the explorer, while it goes on, too. @param {string} run */
async function look(run) {
  if (!run || run === shown) return;
  shown = run;
  explorer.close();
  root.replaceChildren(h("p", { class: "empty" }, "The run begins …"));
  const answer = await ask(`/v1/runs/${run}/view`);
  const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (answer.body).getReader();
  let left = new Uint8Array(0);
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (isOther(run)) {
      reader.cancel();
      break;
    }
    const joined = new Uint8Array(left.length + part.value.length);
    joined.set(left);
    joined.set(part.value, left.length);
    left = joined;
    while (left.length >= 5) {
      const size = new DataView(left.buffer, left.byteOffset).getUint32(1, true);
      if (left.length < 5 + size) break;
      const content = left.slice(5, 5 + size);
      const kind = String.fromCharCode(left[0]);
      left = left.slice(5 + size);
      if (kind === "p") await explorer.add(content);
      else if (kind === "v") await explorer.finish(content);
      else root.replaceChildren(h("p", { class: "empty" }, new TextDecoder().decode(content)));
    }
  }
  list();
}

/** Whether the explorer shows another run by now. @param {string} run */
function isOther(run) {
  return shown !== run;
}

/** @type {(run: string, file: string) => Promise<void>} */
async function save(run, file) {
  const blob = await (await ask(`/v1/runs/${run}/${file}`)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = file === "trace.zip" ? "run.dia2trace.zip" : `speech.${file.split(".")[1]}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

const FILES = { "sound.flac": "sound", "subtitles.srt": "subtitles", "trace.zip": "trace" };

/** List the runs there are, the latest first. */
async function list() {
  const { data } = await (await ask("/v1/runs")).json();
  byId("runs", HTMLElement).replaceChildren(...data.map((/** @type {Run} */ run) => {
    const name = run.input || `recorded ${new Date(1000 * run.created).toLocaleString()}`;
    const current = { "aria-current": String(run.id === shown) };
    const open = h("button", { type: "button", class: "open", title: name, ...current }, name);
    open.addEventListener("click", () => look(run.id));
    const files = Object.entries(FILES).map(([file, label]) => {
      const button = h("button", { type: "button" }, label);
      button.addEventListener("click", () => save(run.id, file).catch((error) => tell(error.message, true)));
      return button;
    });
    return h("li", {}, open, h("div", { class: "files" }, ...(run.over ? files : ["being spoken …"])));
  }));
}

async function begin() {
  const { data } = await (await ask("/v1/models")).json();
  byId("model", HTMLElement).textContent = data[0].id;
  draw();
  await Promise.all([listVoices(), check(), list()]);
}

begin().catch((error) => tell(error.message, true));
