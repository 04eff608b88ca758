/**
 * What keeps a source sounding: wants its chunks ahead of time, begins a run when they are there, places what comes, waits where it is
 * late, turns round at the end of a loop, and ends.
 *
 * It is in one of three phases, "paused", "waiting" and "playing", each told on the bus with {seconds}, and at the end "ended"; and tells
 * "position" {seconds, playing, source} every frame while playing and after a seek, and "source" {source} when another takes over. It
 * thinks twenty times a second, and at once when a chunk arrives.
 */

import { emit } from "./bus.js";
import { Output } from "./sound-output.js";
import { CHUNK_S, Run } from "./sound-run.js";
import { chunkAt } from "./sound-source.js";
import { Store } from "./sound-store.js";

const TICK_MS = 50;
const HORIZON_S = 3; // placed on the clock ahead: pages in the background think once a second only
const AHEAD = 4; // chunks fetched ahead
const LATE_S = 0.06; // a chunk that is not there so long before its border is late
const FADE_S = 0.05;
const TURN_S = 0.5;
const RING_S = 0.2;

export class Clockwork {
  /** @param {(id: string) => number} level of a track @param {(error: any) => void} onfail a chunk will stay silent */
  constructor(level, onfail) {
    this.output = new Output((time) => this._lost(time));
    this.store = new Store((bytes) => this.output.decode(bytes), { onready: () => this.tick(), onfail });
    /** @type {import("./sound-source.js").LiveSource|import("./sound-source.js").PieceSource|null} */
    this.source = null;
    /** @type {{start?: number, end?: number}|null} */
    this.loop = null;
    this.phase = "paused";
    this.lead = 0.05; // seconds between deciding to begin and the first sample: time for a busy page to place all that begins
    /** @type {Run|null} */
    this.run = null;
    this.from = 0; // where to begin, in seconds
    this._following = null; // what takes over from the source
    this._level = level;
    this._before = null; // the run that ends where the present one begins, while a loop turns round
    this._next = 0; // the first chunk that is not placed
    this._late = []; // chunks that ring already and are not placed yet
    this._cautious = false; // after waiting: begin only with two chunks
    this._timer = 0;
    this._drawing = 0;
  }

  /** Whether it plays, or will as soon as there is something to hear. */
  get playing() {
    return this.phase !== "paused";
  }

  /** Where the music is, in seconds: what is heard now, not what was handed to the device. */
  position() {
    if (!this.run) return this.from;
    const now = this.output.now - this.output.latency;
    const run = this._before && now < this.run.began ? this._before : this.run;
    return Math.min(Math.max(run.at(now), run.from), Math.max(this.source.reach, run.from));
  }

  /** Sound as soon as it can. */
  wait() {
    if (this.phase !== "waiting") this._enter("waiting");
    this.tick();
  }

  /** Silence, and stay here. */
  pause() {
    if (!this.playing) return;
    this.from = this.position();
    this._stop(FADE_S);
    this._change();
    this._enter("paused");
  }

  /** Go on from here. @param {number} seconds @param {number} [fade] of what sounded until now */
  seek(seconds, fade = FADE_S) {
    this.from = seconds;
    this._stop(fade);
    this._change();
    this._cautious = false;
    emit("position", { seconds, playing: false, source: this.about });
    if (this.playing) this.wait();
    else this.tick();
  }

  /** Play this instead: silence, and its beginning. @param {any} source */
  take(source) {
    this._stop(FADE_S);
    this.source = source;
    this._following = null;
    this.from = 0;
    this._cautious = false;
    if (this.playing) this._enter("paused");
    emit("position", { seconds: 0, playing: false, source: this.about });
    this.tick();
  }

  /** The same music, whose chunks are to come from elsewhere as soon as the next of them is there. @param {any} source */
  goOnWith(source) {
    this._following = source;
    this.tick();
  }

  /** What is played, or will be from a border on. */
  get about() {
    return (this._following || this.source)?.about || null;
  }

  _canChange() {
    return this._following.tracks(this._next).every((id) => this._settled(this._next, id, this._following));
  }

  _change() {
    if (!this._following) return;
    this.source = this._following;
    this._following = null;
    this._late = [];
    this._cautious = false;
    emit("source", { source: this.about });
  }

  /** Tracks that can be heard now, after others of their chunk. @param {number} k @param {string[]} ids */
  join(k, ids) {
    if (this.run && k < this._next) this._late.push(...ids.map((id) => ({ k, id })));
    this.tick();
  }

  /** Take over how loud the tracks are to be. */
  level() {
    this.run?.level();
  }

  /** Do what is due. */
  tick() {
    if (!this.source) return this.store.want([]);
    if (this._following && (!this.run || this._canChange())) this._change();
    if (this.run && this.output.context) this._feed();
    if (!this.run && this.phase === "waiting" && this.output.context) this._begin(this.from, this.output.now + this.lead);
    return this.store.want(this._wanted());
  }

  _enter(phase) {
    this.phase = phase;
    emit(phase, { seconds: this.position() });
    clearInterval(this._timer);
    if (phase === "paused") return;
    this._timer = setInterval(() => this.tick(), TICK_MS);
    if (phase === "playing") this._frame();
  }

