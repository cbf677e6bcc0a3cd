// Lists to choose from, by keyboard too: a setting's values, and the axes of a chart.

import { h } from "../../explorer/front/dom.js";

/**
 * A list with its name before it.
 *
 * @param {string} name
 * @param {string[]} texts
 * @param {(index: number) => void} choose
 */
export function choiceOf(name, texts, choose) {
  /** @type {HTMLSelectElement} */
  const select = h(
    "select",
    { "aria-label": name, onchange: () => choose(select.selectedIndex) },
    texts.map((text) => h("option", {}, text)),
  );
  const element = h("label", { class: "choice" }, h("span", {}, name), select);
  /** @param {number} index */
  const show = (index) => {
    if (select.selectedIndex !== index) select.selectedIndex = index;
    element.classList.toggle("set", index > 0);
  };
  return { element, show };
}
