// The types that modules share: what the Python side writes, and what passes between the panes. For the type checker
// alone: this file is neither joined with the modules nor shipped.

import type { Data } from "./data.js";
import type { Notebook } from "./notes.js";
import type { Player } from "./player.js";
import type { Sheet } from "./sheet.js";
import type { Store } from "./store.js";

declare global {
  interface WindowEventMap {
    "dia2-plays": CustomEvent<Player>;
  }
}

// What is drawn with

/** A colour by what it means; `style.css` has its values. */
export type Colour =
  | "ink" | "faint" | "line" | "edge" | "soft" | "empty" | "now" | "frame" | "s1" | "s2" | "pale_1" | "pale_2"
  | "given_1" | "given_2" | "word" | "over" | "back" | "differ" | "go" | "ok" | "ok_pale" | "warn" | "warn_pale"
  | "select";

export type Palette = Record<Colour, string> & {
  /** [64] from the least to the most. */
  heat: Rgb[];
  /** The same for CSS. */
  heat_css: string[];
};

export type Rgb = [red: number, green: number, blue: number];

// Elements

export type Child = Node | string | null | undefined;
export type Children = (Child | Child[])[];

type Attribute = string | number | boolean | null | undefined;
type Listeners = { [Type in keyof HTMLElementEventMap as `on${Type}`]?: (event: HTMLElementEventMap[Type]) => void };

/** Attributes and listeners. ARIA wants its true and false as texts: an attribute without a value is neither. */
export type Props = { [Name in `aria-${string}`]?: string | undefined } & { class?: string | undefined } & Listeners &
  { [Name in PlainAttribute]?: Attribute };

type PlainAttribute =
  | "dir" | "disabled" | "download" | "hidden" | "href" | "max" | "maxlength" | "min" | "placeholder" | "preload" | "readonly" | "role" | "rows" | "scope" | "selected" | "step"
  | "tabindex" | "title" | "type" | "value";

/** A part of the page: its element, and what draws it anew. */
export interface Part {
  element: HTMLElement;
  draw(state: State): void;
}

// The packed view: see pack.py

export type TypedArray =
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>;

export interface ArrayConstructor {
  new (buffer: ArrayBuffer, at: number, count: number): TypedArray;
  new (count: number): TypedArray;
}

export type Dtype = "int8" | "uint8" | "int16" | "uint16" | "int32" | "float32" | "float64";

/** [calls, …], but for `grid…` [columns, codebooks], `peaks…` [n, 2], queues [tokens, 3] and sounds [bytes]. */
export type Column = TypedArray & { shape: number[] };

/** By their names; which ones there are depends on the model, and on what was recorded and not redacted. */
export type Columns = Partial<Record<string, Column>>;

export interface Packed<H = Header> {
  header: H;
  columns: Columns;
}

// The header: see schema.py

export interface Header {
  name: string;
  state: string;
  complete: boolean;
  live?: boolean;
  facts: string[];
  calls: number;
  /** Columns of one number a call; see view.py. */
  by_call: string[];
  /** Calls that are seen at first. */
  span: number;
  /** `sound`: said where the sound of what is given is not there. */
  given: { calls: number; why: string; sound?: string };
  clock: Clock | null;
  /** Of the sound; null without one. */
  seconds: number | null;
  /** Hz. */
  sound_rate?: number;
  peak_rate: number;
  sampling: SamplingFrom[];
  titles: { rows: string; grid: string; state: string; script?: string };
  where: string;
  readouts: Readout[];
  tracks: Track[];
  /** Names of values, by their column. */
  names?: Record<string, Record<number, string>>;
  /** Ids in the text streams. */
  tokens?: { pad: number; new_word: number };
  grid: GridFacts;
  caches: Cache[];
  /** The picture of a call, see view_pipeline.py; null where the family declares none. */
  pipeline?: PipelineFacts | null;
  /** What a replay holds, see view_replay.py; null where the family has none. */
  replay?: ReplayFacts | null;
  state_pane: MachineFacts | StateFacts;
  script: Script | null;
  words: Word[] | null;
  entries?: Entry[];
  reasons?: (string | null)[];
  draws: DrawFacts[];
  mime?: string;
  sounds?: { label: string; column: string }[];
  /** Whose recordings the view holds, in words; empty where none. */
  contains?: string;
  /** Those of the prefix, by speaker; their outlines are `peaks_recording_<speaker>` [n, 2] at `peak_rate`. */
  recordings?: Recording[];
  /** How the words that were given fit their sound; null where they are not there, or are not to be told. */
  fit?: Fit | null;
  rows: Row[];
  findings?: Finding[]; // worst first; none of a run that goes on
  verdict?: Verdict;
  anomalies?: Anomaly[];
  tour?: Stop[];
  edits: { call: number; text: string }[];
  /** Pinned to calls, in their order. */
  notes?: CallNote[];
  shades?: DeclaredShade[];
}

