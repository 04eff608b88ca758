/**
 * Which part of the music the roll shows: time to pixels, pitch to pixels, and the ways to move and zoom. No drawing, no events.
 *
 * From above: a ruler, a lane of marked regions (if there are any), the pitches, a lane of drums (if there are any). From the left: the
 * keys, then time. Lengths are CSS pixels, times seconds.
 */

export const RULER = 24;
export const MARKS = 20;
export const KEYS = 46;
const DRUM_ROW = { least: 9, most: 15 };
const ROW = { least: 3, most: 28 };
const PPS = { least: 0.5, most: 900 };
const LEAST_PITCHES = 30;
const FIRST_VIEW_S = 16;
const MOST_GROWING_S = 36; // and the most of a piece that is shown while it grows
const LEAD = 0.33; // the playhead stands at a third of the width while the roll follows it

/** Drums from above, as on a sheet: General MIDI's percussion in rows. */
export const DRUM_ROWS = ["cymbals", "hihat", "percussion", "toms", "snare", "kick"];
const ROW_OF = new Map([
  ...[35, 36].map((pitch) => [pitch, "kick"]),
  ...[37, 38, 39, 40].map((pitch) => [pitch, "snare"]),
  ...[42, 44, 46].map((pitch) => [pitch, "hihat"]),
  ...[41, 43, 45, 47, 48, 50].map((pitch) => [pitch, "toms"]),
  ...[49, 51, 52, 53, 55, 57, 59].map((pitch) => [pitch, "cymbals"]),
]);
/** The row of a drum. @param {number} pitch */
export const drumRow = (pitch) => ROW_OF.get(pitch) || "percussion";

const clamp = (value, least, most) => Math.max(least, Math.min(most, value));

export class View {
  constructor() {
    this.width = 600;
    this.height = 300;
    this.left = 0; // seconds at the edge of the keys
    this.pps = 60; // pixels per second
    this.row = 8; // height of a semitone
    this.scroll = 0; // pixels of the pitches above the upper edge
    this.low = 48;
    this.high = 84;
    this.end = 0; // seconds: the end of the music
    this.marked = false;
    /** @type {string[]} */
    this.drumRows = [];
    this.byHand = false; // the height of the rows was chosen, not fitted
  }

  /** Take the size of the canvas. @param {number} width @param {number} height */
  resize(width, height) {
    this.width = Math.max(width, KEYS + 40);
    this.height = Math.max(height, 80);
    if (!this.byHand) this.fitPitches();
    this._bound();
  }

  /** Take what the music needs: pitches, drums, marks, length. @param {import("./music.js").Music} music */
  take(music) {
    let [low, high] = [128, -1];
    const rows = new Set();
    for (const track of music.tracks) {
      for (const { pitch } of track.notes) {
        if (track.drum) rows.add(drumRow(pitch));
        else [low, high] = [Math.min(low, pitch), Math.max(high, pitch)];
      }
    }
    this._pitches(low, high);
    this.drumRows = DRUM_ROWS.filter((name) => rows.has(name));
    this.marked = music.marks.length > 0;
    this.end = music.end;
    this._settle();
  }

  /** Take notes that were added, which can only widen what is needed. */
  grow(music, added) {
    let [low, high] = [this._low, this._high];
    for (const { track, note } of added) {
      if (track.drum) {
        const name = drumRow(note.pitch);
        if (!this.drumRows.includes(name)) this.drumRows = DRUM_ROWS.filter((one) => one === name || this.drumRows.includes(one));
      } else [low, high] = [Math.min(low, note.pitch), Math.max(high, note.pitch)];
    }
    this.end = music.end;
    this._pitches(low, high);
    this._settle();
  }

  _pitches(low, high) {
    [this._low, this._high] = [low, high];
    if (low > high) [low, high] = [55, 79];
    const missing = Math.max(0, LEAST_PITCHES - (high - low + 5));
    this.low = clamp(low - 2 - Math.floor(missing / 2), 0, 127);
    this.high = clamp(high + 2 + Math.ceil(missing / 2), 0, 127);
  }

  _settle() {
    if (!this.byHand) this.fitPitches();
    this._bound();
  }

  /** Show all pitches, if rows of three pixels can. */
  fitPitches() {
    this.byHand = false;
    this.row = clamp(this.pitchHeight / (this.high - this.low + 1), 4, 18);
    this.scroll = Math.max(0, (this.pitchesHeight - this.pitchHeight) / 2);
  }