  _frame() {
    if (this.phase !== "playing") return;
    emit("position", { seconds: this.position(), playing: true, source: this.about });
    cancelAnimationFrame(this._drawing);
    this._drawing = requestAnimationFrame(() => this._frame());
  }

  _stop(fade) {
    for (const run of [this.run, this._before]) run?.end(this.output.now, fade);
    this.run = this._before = null;
    this._late = [];
  }

  /** What to fetch, the most urgent first. */
  _wanted() {
    const { source, run } = this;
    const list = [];
    const add = ({ k, id }) => list.push(source.wanted(k, id));
    const chunk = (k) => source.tracks(k).forEach((id) => add({ k, id }));
    const first = run ? this._next : chunkAt(this.from);
    const ahead = this.playing ? AHEAD : 1;
    const ringing = run ? [] : source.ringing(this.from);
    ringing.filter((one) => one.must).forEach(add);
    for (let k = first; k <= first + ahead && k < source.count; k += 1) chunk(k);
    const after = this._following;
    if (after) for (const k of [first, first + 1]) after.tracks(k).forEach((id) => list.push(after.wanted(k, id)));
    [...this._late, ...ringing.filter((one) => !one.must)].forEach(add);
    const loop = this._bounds();
    if (loop && run && loop.end - this.position() < AHEAD * CHUNK_S) {
      source.ringing(loop.start).forEach(add);
      chunk(chunkAt(loop.start));
    }
    return list;
  }

  _settled(k, id, source = this.source) {
    return this.store.settled(source.wanted(k, id).key);
  }

  _ready(k) {
    return this.source.known(k) && this.source.tracks(k).every((id) => this._settled(k, id));
  }

  _place(k, id) {
    const buffer = this.store.get(this.source.wanted(k, id).key);
    if (buffer) this.run.place(buffer, id, k);
  }

  /** Begin at second `from` of the piece at time `when` of the clock, if what sounds there is ready. */
  _begin(from, when) {
    const { source } = this;
    const k = chunkAt(from);
    if (k >= source.count) return this._end();
    const ringing = source.ringing(from);
    const must = ringing.filter((one) => one.must);
    if (!this._ready(k) || !must.every((one) => this._settled(one.k, one.id))) return false;
    if (this._cautious && k + 1 < source.count && !this._ready(k + 1)) return false;
    this.run = new Run(this.output.context, this.output.input, { when, from, level: this._level });
    must.forEach((one) => this._place(one.k, one.id));
    source.tracks(k).forEach((id) => this._place(k, id));
    this._next = k + 1;
    this._late = ringing.filter((one) => !one.must);
    this._cautious = false;
    this._enter("playing");
    this._feed();
    return true;
  }

  /** Place what comes within the horizon; wait where it is not there; end where there is no more. */
  _feed() {
    const { run, source } = this;
    const now = this.output.now;
    this._late = this._late.filter(({ k, id }) => {
      const settled = this._settled(k, id);
      if (settled) this._place(k, id);
      return !settled;
    });
    const loop = this._bounds();
    const last = Math.min(source.count, loop ? Math.ceil(loop.end / CHUNK_S - 1e-9) : Infinity);
    while (this._next < last && run.time(this._next) - now < HORIZON_S && this._ready(this._next)) {
      source.tracks(this._next).forEach((id) => this._place(this._next, id));
      this._next += 1;
    }
    if (this._next < last && run.time(this._next) - now < LATE_S) this._wentDry();
    else if (loop) this._turnRound(loop, now);
    else if (this._next >= last && now > run.until + RING_S && run.at(now) >= source.duration) this._end();
  }

  /** The next chunk is not there: silence at its border, and on from there. */
  _wentDry() {
    this.from = this._next * CHUNK_S;
    this._stop(LATE_S);
    this._cautious = true;
    this._enter("waiting");
  }

  /** Where a loop begins and ends, if there is one ahead and the piece is complete. */
  _bounds() {
    const music = this.source?.music;
    if (!this.loop || !music || this.source.count === Infinity) return null;
    const { start = 0, end = music.end } = this.loop;
    return end > start + 0.1 && end > (this.run ? this.run.from : this.from) ? { start, end } : null;
  }

  _turnRound(loop, now) {
    if (this._before && now > this.run.began + FADE_S) this._before = null;
    const before = this.run;
    const turn = Math.max(before.zero + loop.end, now + this.lead);
    if (turn - now > TURN_S) return;
    this.run = null;
    this.from = loop.start;
    before.end(turn, FADE_S);
    this._before = before;
    if (this._begin(loop.start, turn)) return;
    this._before = null;
    this._enter("waiting");
  }

  _end() {
    this.from = this.source.duration;
    this._stop(FADE_S);
    this.phase = "paused";
    clearInterval(this._timer);
    this._change();
    emit("position", { seconds: this.from, playing: false, source: this.about });
    emit("ended", { seconds: this.from });
    return false;
  }

  /** The output is gone: make it anew and go on. */
  _lost(time) {
    if (this.run) this.from = Math.max(this.run.at(time), 0);
    this.run = this._before = null;
    this._late = [];
    if (!this.playing) return;
    this.wait();
    this.output.unlock().then(() => this.tick());
  }
}