export interface CallNote {
  call: number;
  text: string;
}

/** A column by which cells can be coloured; see view_shades.py. */
export interface DeclaredShade {
  column: string;
  label: string;
  told: string;
  unit: string;
}

/** What the next calls of a run that goes on add; see live.py. */
export interface PieceHeader {
  /** Columns of one number a call; see view.py. */
  by_call: string[];
  words: Word[];
  entries: Entry[];
  reasons: (string | null)[];
  /** Once it is known with which frame the sound begins. */
  clock?: Clock;
  /** The first column of `grid`, if the piece has one. */
  grid_at?: number;
}

/** A recording that was given, and the calls of the warm-up that read it. */
export interface Recording {
  speaker: 1 | 2;
  /** The call that reads its first frame, and how many read it. */
  first: number;
  calls: number;
  seconds: number;
  rate: number;
  /** Of its sound. */
  column: string;
  /** Of the file that was given, or what to call it. */
  name: string;
}

/** See view_fit.py: seconds by which words come after their sound, null where it cannot be told. */
export interface Fit {
  /** Of the tab. */
  name: string;
  /** Seconds; what is less is usual. */
  least: number;
  windows: DriftWindow[];
  recordings: FitRecording[];
}

/** From a moment up to another one. */
export type DriftWindow = [from: number, to: number, drift: number | null];

export interface FitRecording {
  speaker: number;
  title: string;
  told: string;
  by: string;
  why: string;
  /** Of the gain. */
  unit: string;
  /** Seconds that were tried. */
  late: number[];
  curves: FitCurve[];
  words: FitWord[];
  mended: Mended | null;
}

export interface FitCurve {
  words: string;
  /** How much better each of `late` fits than 0. */
  gain: number[];
  drift: number | null;
  /** Where it is in `gain`. */
  at: number | null;
  told: string;
}

export interface FitWord {
  text: string;
  /** To look at. */
  call: number;
  taken: number | null;
  asked: number | null;
  drift: number | null;
}

export interface Mended {
  text: string;
  told: string;
}

export interface Clock {
  /** Calls a second. */
  rate: number;
  /** The step at second 0. */
  zero: number;
  /** The call that reads the step again of the one before; null if none does. */
  twice: number | null;
  /** The grid's column, without its delay, of the frame that sounds at second 0. */
  frame?: number;
  /** Said of calls before second 0. */
  before: string;
  told?: string;
}

export interface Sampling {
  /** null: nothing tells it. */
  temperature: number | null;
  /** 0: all; not there: the family has no such setting. */
  top_k?: number;
  /** Likewise; 1: all. */
  top_p?: number;
  /** The logits of which softmax makes the chances; those before guidance where it does not say. */
  by?: "cond" | "guided";
}

/** Who stays of the candidates: the `keep` best of uncond + (cfg + plus) · (cond − uncond). */
export interface Guidance {
  cfg: number;
  /** 0, or more than there are: all. */
  keep: number;
  plus: number;
  /** The cfg that lets all stay; null where `keep` holds at any. */
  off: number | null;
}

/** What can be set of a draw; what the family does not have is not there. */
export interface Settings {
  temperature: number;
  top_k?: number;
  top_p?: number;
  cfg?: number;
  keep?: number;
}

/** How ids are drawn: by inverse CDF over ids, of a softmax over the conditional logits of those that stay. */
export interface Sampler {
  /** Ids there are. */
  vocabulary: number;
  /** Ids that are never drawn. */
  forbidden: number[];
  /** An id that is drawn only where it is the best. */
  alone?: number;
}

export interface SamplingFrom {
  call: number;
  told: string;
  /** null: there is none. */
  guidance?: Guidance | null;
  text?: Sampling;
  audio: Sampling;
}

/** A number above the panes: `shows` is a text with `{column}` in it. */
export interface Readout {
  name: string;
  kind?: "time" | "word" | "phase";
  shows?: string;
}

