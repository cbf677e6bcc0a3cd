// Ways to get from one call to another, for buttons, keys and the search box alike.

export class Moves {
  constructor(views, store) {
    this.views = views;
    this.store = store;
  }

  to(call) {
    this.store.set({ call: this.views.clamp(call), row: null });
  }

  by(calls) {
    this.to(this.store.state.call + calls);
  }

  /** To the next or the last word taken. */
  word(direction) {
    const { call } = this.store.state;
    const words = this.views.spoken;
    const found = direction > 0 ? words.find((word) => word.call > call) : words.findLast((word) => word.call < call);
    if (found) this.to(found.call);
  }

  /** Words that hold a text, in the order of their calls. */
  search(text) {
    const wanted = text.trim().toLowerCase();
    return wanted ? this.views.spoken.filter((word) => word.text.toLowerCase().includes(wanted)) : [];
  }

  /** Another draw of the same call. */
  draw(direction) {
    const last = Math.max(0, this.views.all[0].header.draws.length - 1);
    this.store.set({ draw: Math.max(0, Math.min(last, this.store.state.draw + direction)), cell: null });
  }

  /** See more calls, or fewer. */
  zoom(factor) {
    const { places } = this.views;
    const span = Math.max(Math.min(20, places), Math.min(places, this.store.state.span * factor));
    const { call, first, span: old } = this.store.state;
    const at = (call - first) / old; // what is looked at stays where it is
    this.store.set({ span, first: Math.max(0, Math.min(places - span, call - at * span)) });
  }
}
