// Sweeps to test with: six runs of two settings, unless a test says otherwise.

import { Runs } from "./front.js";

const COLUMNS = [
  { name: "status", role: "about", kind: "text", texts: ["done", "failed"], values: [0, 0, 0, 0, 0, 1] },
  { name: "cfg_scale", role: "setting", kind: "number", values: [1, 1, 2, 2, 3, 3], whole: true },
  { name: "seed", role: "setting", kind: "number", values: [1, 2, 1, 2, 1, 2], whole: true },
  { name: "words", role: "measure", kind: "number", values: [4, 6, 5, 9, -8.25, NaN] },
  { name: "cut", role: "measure", kind: "flag", values: [0, 1, 0, 0, 1, NaN] },
  { name: "error", role: "about", kind: "text", texts: ["It died."], values: [-1, -1, -1, -1, -1, 0] },
];

export function sweepOf(columns = COLUMNS, header = {}, packed = {}) {
  const count = columns[0]?.values.length ?? 0;
  const arrays = Object.create(null);
  arrays.trace = Uint8Array.from({ length: count }, () => 1);
  const shown = columns.map(({ values, ...column }, place) => {
    arrays[`column_${place}`] = Float64Array.from(values);
    const distinct = new Set(values.filter((value) => !Number.isNaN(value) && value >= 0)).size;
    return { whole: false, texts: null, distinct, column: `column_${place}`, ...column };
  });
  const ids = Array.from({ length: count }, (_, run) => `id${run}`);
  const whole = {
    name: "runs", ids, columns: shown, partings: [], scripts: 0,
    main: ["cut"], told: [], sounds: [], mime: "audio/mpeg", pages: [],
    command: ["dia2 trace html runs/traces/", ".dia2trace -o runs/traces/", ".html"],
  };
  return new Runs({ header: { ...whole, ...header }, columns: Object.assign(arrays, packed) });
}