/** A row of the timeline; see view_tracks.py. */
interface AnyTrack {
  /** Its own; of counts and states that of their column. */
  name: string;
  label: string;
  told: string;
  /** In which it is open at first. */
  lenses: string[];
  keys?: [name: string, text: string][];
}
export interface PlainTrack extends AnyTrack {
  kind: "sound" | "words" | "taken" | "drift" | "surprise" | "pull" | "loudness" | "grid" | "cache" | "looks";
}
export interface TextTrack extends AnyTrack {
  kind: "text";
  lanes: { kind: "action" | "tokens"; name: string }[];
}
export interface StateTrack extends AnyTrack {
  kind: "states";
  colours: Colour[];
}
export interface CountTrack extends AnyTrack {
  kind: "count";
  most: number;
  colour: Colour;
}
export interface BudgetTrack extends AnyTrack {
  kind: "budget";
  /** Columns. */
  line: string;
  bars: string;
  number: string;
}
export type Track = PlainTrack | TextTrack | StateTrack | CountTrack | BudgetTrack;

export interface GridFacts {
  codebooks: number;
  delays: number[];
  /** Codes are below it. */
  codes: number;
  /** Columns that were given. */
  prefix: number;
  prefix_name: string;
  /** Of each codebook, the first column that was not given. */
  edge: number[];
  /** The column of frame 0, without its delay. */
  first: number;
  frames?: number | null;
  /** How far the column that a call writes is ahead of the call, and the one that it reads. */
  ahead: number;
  at: number;
  words: { book: string; short: string; column: string };
  missing: string;
  specials?: Record<string, string>;
  origins?: Origin[];
}

export interface Origin {
  name: string;
  by: string;
  paint: "codes" | "given" | Colour;
  key: string | null;
}

export interface Cache {
  /** The column that counts its slots; null if each call begins anew. */
  column: string | null;
  told: string;
}

export interface MachineFacts {
  kind: "machine";
  told: string;
}

export interface Gauge {
  column: string;
  most: number;
}

export interface StateFacts {
  kind: "row";
  told: string;
  verdicts: string[];
  pairs: { name: string; shows: string; gauge?: Gauge }[];
}

export interface Script {
  note: string;
  parts: { speaker: number; tag: string | null; text: string }[];
  cut: { bytes: number; text: string } | null;
}

export interface Word {
  text: string;
  speaker: number;
  prefix: boolean;
  /** That took it, and where it sounds: a call and a fraction of it. */
  call: number | null;
  at: number | null;
}

export interface SpokenWord extends Word {
  call: number;
  at: number;
}

/** A word or a break (no tokens) as the machine gets it. */
export interface Entry {
  text: string;
  speaker: number;
  padding: number;
  tokens: number;
}

export interface DrawFacts {
  title: string;
  /** null: the action. */
  book: number | null;
  /** That of text or audio, or its own. */
  sampling: "text" | "audio" | Sampling;
  /** Of tokens. */
  names: Record<string, string>;
  /** Not there: nothing tells how it is drawn. */
  sampler?: Sampler;
}

// What a replay holds: see view_replay.py and replayed.py

export interface ReplayFacts {
  /** By which a page has one. */
  how: string;
  looks: LookFacts[];
  /** In words; empty: nothing. */
  left_out: string;
}

/** A memory that heads look in: `look_<i>` [bytes] has of each call [layers, heads, places], 255 · √weight. */
export interface LookFacts {
  label: string;
  over: "calls" | "text";
  layers: number;
  heads: number;
  /** There is one head, the mean of all. */
  means: boolean;
  /** Of a text's places. */
  labels: string[];
}

/** Which attention is looked at; a head of −1: the mean of all of the layer. */
export interface Look {
  look: number;
  layer: number;
  head: number;
}

export interface Logit {
  token: number;
  logit: number;
  /** Among all, before guidance and at temperature 1. */
  chance: number;
}

// The picture of a call: see view_pipeline.py

export interface PipelineFacts {
  told: string;
  before: FlowBox[];
  stages: FlowStage[];
  arrows: { start: string; end: string }[];
}

export interface FlowStage {
  told: FlowLine;
  boxes: FlowBox[];
  given: string;
  once: boolean;
}

