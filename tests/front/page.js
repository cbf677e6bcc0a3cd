// As much of a page as the tests need: elements that listen, frames that come when a test says so, one sound.

/** An element: its attributes, its children, and what it listens to. */
export class FakeElement extends EventTarget {
  constructor(tag) {
    super();
    Object.assign(this, { tag, children: [], attributes: {}, style: { setProperty() {} }, dataset: {}, open: false });
    const classes = new Set();
    this.classList = {
      contains: (name) => classes.has(name),
      add: (name) => classes.add(name),
      remove: (name) => classes.delete(name),
      toggle: (name, on) => classes[on ? "add" : "delete"](name),
    };
  }

  get childNodes() {
    return this.children;
  }

  append(...children) {
    this.children.push(...children);
    for (const child of children) if (child instanceof FakeElement) child.parentElement = this;
  }

  replaceChildren(...children) {
    this.children = [];
    this.append(...children);
  }

  contains(element) {
    return this.all.includes(element);
  }

  focus() {
    globalThis.document.activeElement = this;
  }

  get firstChild() {
    return this.children[0] ?? null;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  getAttribute(name) {
    return this.attributes[name] ?? null;
  }

  removeAttribute(name) {
    delete this.attributes[name];
  }

  toggleAttribute(name, there) {
    if (there) this.attributes[name] = "";
    else delete this.attributes[name];
  }

  /** Simple selectors alone: `tag`, `tag[type=kind]`, `:fullscreen`, and lists of them. */
  matches(selectors) {
    if (selectors === ":fullscreen") return this.full ?? false;
    return selectors.split(", ").some((selector) => {
      const [, tag, type] = /^(\w+)(?:\[type=(\w+)\])?$/.exec(selector) ?? [];
      return tag === this.tag && (type === undefined || type === this.attributes.type);
    });
  }

  /** None of the tests has an explorer around it. */
  closest() {
    return null;
  }

  getContext() {
    return {};
  }

  get textContent() {
    return this.children.map((child) => (typeof child === "string" ? child : child.textContent)).join("");
  }

  set textContent(text) {
    this.children = [text];
  }

  /** This element, and all in it. */
  get all() {
    return [this, ...this.children.flatMap((child) => child.all ?? [])];
  }

  getRootNode() {
    return globalThis.document;
  }

  select() {
    this.selected = true;
  }

  setSelectionRange(from, to) {
    Object.assign(this, { selectionStart: from, selectionEnd: to });
  }

  remove() {
    this.removed = true;
  }

  showModal() {
    this.open = true;
  }

  close() {
    this.open = false;
  }
}

/** A sound of some seconds, which a browser would not play before a click if `refused`. */
export class FakeAudio extends FakeElement {
  constructor() {
    super("audio");
    Object.assign(this, { paused: true, ended: false, currentTime: 0, playbackRate: 1, refused: false, asked: 0 });
  }

  /** Another source begins at its beginning. */
  set src(url) {
    this.source = url;
    this.currentTime = 0;
  }

  async play() {
    this.asked += 1;
    if (this.refused) throw new Error("a click first");
    this.paused = false;
  }

  pause() {
    this.paused = true;
  }
}

/** A new page for a test, of what node lacks; the time stands still between its frames. */
export function page(t) {
  const frames = [];
  let now = 0;
  Object.assign(globalThis, {
    document: {
      createElement: (tag) => (tag === "audio" ? new FakeAudio() : new FakeElement(tag)),
      createElementNS: (_, tag) => new FakeElement(tag),
      execCommand: () => false,
    },
    matchMedia: () => ({ matches: false }),
    ResizeObserver: class {
      observe() {}
      disconnect() {}
    },
    window: new EventTarget(),
    Element: FakeElement,
    HTMLElement: FakeElement,
    requestAnimationFrame: (draw) => frames.push(draw),
  });
  t.mock.method(performance, "now", () => now);
  return {
    /** The next frame of the screen, some milliseconds later. */
    frame(milliseconds = 100) {
      now += milliseconds;
      for (const draw of frames.splice(0)) draw(now);
    },
    /** Frames that are asked for. */
    get waiting() {
      return frames.length;
    },
  };
}

/** Press a key: on `target`, as the window hears it and then `root`. */
export function press(root, key, { target = root, kind = "keydown", ...modifiers } = {}) {
  const event = new Event(kind, { cancelable: true });
  Object.assign(event, { key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...modifiers });
  event.composedPath = () => [target, root];
  let stopped = false;
  event.stopPropagation = () => {
    stopped = true;
  };
  globalThis.window.dispatchEvent(event);
  root.dispatchEvent(event);
  return { taken: event.defaultPrevented, kept: stopped };
}
