// The explorer of a sweep in a file of its own: the runs stand in the page as base64.

import { mountSweep } from "./sweep.js";

/** @import { SweepRoot } from "./types.d.ts" */

async function showSweep() {
  const root = /** @type {SweepRoot | null} */ (document.getElementById("explorer"));
  const packed = document.querySelector("script[type='application/dia2view']");
  if (!root || !packed) throw new Error("the page is not whole");
  root.dataset.dia2Explorer = "";
  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (character) => character.charCodeAt(0));
  root.dia2 = await mountSweep(root, bytes, { sound: null, open: null });
  root.focus({ preventScroll: true });
}

showSweep().catch((error) => {
  const told = document.createElement("p");
  told.textContent = `This browser cannot show the sweep: ${error.message}`;
  document.getElementById("explorer")?.replaceChildren(told);
});
