/**
 * The music that is open: notes by track, bar lines, marked regions, in seconds. It grows while a piece is composed, or comes whole
 * from a file.
 *
 * A track is {id, index, name, program, drum, variant, color, notes, reach}: `id` is "p0" ... for a program while notes arrive ("p-1":
 * drums) and "t0" ... for a track of a file, whose `index` it is in the file; `notes` are {start, duration, pitch, velocity} in order of
 * start; `reach[i]` is the latest end of the notes 0 to i. Tells on the bus: "music-grown" {music, added: [{track, note}]} when notes
 * came, bars came, or all was forgotten ({reset: true}). That another music was opened ("music") is told by session.js.
 */

import { emit } from "./bus.js";
import { colorOf, familyOf } from "./colors.js";

export { colorOf, familyOf };

const HELD_S = 1e-6;

class Track {
  constructor(id, { index = null, name = "", program = 0, drum = false, variant = 0 }) {
    Object.assign(this, { id, index, name, program: drum ? -1 : program, drum, variant });
    /** @type {{start: number, duration: number, pitch: number, velocity: number}[]} */
    this.notes = [];
    /** @type {number[]} */
    this.reach = [];
  }

  /** Its colour on the page as it is shown now. */
  get color() {
    return colorOf(this.program, { variant: this.variant });
  }

  /** Put notes in their places. @param {{start: number, duration: number, pitch: number, velocity: number}[]} added */
  add(added) {
    const from = added.reduce((least, note) => Math.min(least, this._place(note)), this.notes.length);
    for (let i = from; i < this.notes.length; i += 1) {
      const end = this.notes[i].start + this.notes[i].duration;
      this.reach[i] = i > 0 ? Math.max(this.reach[i - 1], end) : end;
    }
  }

  _place(note) {
    let at = this.notes.length;
    while (at > 0 && this.notes[at - 1].start > note.start) at -= 1;
    if (at === this.notes.length) this.notes.push(note);
    else this.notes.splice(at, 0, note);
    return at;
  }

  /** The index of the first note that may sound at or after `seconds`. @param {number} seconds */
  firstAt(seconds) {
    return firstAbove(this.reach, seconds);
  }

  /** The notes that sound at `seconds`. @param {number} seconds */
  sounding(seconds) {
    const out = [];
    for (let i = this.firstAt(seconds); i < this.notes.length && this.notes[i].start <= seconds + HELD_S; i += 1) {
      if (this.notes[i].start + this.notes[i].duration > seconds) out.push(this.notes[i]);
    }
    return out;
  }
}

/** The index of the first number of a rising list that is greater than `value`. @param {number[]} list @param {number} value */
export function firstAbove(list, value) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The index of the first note that begins after `seconds`. @param {{start: number}[]} notes @param {number} seconds */
export function firstAfter(notes, seconds) {
  let [low, high] = [0, notes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (notes[middle].start > seconds) high = middle;
    else low = middle + 1;
  }
  return low;
}

export class Music {
  constructor() {
    this._clear();
    /** Notes may still come. */
    this.live = true;
  }

  _clear() {
    /** @type {Track[]} */
    this.tracks = [];
    /** @type {number[]} where each bar begins and, last, where the final one ends */
    this.bars = [0];
    /** @type {number[]} where each beat begins; empty where that is not known */
    this.beats = [];
    /** @type {number[][]} [bar, numerator, denominator] where a metre begins */
    this.metres = [];
    /** @type {{label: string, start_s: number, end_s: number, kind: string}[]} */
    this.marks = [];
    this.duration = 0;
    this.nBars = 0;
    this.nNotes = 0;
  }

  /**
   * The music of a file, as /api/pieces/ID/notes gives it.
   * @param {any} json
   */
  static fromNotes(json) {
    const music = new Music();
    music.live = false;
    for (const one of json.tracks) {
      const track = music._track(`t${one.index}`, one);
      track.add(one.notes.map(([start, duration, pitch, velocity]) => ({ start, duration, pitch, velocity })));
      music.nNotes += track.notes.length;
    }
    music.bars = json.bars.length > 0 ? json.bars : [0];
    music.beats = json.beats || [];
    music.metres = json.metres || [];
    music.marks = json.marks;
    music.duration = json.duration_s;
    music.nBars = music.bars.length - 1;
    return music;
  }

  _track(id, about) {
    const family = familyOf(about.drum ? -1 : about.program);
    const variant = this.tracks.filter((track) => familyOf(track.program) === family).length;
    const track = new Track(id, { ...about, variant });
    this.tracks.push(track);
    return track;
  }

  /** The track of this id, or null. @param {string} id */
  track(id) {
    return this.tracks.find((one) => one.id === id) || null;
  }

  /**
   * Notes on their way, as the event "notes" brings them.
   * @param {number[][]} rows [start_s, duration_s, pitch, velocity, program, bar]
   */
  addNotes(rows) {
    const fresh = new Map();
    const added = [];
    for (const [start, duration, pitch, velocity, program] of rows) {
      const id = `p${program}`;
      const track = this.track(id) || this._track(id, { program, drum: program < 0 });
      const note = { start, duration, pitch, velocity };
      if (!fresh.has(track)) fresh.set(track, []);
      fresh.get(track).push(note);
      added.push({ track, note });
      this.duration = Math.max(this.duration, start + duration);
    }
    for (const [track, notes] of fresh) track.add(notes);
    this.nNotes += rows.length;
    emit("music-grown", { music: this, added });
  }

  /**
   * A bar is complete, as the event "bar" tells.
   * @param {{bar: number, n_bars: number, end_s: number}} told
   */
  addBar({ bar, n_bars: nBars, end_s: end }) {
    this.nBars = Math.max(nBars || 0, bar + 1);
    this.bars[bar + 1] = end;
    const before = this.bars.findLastIndex((at, i) => i <= bar && at !== undefined);
    for (let i = before + 1; i <= bar; i += 1) this.bars[i] = this.bars[before] + ((end - this.bars[before]) * (i - before)) / (bar + 1 - before); // told of together
    emit("music-grown", { music: this, added: [] });
  }

  /** Forget everything: the attempt was given up and another one begins. */
  reset() {
    this._clear();
    emit("music-grown", { music: this, added: [], reset: true });
  }

  /** Where the last bar that is known ends, or the last note, whichever is later: seconds. */
  get end() {
    return Math.max(this.bars.at(-1) || 0, this.duration);
  }

  /** Where the piece will about end once all of its bars are composed: seconds. */
  get whole() {
    const known = this.bars.length - 1;
    return this.live && known > 0 ? Math.max(this.end, (this.bars[known] / known) * this.nBars) : this.end;
  }

  /** The bar that `seconds` lies in, from 0. @param {number} seconds */
  barAt(seconds) {
    return Math.max(0, Math.min(firstAbove(this.bars, seconds + HELD_S) - 1, Math.max(this.bars.length - 2, 0)));
  }
}