export interface FlowBox {
  name: string;
  title: string;
  rows: number[];
  items: FlowItem[];
  /** Of the stage's width, from and up to. */
  lane: [number, number];
  paint: "data" | "net" | "draw";
  given: string;
}

export interface FlowLine {
  kind: "line";
  told: string;
  otherwise: string;
  strong: boolean;
}

export type FlowItem =
  | FlowLine
  | { kind: "token"; column: string; label: string }
  | { kind: "meter"; column: string; most: number }
  | { kind: "codes"; at: string; first: number }
  | { kind: "choice"; book: number | null };

export interface FlowRect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export type FlowSpot = FlowRect;

/** An arrow: between stages of these numbers, −1: before all; it is a line of straight pieces. */
export interface FlowPath {
  start: string;
  end: string;
  from: number;
  to: number;
  points: [number, number][];
}

export type FlowSize = "slim" | "tall" | "wide";

export interface FlowLayout {
  width: number;
  height: number;
  font: number;
  wide: boolean;
  /** By the name of their box. */
  rects: Map<string, FlowRect>;
  /** Around what every call does. */
  frame: FlowRect;
  paths: FlowPath[];
}

export interface Row {
  number: number;
  title: string;
  where: string;
  status: string;
  cells: { trigger?: string; before?: string; mutations?: string; outputs?: string };
  seconds: number | null;
  note: string;
  /** Stretches of calls, from and up to; null: the last one. */
  lit: [from: number, to: number | null][];
  call: number | null;
}

export type Severity = "bad" | "note" | "good";

/** Something that was found, from a call to another one. */
export interface Finding {
  kind: string;
  call: number;
  until: number; // the last call that it is about, included
  speaker: number | null;
  severity: Severity;
  text: string;
  fix: string;
}

export interface Verdict {
  severity: Severity;
  text: string;
  call: number | null;
}

/** A call whose draws were far less likely than the run's usual ones; see view_signals.py. */
export interface Anomaly {
  call: number;
  what: string;
  bits: number;
}

/** A stop of the tour, at one thing; see view_tour.py. */
export interface Stop {
  title: string;
  text: string;
  part?: "verdict" | "overview" | "controls" | "commands";
  track?: string;
  tab?: string;
  lens?: string;
  /** To go to: that of the worst finding, of the first word, of the least likely draw, of the first draw. */
  call?: "finding" | "word" | "surprise" | "drawn";
}

// What is made of them

/** A token of a word: the number-th `of` so many. */
export interface TokenPart {
  text: string;
  speaker: number;
  entry: number;
  number: number;
  of: number;
}

export interface Candidate {
  token: number;
  cond: number;
  guided: number;
  kept: boolean;
  chosen: boolean;
  /** It could have been drawn; null where the view does not say so. */
  alive: boolean | null;
}

export interface Draw {
  names: Record<string, string>;
  choice: number;
  probability: number;
  /** Best first by conditional logit; the last one may be the choice, wherever it stands. */
  candidates: Candidate[];
  /** For candidates: with fewer of them, they are all that there are. */
  places: number;
  sampling: Sampling;
  guidance: Guidance | null;
  sampler: Sampler | null;
  /** The number in 0 … 1 that decided it; null where none did. */
  uniform: number | null;
  /** How finely the logits are told. */
  step: { cond: number; guided: number };
}

/** Who takes part in a draw; lists have one entry for each candidate. */
export interface Weighed {
  guided: number[];
  /** Guidance leaves them in. */
  kept: boolean[];
  /** It may, within rounding. */
  unsure: boolean[];
  /** Others than the recorded may stay. */
  beyond: boolean;
  /** It is known which of the recorded stay. */
  known: boolean;
  /** Those that can be drawn, best first. */
  list: number[];
  /** How many there were before top-k and top-p. */
  all: number;
  chances: number[];
  /** By how much the shares can be off for what is unsure. */
  lost: number;
}

/** What a draw would have been: this token; or it is not known, and why. */
export type Again =
  | { kind: "token"; token: number }
  /** One of these, too close to call. */
  | { kind: "close"; tokens: number[] }
  /** The filter keeps more than was recorded. */
  | { kind: "beyond" }
  /** There is no number: it was put there. */
  | { kind: "put" }
  /** Nothing tells how it is drawn. */
  | { kind: "unknown" }
  /** With its own settings it would not have been what was recorded. */
  | { kind: "contrary" };

