// A button with a list of commands below it.

import { h, say } from "./dom.js";
import { keyName } from "./commands.js";

/** @import { Command } from "./types.d.ts" */

/**
 * @param {string} label
 * @param {{ title: () => string, commands: Command[] }[]} groups what each is about, said anew when it is opened
 * @param {AbortSignal} signal until which it lives
 */
export function menu(label, groups, signal) {
  const toggle = () => (list.hidden ? open() : close(true));
  const button = h("button", { type: "button", "aria-expanded": "false", onclick: toggle }, label, " ▾");
  const parts = groups.map(({ title, commands }) => ({ title, at: h("small", {}), items: commands.map(itemOf) }));
  const content = parts.flatMap(({ at, items }) => [at, ...items.map(({ item }) => item)]);
  const list = h("div", { class: "menu-list", role: "group", "aria-label": label, hidden: true }, content);
  const element = h("span", { class: "menu" }, button, list);
  const buttons = () => parts.flatMap(({ items }) => items.map(({ item }) => item)).filter(({ disabled }) => !disabled);

  /** @param {Command} command */
  function itemOf(command) {
    const { name, keys, run } = command;
    const why = h("small", {});
    const start = () => {
      close(true);
      run();
    };
    const key = keys.length ? h("kbd", {}, keyName(keys[0])) : null;
    const item = h("button", { type: "button", onclick: start }, h("span", {}, name, why), key);
    return { command, item, why };
  }

  function open() {
    for (const { title, at, items } of parts) {
      say(at, title());
      for (const { command, item, why } of items) {
        const reason = command.why?.() ?? "";
        say(why, reason);
        item.disabled = Boolean(reason) || !(command.when?.() ?? true);
      }
    }
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    buttons()[0]?.focus();
  }

  /** @param {boolean} back the focus goes to the button */
  function close(back) {
    if (list.hidden) return;
    list.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (back) button.focus();
  }

  element.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (list.hidden || (!step && event.key !== "Escape")) return;
    event.preventDefault();
    event.stopPropagation(); // of the list, not of the run
    if (!step) {
      close(true);
      return;
    }
    const there = buttons();
    const at = there.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    there[(at + step + there.length) % there.length]?.focus();
  });
  const leave = (/** @type {Event} */ event) => {
    if (!event.composedPath().includes(element)) close(false);
  };
  document.addEventListener("pointerdown", leave, { signal });
  document.addEventListener("focusin", leave, { signal });
  return element;
}