  /** The first look at a piece: all of it if it is short, else its first bars. @param {import("./music.js").Music} music */
  open(music) {
    const short = !music.live && music.end > 0 && music.end <= FIRST_VIEW_S * 1.6;
    const wanted = short ? music.end * 1.03 : FIRST_VIEW_S;
    this.pps = clamp(this.timeWidth / wanted, PPS.least, PPS.most);
    this.left = 0;
    this.fitPitches();
    this._bound();
  }

  /** The pixels of a second at which music that grows is seen to grow. */
  get growing() {
    return this.timeWidth / clamp(this.end * 1.06, FIRST_VIEW_S, MOST_GROWING_S);
  }

  /** Show the whole piece. */
  fit() {
    this.pps = clamp(this.timeWidth / Math.max(this.end * 1.01, 1), PPS.least, PPS.most);
    this.left = 0;
    this.fitPitches();
    this._bound();
  }

  // -- places ---------------------------------------------------------------------------------------------------------------------

  /** Where the pitches begin. */
  get top() {
    return RULER + (this.marked ? MARKS : 0);
  }

  /** How wide time is. */
  get timeWidth() {
    return this.width - KEYS;
  }

  /** Seconds that can be seen. */
  get span() {
    return this.timeWidth / this.pps;
  }

  /** Height of a row of drums. */
  get drumRow() {
    return clamp((this.height - this.top) / 24, DRUM_ROW.least, DRUM_ROW.most);
  }

  /** Height of the lane of drums, the gap above it included. */
  get drumHeight() {
    return this.drumRows.length > 0 ? this.drumRows.length * this.drumRow + 6 : 0;
  }

  /** Height of what can be seen of the pitches. */
  get pitchHeight() {
    return Math.max(24, this.height - this.top - this.drumHeight);
  }

  /** Height of all pitches. */
  get pitchesHeight() {
    return (this.high - this.low + 1) * this.row;
  }

  /** Where the lowest visible pitch ends. */
  get bottom() {
    return this.top + this.pitchHeight;
  }

  /** @param {number} seconds */
  x(seconds) {
    return KEYS + (seconds - this.left) * this.pps;
  }

  /** @param {number} x */
  time(x) {
    return this.left + (x - KEYS) / this.pps;
  }

  /** The upper edge of a pitch. @param {number} pitch */
  y(pitch) {
    return this.top + this._pad + (this.high - pitch) * this.row - this.scroll;
  }

  /** The pitch at a height. @param {number} y */
  pitch(y) {
    return this.high - Math.floor((y - this.top - this._pad + this.scroll) / this.row);
  }

  /** The upper edge of a row of drums. @param {string} name */
  drumY(name) {
    return this.bottom + 6 + this.drumRows.indexOf(name) * this.drumRow;
  }

  get _pad() {
    return Math.max(0, (this.pitchHeight - this.pitchesHeight) / 2);
  }

  // -- moves ----------------------------------------------------------------------------------------------------------------------

  /** Move by pixels: to later times, to lower pitches. @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.left += dx / this.pps;
    this.scroll += dy;
    this._bound();
  }

  /** Make time wider around the second under `x`, which stays there. @param {number} factor @param {number} x */
  zoomTime(factor, x) {
    const at = this.time(x);
    const least = Math.min(this.timeWidth / Math.max(this.end * 1.2, 4), this.pps, 20);
    this.pps = clamp(this.pps * factor, Math.max(PPS.least, least), PPS.most);
    this.left = at - (x - KEYS) / this.pps;
    this._bound();
  }

  /** Make pitches higher around the pitch under `y`, which stays there. @param {number} factor @param {number} y */
  zoomPitch(factor, y) {
    const at = (y - this.top - this._pad + this.scroll) / this.row;
    this.row = clamp(this.row * factor, ROW.least, ROW.most);
    this.byHand = true;
    this.scroll = at * this.row - (y - this.top - this._pad);
    this._bound();
  }

  /** Whether the pitches are higher than their place. */
  get tall() {
    return this.pitchesHeight > this.pitchHeight + 1;
  }

  /** The left edge at which `seconds` stands where the playhead stands while it is followed. @param {number} seconds */
  leftFor(seconds) {
    const furthest = Math.max(0, this.end + this.span * 0.08 - this.span);
    return clamp(seconds - this.span * LEAD, 0, Math.max(furthest, 0));
  }

  /** Whether `seconds` can be seen. @param {number} seconds */
  shows(seconds) {
    return seconds >= this.left && seconds <= this.left + this.span;
  }

  _bound() {
    const most = Math.max(0, this.end - this.span * 0.5, this.end + this.span * 0.08 - this.span);
    this.left = clamp(this.left, 0, most);
    this.scroll = clamp(this.scroll, 0, Math.max(0, this.pitchesHeight - this.pitchHeight));
  }
}