export interface Action {
  drawn: "new_word" | "pad";
  given: boolean;
  overruled: string | null;
  outcome: "pad" | "new_word" | "break" | "end";
}

export interface Stretch {
  from: number;
  to: number;
  colour: Colour;
}

// What is looked at

export interface Cell {
  book: number;
  column: number;
}

export interface State {
  call: number;
  playing: boolean;
  speed: number;
  /** Which draw of the call. */
  draw: number;
  /** Number of the row that was chosen. */
  row: number | null;
  cell: Cell | null;
  /** The window of the panes: its first call, which can be a fraction, and how many there are. */
  first: number;
  span: number;
  theme: string;
  layout: Layout;
  lens: string;
  /** Names of the tracks that are open. */
  open: string[];
  /** The one that was clicked, opened or linked to last. */
  track: string | null;
  /** Of the inspector; empty until somebody has chosen one. */
  tab: string;
  /** On a phone, which one thing is seen. */
  pane: string;
  look: Look;
  /** From and up to, as places on the axis. */
  selection: [from: number, to: number] | null;
  /** Play the selection again and again. */
  loop: boolean;
  /** What the colour of a cell means. */
  shows: CellColour;
  /** In the order of their calls. */
  notes: PinnedNote[];
  /** Of a run that goes on: how many there are. */
  calls?: number;
  /** The slide that is shown; null: the explorer. */
  slide: number | null;
}

export type Layout = "wide" | "narrow" | "phone" | "paper";
/** `difference`, `surprise`, `code`, `origin`, or the name of a shade. */
export type CellColour = string;

/** A number by which cells are coloured. */
export interface Shade {
  name: string;
  label: string;
  unit: string;
  /** What it is, in words. */
  told: string;
  /** Of a cell its own, or the same for all that a call wrote. */
  per: "cell" | "call";
  /** NaN: not known. */
  at(book: number, call: number): number;
  range(): [least: number, most: number];
  /** Whether the most stands for more too; once its range is known. */
  open?(): boolean;
  /** The number of a cell in words, where its figure does not say all. */
  say?(book: number, call: number): string;
}

/** A note that is being written. */
export interface Draft extends CallNote {
  /** Of the text, from and up to. */
  marked: [from: number, to: number];
  /** Its field has the focus. */
  focused: boolean;
}

export interface PinnedNote extends CallNote {
  /** It is beside the trace, not on this page alone. */
  kept: boolean;
}

/** A place that a search has found. */
export interface Hit {
  call: number;
  told: string;
  cell?: Cell;
}

/** What is told of a draw, a call, a run where they are copied. */
export interface DrawTold {
  name: string;
  codebook: number | null;
  choice: number;
  token: string | null;
  probability: number;
  bits: number | null;
  /** Of the choice among the candidates, from 1; or any later one. Null: no candidates are known. */
  rank: number | null;
  or_later: boolean;
  uniform: number | null;
  candidates?: { token: number; cond: number; guided: number; kept: boolean }[];
}

export interface CallFacts {
  call: number;
  seconds: number | null;
  word: { text: string; speaker: number; call: number; prefix: boolean } | null;
  values: Record<string, number | string | null>;
  codes: number[] | null;
  draws: DrawTold[];
}

export interface RunFacts {
  trace: string;
  state: string;
  facts: string[];
  findings: Finding[];
  edits: { call: number; text: string }[];
  notes: CallNote[];
  calls: CallFacts[];
}

/** Where one looks, as a link says it. */
export interface Link {
  call?: number | undefined;
  draw?: number | undefined;
  lens?: string | undefined;
  track?: string | undefined;
  tab?: string | undefined;
  theme?: string | undefined;
  /** A slide. */
  present?: number | undefined;
}

/** Where something on a track is: at a call, so far down it, 0 to 1. */
export interface Place {
  call: number;
  share: number;
}

export interface Spot extends Place {
  shell: Shell;
}

/** How a track is drawn. */
export interface Painter {
  /** In CSS pixels; up to `most` of them where there is room, and first those that grow. */
  height: number;
  most?: number;
  grows?: boolean;
  /** Whether this run has what the track shows. */
  there: unknown;
  lanes?: { name: string; y: number }[];
  /** What stands below its name, at a call. */
  note(state: State): string;
  paint(sheet: Sheet, state: State): void;
  /** What moves with the call. */
  mark?(sheet: Sheet, state: State): void;
  /** Elements at the left; `names` stands beside the canvas. */
  gutter?(names: HTMLElement): HTMLElement[];
  click?(place: Place): Partial<State> | null;
  tell?(place: Place): string;
}

