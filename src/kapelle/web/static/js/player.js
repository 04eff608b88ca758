/**
 * The player: what is open sounds, from the first two seconds that are composed on, and without a gap to the end.
 *
 * Sound comes from the server in chunks of two seconds and track by track (sound-source.js says which), is fetched and decoded ahead
 * (sound-store.js), and placed on the clock of the AudioContext (sound-run.js), so that neither a busy page nor a slow network moves a
 * note. Where the next chunk is late, the music stops at its border, "waiting", and goes on from there. When a job is done, the
 * piece's own chunks take over at the next border.
 *
 * Tells on the bus: "position" {seconds, playing, source} every frame while playing and after a seek; "playing", "waiting", "paused",
 * "ended", each with {seconds}; "mix" {} when what is muted, solo or how loud has changed; "source" {source}; "player-problem" {kind, error},
 * kind "sound" or "blocked".
 * Listens to the session's "asked", "job", "sound", "bar", "restarted", "done", "failed", "cancelled", "open", "music", "closed".
 */

import * as api from "./api.js";
import { emit, on } from "./bus.js";
import { t } from "./i18n.js";
import { Music } from "./music.js";
import { Mix } from "./sound-mix.js";
import { Output } from "./sound-output.js";
import { CHUNK_S, Run } from "./sound-run.js";
import { LiveSource, PieceSource, chunkAt, sameMusic } from "./sound-source.js";
import { Store } from "./sound-store.js";
import { toast } from "./toast.js";

const TICK_MS = 50;
const LEAD_S = 0.03; // between deciding to begin and the first sample
const HORIZON_S = 3; // placed on the clock ahead: pages in the background think once a second only
const AHEAD = 4; // chunks fetched ahead
const LATE_S = 0.06; // a chunk that is not there so long before its border is late
const FADE_S = 0.05;
const GIVE_UP_FADE_S = 0.3;
const RING_S = 0.2;

export class Player {
  /** @param {any} [session] whose music is played; without one, set `source` */
  constructor(session = null) {
    this.output = new Output((time) => this._lost(time));
    this.store = new Store((bytes) => this.output.decode(bytes), { onready: () => this._tick(), onfail: (error) => this._failed(error) });
    this._session = session;
    /** @type {LiveSource|PieceSource|null} */
    this._source = null;
    this._phase = "paused"; // "paused", "waiting" or "playing"
    /** @type {Run|null} */
    this._run = null;
    this._before = null; // the run that ends where the present one begins, while a loop turns round
    this._next = 0; // the first chunk that is not placed
    this._late = []; // chunks that ring already and are not placed yet
    this._from = 0; // where to begin, in seconds
    this._cautious = false; // after waiting: begin only with two chunks
    this._loop = null;
    this._mix = new Mix();
    this._armed = false; // something was asked for in a click, and is to be heard
    this._told = "";
    this._timer = 0;
    this._listen();
  }

  // What the page asks for ------------------------------------------------------------------------------------------------------------

  /** Sound, from where it stopped; from the start if that was the end. To be called in a click or a key press. */
  async play() {
    if (!this._source || this.playing) return;
    if (this._from >= this._source.duration && this._source.count < Infinity) this._from = 0;
    this.store.retry();
    this._told = "";
    this._wait();
    const running = await this.output.unlock();
    if (!running && this.playing) this._problem("blocked", null);
    this._tick();
  }

  /** Silence, and stay here. */
  pause() {
    if (!this.playing) return;
    this._from = this.position();
    this._stop(FADE_S);
    this._enter("paused");
  }

  /** Play if it is silent, else pause. */
  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  /** Go on from here. @param {number} seconds */
  seek(seconds) {
    if (!this._source) return;
    this._from = Math.min(Math.max(seconds, 0), this._source.reach);
    this._stop(FADE_S);
    this._cautious = false;
    emit("position", { seconds: this._from, playing: false, source: this.source });
    if (this.playing) this._wait();
    this._tick();
  }

