// What the modules of the explorer of sweeps pass each other.

import type { Columns } from "../../explorer/front/types.d.ts";

/** One thing that is known of each run; see gathered.py. */
export interface RunColumn {
  name: string;
  role: "setting" | "measure" | "about";
  kind: "number" | "flag" | "text";
  whole: boolean;
  /** How many values it has. */
  distinct: number;
  /** Of a text: the values, in order; a run has the place of one of them. */
  texts: string[] | null;
  /** Its name among the packed columns. */
  column: string;
}

export interface PartingHeader {
  script: string;
  /** Runs of the script, of which some are compared. */
  of: number;
  /** What runs part in. */
  parts: string[];
  column: string;
}

export interface SweepHeader {
  name: string;
  ids: string[];
  columns: RunColumn[];
  /** Names of the measures that tell most. */
  main: string[];
  partings: PartingHeader[];
  /** Scripts that have runs to compare; some have no map. */
  scripts: number;
  /** About what is not there. */
  told: string[];
  /** Runs whose sounds are in the page; null: each is asked for. */
  sounds: number[] | null;
  mime: string;
  pages: [run: number, address: string][];
  /** Makes a run's page; its id stands between these. */
  command: string[];
}

export interface PackedSweep {
  header: SweepHeader;
  columns: Columns;
}

export type View = "Table" | "Charts" | "Partings";

/** What is looked at. */
export interface Looked {
  view: View;
  /** The run at the right; null: none. */
  run: number | null;
  /** The place of the column that sorts the table; −1: the order of the settings. */
  sort: number;
  falling: boolean;
  /** As it was written. */
  query: string;
  /** The value that is chosen of a setting, by the place of its column. */
  chosen: Map<number, number>;
  /** Runs that the filters leave, in the order of the table. */
  rows: number[];
  chart: Chart;
  /** Which script's runs the map shows. */
  map: number;
  playing: number | null;
  pane: "Runs" | "Run";
  theme: string;
}

/** Places of columns; −1: none. */
export interface Chart {
  measure: number;
  x: number;
  by: number;
  panel: number;
}

/** A part of the page: its element, and what draws it anew. */
export interface Piece {
  element: HTMLElement;
  draw(looked: Looked): void;
}

/** What a page can do with a run. */
export interface Hands {
  /** The sound of a run; null: it cannot be heard at all. */
  sound: ((run: number) => Promise<Uint8Array<ArrayBuffer>>) | null;
  /** Shows the run's explorer; null: it has a page, or a command makes it. */
  open: ((run: number) => Promise<void>) | null;
}

/** A scale: where values stand on it, from 0 to 1. */
export interface Scale {
  at(value: number): number;
  ticks: { at: number; text: string }[];
  /** Values stand apart from each other, in places of this share of it; 0: anywhere. */
  step: number;
}

export interface Dot {
  run: number;
  x: number;
  y: number;
}

export interface Mean {
  x: number;
  mean: number;
  count: number;
}

export interface Series {
  name: string;
  dots: Dot[];
  means: Mean[];
}

export interface PanelOf {
  name: string;
  series: Series[];
}

export interface Grouped {
  panels: PanelOf[];
  /** All series by name, in the order of their colours. */
  names: string[];
  x: Scale;
  y: Scale;
  /** What is not shown, as a sentence. */
  told: string;
}

/** A test of a run. */
export type Test = (run: number) => boolean;

export interface SweepTraits {
  _view: DataView<ArrayBuffer>;
  _cell: string;
}

export type Question = { kind: "hear" | "open"; run: number };

export interface Answer {
  kind: string;
  run: number | null;
  error?: string;
}

type Answered = (answer: Answer, buffers: DataView<ArrayBuffer>[]) => void;

export interface SweepModel {
  get<Name extends keyof SweepTraits>(name: Name): SweepTraits[Name];
  on(name: "msg:custom", listen: Answered): void;
  on(name: "change:_view", listen: () => void): void;
  off(name: "msg:custom", listen: Answered): void;
  send(question: Question): void;
}

export interface MountedSweep {
  board: import("./board.js").Board;
  runs: import("./runs.js").Runs;
  destroy(): void;
}

export type SweepRoot = HTMLElement & { dia2?: MountedSweep };
