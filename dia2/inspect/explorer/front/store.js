// What is looked at: one state, and everybody who draws it. Changes are drawn together, once a frame of the screen.

export class Store {
  constructor(initial) {
    this.state = initial;
    this.drawn = [];
    this.waiting = false;
    this.frames = 0; // drawn so far
  }

  /** Draw on every change. */
  subscribe(draw) {
    this.drawn.push(draw);
  }

  set(change) {
    const next = { ...this.state, ...change };
    if (Object.keys(change).every((name) => Object.is(this.state[name], next[name]))) return;
    this.state = next;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.waiting = false;
    this.frames += 1;
    for (const draw of this.drawn) draw(this.state);
  }
}