  /** Where the music is, in seconds: what is heard now, not what was handed to the device. */
  position() {
    if (!this._run) return this._from;
    const now = this.output.now - this.output.latency;
    const run = this._before && now < this._run.began ? this._before : this._run;
    return Math.min(Math.max(run.at(now), run.from), Math.max(this._source.duration, run.from));
  }

  /** Whether it plays, or will as soon as there is something to hear. */
  get playing() {
    return this._phase !== "paused";
  }

  /** From the end of the piece to its start, or within {start, end} in seconds. @param {boolean|{start: number, end: number}|null} loop */
  setLoop(loop) {
    this._loop = loop === true ? {} : loop || null;
  }

  get loop() {
    return this._loop;
  }

  /** 0 to 1, a factor of the amplitude. */
  get volume() {
    return this.output.volume;
  }

  set volume(value) {
    this.output.volume = value;
  }

  /** @param {string} id of a track @param {boolean} muted */
  mute(id, muted = true) {
    this._mix.muted[muted ? "add" : "delete"](id);
    this._mixed();
  }

  /** Only the tracks that are solo are heard, if any is. @param {string} id @param {boolean} solo */
  solo(id, solo = true) {
    this._mix.solo[solo ? "add" : "delete"](id);
    this._mixed();
  }

  /** @param {string} id @param {number} value 0 to 1, a factor of the amplitude */
  setTrackVolume(id, value) {
    this._mix.volumes.set(id, Math.min(Math.max(Number(value) || 0, 0), 1));
    this._mixed();
  }

  isMuted(id) {
    return this._mix.muted.has(id);
  }

  isSolo(id) {
    return this._mix.solo.has(id);
  }

  trackVolume(id) {
    return this._mix.volume(id);
  }

  /** How loud a track is heard, 0 to 1. @param {string} id */
  level(id) {
    return this._mix.level(id);
  }

  /** What is played: {job, number} or {piece}, or null. */
  get source() {
    return this._source?.about || null;
  }

  set source(about) {
    const same = JSON.stringify(about) === JSON.stringify(this.source);
    if (same) return;
    if (!about) this._take(null);
    else if (about.piece) this._take(new PieceSource(about.piece, null));
    else this._take(new LiveSource(about.job, about.number || 0, new Music()));
    if (about?.piece) this._fetchMusic(this._source);
  }

  /** The notes of what is played, or null. */
  get music() {
    return this._source?.music || null;
  }

  get analyser() {
    return this.output.analyser;
  }

  get context() {
    return this.output.context;
  }

  // From source to source ----------------------------------------------------------------------------------------------------------------

