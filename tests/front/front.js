// What the tests see of the front end: the one place of theirs that says where it lies.

export * from "../../dia2/inspect/views/explorer/front/axis.js";
export * from "../../dia2/inspect/views/explorer/front/cells.js";
export * from "../../dia2/inspect/views/explorer/front/chances.js";
export * from "../../dia2/inspect/views/explorer/front/commands.js";
export * from "../../dia2/inspect/views/explorer/front/data.js";
export * from "../../dia2/inspect/views/explorer/front/dom.js";
export * from "../../dia2/inspect/views/explorer/front/draws.js";
export * from "../../dia2/inspect/views/explorer/front/help.js";
export * from "../../dia2/inspect/views/explorer/front/keys.js";
export * from "../../dia2/inspect/views/explorer/front/link.js";
export * from "../../dia2/inspect/views/explorer/front/moves.js";
export * from "../../dia2/inspect/views/explorer/front/over.js";
export * from "../../dia2/inspect/views/explorer/front/player.js";
export * from "../../dia2/inspect/views/explorer/front/sampler.js";
export * from "../../dia2/inspect/views/explorer/front/shells.js";
export * from "../../dia2/inspect/views/explorer/front/signals.js";
export * from "../../dia2/inspect/views/explorer/front/soundtrack.js";
export * from "../../dia2/inspect/views/explorer/front/store.js";
export * from "../../dia2/inspect/views/explorer/front/unpack.js";
export * from "../../dia2/inspect/views/explorer/front/verdict.js";
export * from "../../dia2/inspect/views/explorer/front/views.js";
export * from "../../dia2/inspect/views/explorer/front/why.js";
export * from "../../dia2/inspect/views/explorer/front/voices.js";
