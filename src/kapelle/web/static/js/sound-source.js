/**
 * Where the chunks of what is played come from: a job that composes right now, or a piece of the library.
 *
 * Both answer the same: which tracks begin notes in a chunk, whether that is known already, at which address each chunk lies, and which
 * earlier chunks still ring at a moment. Track ids are those of music.js: "p24" for a program while it is composed, "t0" in a file.
 */

import { CHUNK_S } from "./sound-run.js";

const EDGE_S = 1e-4; // the server rounds times: a note this near to a border may lie in either chunk
const RELEASE_S = 2.5; // the longest that a tone rings after its end
const PEDAL_S = 8; // and the longest that a pedal holds it, which notes do not tell
const STILL_S = 0.05;

/** The chunk that a second lies in. @param {number} seconds */
export const chunkAt = (seconds) => Math.max(0, Math.floor(seconds / CHUNK_S + 1e-9));

/** Ids of the tracks that begin notes in chunk k. */
function beginning(music, k) {
  const [low, high] = [k * CHUNK_S - EDGE_S, (k + 1) * CHUNK_S + EDGE_S];
  return music.tracks.filter((track) => firstFrom(track.notes, low) < firstFrom(track.notes, high)).map((track) => track.id);
}

function firstFrom(notes, seconds) {
  let [low, high] = [0, notes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (notes[middle].start < seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Earlier chunks that may still ring at `seconds`; `must` where one of their notes is held then.
 * @returns {{k: number, id: string, must: boolean}[]}
 */
function ringing(music, seconds, pedal) {
  const found = new Map();
  const before = chunkAt(seconds) * CHUNK_S;
  for (const track of music.tracks) {
    for (const note of track.notes) {
      if (note.start >= before) break;
      const end = note.start + note.duration;
      if (end + RELEASE_S + (pedal && !track.drum ? PEDAL_S : 0) <= seconds) continue;
      const k = chunkAt(note.start);
      const key = `${k}/${track.id}`;
      found.set(key, { k, id: track.id, must: found.get(key)?.must || end > seconds + STILL_S });
    }
  }
  return [...found.values()].sort((a, b) => a.k - b.k);
}

export class LiveSource {
  /** @param {string} job @param {number} number which piece of the job @param {any} music */
  constructor(job, number, music) {
    Object.assign(this, { job, number, music, told: -1, end: 0, over: false });
    this._programs = new Map(); // chunk -> program -> how often it was told
    this._attempt = 0;
  }

  get key() {
    return `job/${this.job}/${this.number}/`;
  }

  get about() {
    return { job: this.job, number: this.number };
  }

  /** Number of chunks, endless while more may come. */
  get count() {
    return this.over ? Math.max(this.told + 1, 0) : Infinity;
  }

  get duration() {
    return this.music?.duration || 0;
  }

  /** As far as it can be sought. */
  get reach() {
    return this.over && this.duration > 0 ? this.duration : (this.told + 1) * CHUNK_S;
  }

  /**
   * These programs can be heard in a chunk; what is told again has more notes than before. Gives those that are told for the first time.
   * @param {number} k @param {number[]} programs
   */
  tell(k, programs) {
    if (!this._programs.has(k)) this._programs.set(k, new Map());
    const told = this._programs.get(k);
    const fresh = programs.filter((program) => !told.has(program));
    for (const program of programs) told.set(program, (told.get(program) || 0) + 1);
    this.told = Math.max(this.told, k);
    return fresh;
  }

  /** No note will begin before `end` seconds any more. @param {number} end */
  bar(end) {
    this.end = Math.max(this.end, end);
  }

  /** All that was told is given up. */
  restart() {
    this._programs.clear();
    this._attempt += 1;
    Object.assign(this, { told: -1, end: 0, over: false });
  }

  /** A chunk is known when it, or a later one, was told; or when no note begins in it, and none will. @param {number} k */
  known(k) {
    if (k <= this.told) return true;
    return this.end >= (k + 1) * CHUNK_S && beginning(this.music, k).length === 0;
  }

  /** @param {number} k */
  tracks(k) {
    return [...(this._programs.get(k)?.keys() || [])].map((program) => `p${program}`);
  }

  ringing(seconds) {
    return ringing(this.music, seconds, false).filter(({ k, id }) => this._programs.get(k)?.has(Number(id.slice(1))));
  }

  /** @param {number} k @param {string} id */
  wanted(k, id) {
    const program = Number(id.slice(1));
    const version = this._programs.get(k)?.get(program) || 0;
    const path = `/jobs/${this.job}/sound/${this.number}/${k}/${program}.flac`;
    return { key: `${this.key}${k}/${id}/${this._attempt}.${version}`, path, fresh: true };
  }
}

export class PieceSource {
  /** @param {string} piece @param {any} music null until it is known */
  constructor(piece, music) {
    Object.assign(this, { piece, music });
  }

  get key() {
    return `piece/${this.piece}/`;
  }

  get about() {
    return { piece: this.piece };
  }

  get count() {
    return this.music ? Math.max(Math.ceil(this.duration / CHUNK_S), 1) : Infinity;
  }

  get duration() {
    return this.music?.duration || 0;
  }

  get reach() {
    return this.duration;
  }

  known() {
    return this.music !== null;
  }

  tracks(k) {
    return this.music ? beginning(this.music, k) : [];
  }

  ringing(seconds) {
    return this.music ? ringing(this.music, seconds, true) : [];
  }

  wanted(k, id) {
    return { key: `${this.key}${k}/${id}`, path: `/pieces/${this.piece}/sound/${k}/${id.slice(1)}.flac`, fresh: false };
  }
}

/** Whether the notes of `file` before `seconds` are those that were told while it was composed, but for a few. */
export function sameMusic(live, file, seconds) {
  const names = (music, steps) =>
    music.tracks.flatMap((track) =>
      track.notes
        .filter((note) => note.start < seconds)
        .map((note) => steps.map((step) => `${track.program}/${note.pitch}/${Math.round(note.start * 20) + step}`)),
    );
  const kept = new Set(names(file, [-1, 0, 1]).flat());
  const told = names(live, [0]).flat();
  return told.filter((name) => kept.has(name)).length >= 0.9 * told.length;
}