  _listen() {
    const live = (fn) => (told) => {
      const source = this._source;
      const mine = source instanceof LiveSource && told.job?.id === source.job && (told.number ?? source.number) === source.number;
      if (mine) fn(source, told);
    };
    on("asked", () => {
      this._armed = true;
      this.output.unlock(); // in the click that composes, while the browser allows it
    });
    on("job", ({ job }) => this._follow(job));
    on("sound", live((source, { chunk, programs }) => this._heard(source, chunk, programs)));
    on("bar", live((source, { end_s: end }) => source.bar(end)));
    on("restarted", live((source) => this._restarted(source)));
    for (const name of ["done", "failed", "cancelled"]) on(name, live((source) => this._over(source)));
    on("open", ({ record, job }) => this._open(record, job));
    on("music", () => this._shown());
    on("closed", () => this._take(null));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.playing && !this.output.running) this.output.unlock();
    });
  }

  _follow(job) {
    this._take(new LiveSource(job.id, 0, this._session.current.music));
    if (this._armed) this._wait(); // not after a reload: nothing sounds that nobody asked for
    this._armed = false;
  }

  /** Another piece of the same job is looked at. */
  _shown() {
    const { job, number, music } = this._session?.current || {};
    const source = this._source;
    if (!job || !(source instanceof LiveSource) || source.job !== job.id) return;
    if (source.number === number) source.music = music;
    else this._take(new LiveSource(job.id, number, music));
  }

  _heard(source, chunk, programs) {
    const fresh = source.tell(chunk, programs);
    if (this._run && chunk < this._next) this._late.push(...fresh.map((program) => ({ k: chunk, id: `p${program}` })));
    this._tick();
  }

  _restarted(source) {
    const wanted = this.playing;
    this._stop(GIVE_UP_FADE_S);
    this.store.clear(source.key);
    source.restart();
    this._from = 0;
    this._cautious = false;
    if (wanted) this._wait();
  }

  _over(source) {
    source.over = true;
    this._tick();
  }

  _open(record, job) {
    const music = this._session.current.music;
    const piece = new PieceSource(record.id, music);
    const live = this._source instanceof LiveSource && job && this._source.job === job.id ? this._source : null;
    if (live && sameMusic(live.music, music, this.position() + CHUNK_S)) return this._handOver(live, piece);
    const wanted = this.playing;
    this._take(piece);
    if (wanted) this._wait();
    this._tick();
    return undefined;
  }

  /** The piece is complete: from the next border on its own chunks are heard, with its pans and controllers. */
  _handOver(live, piece) {
    this._mix.carry(piece.music);
    this._source = piece;
    this._late = [];
    this._cautious = false;
    emit("source", { source: this.source });
    this._mixed();
    this._tick();
  }

  _take(source) {
    this._stop(FADE_S);
    if (this._source instanceof LiveSource) this.store.clear(this._source.key);
    this._source = source;
    this._mix.clear();
    this._from = 0;
    this._cautious = false;
    this._told = "";
    if (this.playing) this._enter("paused");
    emit("source", { source: this.source });
    emit("mix", {});
    emit("position", { seconds: 0, playing: false, source: this.source });
    this._tick();
  }

  async _fetchMusic(source) {
    try {
      source.music = Music.fromNotes(await api.get(`/pieces/${source.piece}/notes`));
    } catch (error) {
      if (this._source === source) this._failed(error);
    }
    this._tick();
  }

  // The clockwork --------------------------------------------------------------------------------------------------------------------

  _enter(phase) {
    this._phase = phase;
    emit(phase, { seconds: this.position() });
    clearInterval(this._timer);
    if (phase === "paused") return;
    this._timer = setInterval(() => this._tick(), TICK_MS);
    if (phase === "playing") this._frame();
  }

  _frame() {
    if (this._phase !== "playing") return;
    emit("position", { seconds: this.position(), playing: true, source: this.source });
    cancelAnimationFrame(this._drawing);
    this._drawing = requestAnimationFrame(() => this._frame());
  }

  _wait() {
    if (this._phase !== "waiting") this._enter("waiting");
  }

  _stop(fade) {
    for (const run of [this._run, this._before]) run?.end(this.output.now, fade);
    this._run = this._before = null;
    this._late = [];
  }

  _tick() {
    if (!this._source) return this.store.want([]);
    if (this._run && this.output.context) this._feed();
    if (!this._run && this._phase === "waiting" && this.output.context) this._begin(this._from, this.output.now + LEAD_S);
    return this.store.want(this._wanted());
  }

  /** What to fetch, the most urgent first. */
  _wanted() {
    const source = this._source;
    const list = [];
    const add = (k, id) => list.push(source.wanted(k, id));
    const chunk = (k) => source.tracks(k).forEach((id) => add(k, id));
    const here = chunkAt(this._run ? this.position() : this._from);
    const ahead = this.playing ? AHEAD : 1;
    const ringing = this._run ? [] : source.ringing(this._from);
    ringing.filter((one) => one.must).forEach(({ k, id }) => add(k, id));
    for (let k = here; k <= here + ahead && k < source.count; k += 1) chunk(k);
    [...this._late, ...ringing.filter((one) => !one.must)].forEach(({ k, id }) => add(k, id));
    const loop = this._bounds();
    if (loop && this._run && loop.end - this.position() < AHEAD * CHUNK_S) {
      chunk(chunkAt(loop.start));
      source.ringing(loop.start).forEach(({ k, id }) => add(k, id));
    }
    return list;
  }

  _ready(k) {
    return this._source.known(k) && this._source.tracks(k).every((id) => this.store.settled(this._source.wanted(k, id).key));
  }

  _place(k, id) {
    const buffer = this.store.get(this._source.wanted(k, id).key);
    if (buffer) this._run.place(buffer, id, k);
  }

  /** Begin at second `from` of the piece at time `when` of the clock, if what sounds there is ready. */
  _begin(from, when) {
    const source = this._source;
    const k = chunkAt(from);
    if (k >= source.count) return this._ended();
    const ringing = source.ringing(from);
    const must = ringing.filter((one) => one.must);
    const settled = ({ k: chunk, id }) => this.store.settled(source.wanted(chunk, id).key);
    if (!this._ready(k) || !must.every(settled)) return false;
    if (this._cautious && k + 1 < source.count && !this._ready(k + 1)) return false;
    this._run = new Run(this.output.context, this.output.input, { when, from, level: (id) => this.level(id) });
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
    const { _run: run, _source: source } = this;
    const now = this.output.now;
    this._late = this._late.filter(({ k, id }) => {
      const settled = this.store.settled(source.wanted(k, id).key);
      if (settled) this._place(k, id);
      return !settled;
    });
    const loop = this._bounds();
    const last = Math.min(source.count, loop ? Math.ceil(loop.end / CHUNK_S - 1e-9) : Infinity);
    while (this._next < last && run.time(this._next) - now < HORIZON_S && this._ready(this._next)) {
      source.tracks(this._next).forEach((id) => this._place(this._next, id));
      this._next += 1;
    }
    if (loop) return this._turnRound(loop, now);
    if (this._next < last) return run.time(this._next) - now < LATE_S ? this._wentDry() : undefined;
    if (now > run.until + RING_S && run.at(now) >= source.duration) this._ended();
    return undefined;
  }

  /** The next chunk is not there: silence at its border, and on from there. */
  _wentDry() {
    this._from = this._next * CHUNK_S;
    this._stop(LATE_S);
    this._cautious = true;
    this._wait();
  }

  /** Where a loop begins and ends, if there is one and the piece is complete. */
  _bounds() {
    const music = this._source?.music;
    if (!this._loop || !music || this._source.count === Infinity) return null;
    const { start = 0, end = music.end } = this._loop;
    return end > start + 0.1 && end > this._from ? { start, end } : null;
  }

  _turnRound(loop, now) {
    const before = this._run;
    const turn = Math.max(before.zero + loop.end, now + LEAD_S);
    if (turn - now > 0.5) {
      if (this._before && now > before.began + 0.1) this._before = null;
      if (this._next * CHUNK_S < loop.end && before.time(this._next) - now < LATE_S) this._wentDry();
      return;
    }
    this._run = null;
    this._from = loop.start;
    before.end(turn, FADE_S);
    if (this._begin(loop.start, turn)) this._before = before;
    else this._wait();
  }

  _ended() {
    this._from = this._source.duration;
    this._stop(FADE_S);
    this._phase = "paused";
    clearInterval(this._timer);
    emit("position", { seconds: this._from, playing: false, source: this.source });
    emit("ended", { seconds: this._from });
    return false;
  }

  _mixed() {
    this._run?.level();
    emit("mix", {});
  }

  // What goes wrong -------------------------------------------------------------------------------------------------------------------

  /** The output device, or the browser's sound, is gone: make it anew and go on. */
  _lost(time) {
    this._from = this._run ? Math.max(this._run.at(time), 0) : this._from;
    this._run = this._before = null;
    this._late = [];
    if (!this.playing) return;
    this._wait();
    this.output.unlock().then(() => this._tick());
  }

  _failed(error) {
    this._problem("sound", error);
  }

  _problem(kind, error) {
    if (this._told === kind) return; // once for each piece, not for each chunk
    this._told = kind;
    emit("player-problem", { kind, error });
    toast(t(`player.${kind}`), { kind: "error", hint: error?.message || t(`player.${kind}_hint`) });
  }
}
