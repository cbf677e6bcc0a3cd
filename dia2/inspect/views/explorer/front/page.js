// The explorer in a file of its own: the view stands in the page as base64.

import { mount } from "./main.js";

const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

async function show() {
  const root = document.getElementById("explorer");
  const parts = [...document.querySelectorAll("script[type='application/dia2view']")].map((part) => bytes(part.textContent.trim()));
  const options = JSON.parse(document.getElementById("options").textContent);
  root.dia2 = await mount(root, parts, options);
  root.focus({ preventScroll: true });
}

show().catch((error) => {
  const told = document.createElement("p");
  told.textContent = `This browser cannot show the trace: ${error.message}`;
  document.getElementById("explorer").replaceChildren(told);
});