/** A track on the page. */
export interface Shell {
  name: string;
  label: string;
  kind: Track["kind"];
  lenses: string[];
  data: Data;
  painter: Painter;
  sheet: Sheet;
  note: HTMLElement;
  element: HTMLElement;
  height: number;
}

export interface Tab {
  name: string;
  parts: Part[];
  /** When it is shown if nobody has chosen one. */
  opens?: (state: State) => boolean;
  /** Go on within the call. */
  step?: () => void;
}

/** One thing, for a projector. */
export interface Slide {
  name: string;
  /** That it is about; without it, it shows whichever call one is at. */
  call?: number;
  severity?: Severity;
  title(state: State): string;
  lead(state: State): Children;
  parts: Part[];
}

/** Something that can be done: by its keys, by its button. */
export interface Command {
  id: string;
  /** A verb, and what it is about. */
  name: string;
  /** As `keyOf` names them. */
  keys: string[];
  /** Whether it is there among slides too, or there alone. */
  slides?: "too" | "alone";
  run(): void;
  /** Whether it can be done now. */
  when?(): boolean;
  /** Why it cannot be done now; empty: it can. */
  why?(): string;
  /** Whether it is switched on. */
  on?(state: State): boolean;
}

/** What commands do to elements. */
export interface Hands {
  tabs: string[];
  /** Through the picture of the call, where there is one. */
  step: (() => void) | undefined;
  go(): void;
  find(): void;
  help(): void;
  other(): void;
  link(): void;
  pin(): void;
  /** Commands of what one takes along. */
  share: Command[];
  slides: { enter(number: number): void; step(direction: 1 | -1): void; leave(): void };
  tour: { on: boolean; begin(): void; end(): void };
}

/** What sounds at a call. */
export interface Voice {
  audio: HTMLAudioElement;
  seconds: number;
  callAt(seconds: number): number;
}

/** Where two runs part. */
export interface Difference {
  call: number;
  what: string;
  /** What was set or edited differently. */
  cause: string;
}

export type Sound = Uint8Array<ArrayBuffer>;

export interface Options extends Link {
  difference?: Difference | undefined;
  /** Begin with the tour's first stop, or offer it: where a reader may be here for the first time. */
  tour?: "begin" | "offer" | undefined;
  /** A link of it, as the host has them. */
  linked?: (hash: string) => string;
  /** Bytes of the sound of some codebooks, where there is a kernel with the codec. */
  ask?: (books: number[]) => Sound | Promise<Sound>;
  /** Those beside the trace, where the host knows better than the view. */
  notes?: CallNote[];
  /** What somebody was writing in the explorer that stood here before. */
  draft?: Draft | null;
  /** Puts a note beside the trace; none: nobody does. */
  note?: (call: number, text: string) => Promise<unknown>;
}

/** An explorer that stands on a page. */
export interface Mounted {
  store: Store;
  data: Data;
  player: Player;
  notebook: Notebook;
  readonly draft: Draft | null;
  go(link: Link): void;
  destroy(): void;
}

export type Root = HTMLElement & { dia2?: Mounted | null };

// anywidget: see widget.py

export interface Traits {
  _views: DataView<ArrayBuffer>[];
  _pieces: DataView<ArrayBuffer>[];
  _difference: Difference | null;
  _can_decode: boolean;
  /** Name of the cell that shows it, for the copy that is saved there. */
  _cell: string;
  /** What to look at first, as `#call=311&track=surprise`. */
  _link?: string;
  /** Those beside the trace; null: nobody keeps any. */
  _notes: CallNote[] | null;
  call: number;
}

export interface SoundAnswer {
  kind: string;
  key: string;
  error?: string;
}

/** What the kernel is asked for, or told. */
export type Message =
  | { kind: "hear"; key: string; books: number[] }
  | { kind: "note"; key: string; call: number; text: string };

type Heard = (message: SoundAnswer, buffers: DataView<ArrayBuffer>[]) => void;

export interface Model {
  get<Name extends keyof Traits>(name: Name): Traits[Name];
  on(name: "msg:custom", listen: Heard): void;
  on(name: `change:${keyof Traits}`, listen: () => void): void;
  off(name: "msg:custom", listen: Heard): void;
  send(message: Message): void;
}
