/**
 * The player: what is open sounds, from the first two seconds that are composed on, and without a gap to the end.
 *
 * Sound comes from the server in chunks of two seconds and track by track (sound-source.js says which), is fetched and decoded ahead
 * (sound-store.js), and placed on the clock of the AudioContext (sound-run.js), so that neither a busy page nor a slow network moves a
 * note; sound-clockwork.js keeps it going. Where the next chunk is late, the music stops at its border, "waiting", and goes on from
 * there. When a job is done, the piece's own chunks take over at the next border at which they are there.
 *
 * Tells on the bus: "position" {seconds, playing, source} every frame while playing and after a seek; "playing", "waiting", "paused",
 * "ended", each with {seconds}; "mix" {} when what is muted, solo or how loud has changed; "source" {source}; "player-problem"
 * {kind, error}, kind "sound" or "blocked".
 * Listens to the session's "asked", "idle", "job", "sound", "bar", "restarted", "done", "failed", "cancelled", "open", "music", "closed".
 */

import * as api from "./api.js";
import { emit, on } from "./bus.js";
import { t } from "./i18n.js";
import { Music } from "./music.js";
import { Clockwork } from "./sound-clockwork.js";
import { Mix } from "./sound-mix.js";
import { CHUNK_S } from "./sound-run.js";
import { LiveSource, PieceSource, sameMusic } from "./sound-source.js";
import { toast } from "./toast.js";

const GIVE_UP_FADE_S = 0.3;

export class Player {
  /** @param {any} [session] whose music is played; without one, set `source` */
  constructor(session = null) {
    this.mix = new Mix();
    // What fails before anyone listens is tried again when someone does.
    const onfail = (error) => this.playing && this._problem("sound", error);
    this.clockwork = new Clockwork((id) => this.mix.level(id), onfail);
    this._session = session;
    this._armed = false; // something was asked for in a click, and is to be heard
    this._told = "";
    this._listen();
  }

  // What the page asks for ------------------------------------------------------------------------------------------------------------

  /** Sound, from where it stopped; from the start if that was the end. To be called in a click or a key press. */
  async play() {
    const { clockwork } = this;
    if (!clockwork.source || this.playing) return;
    if (clockwork.source.count < Infinity && clockwork.from >= clockwork.source.duration) clockwork.from = 0;
    clockwork.store.retry();
    this._told = "";
    const unlocking = clockwork.output.unlock();
    clockwork.wait();
    if (!(await unlocking) && this.playing) this._problem("blocked", null);
    clockwork.tick();
  }

  /** Silence, and stay here. */
  pause() {
    this.clockwork.pause();
  }

  /** Play if it is silent, else pause. */
  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  /** Go on from here. @param {number} seconds */
  seek(seconds) {
    const { source } = this.clockwork;
    if (source) this.clockwork.seek(Math.min(Math.max(seconds, 0), source.reach));
  }

  /** Where the music is, in seconds. */
  position() {
    return this.clockwork.position();
  }

  /** Whether it plays, or will as soon as there is something to hear. */
  get playing() {
    return this.clockwork.playing;
  }

  /** From the end of the piece to its start, or within {start, end} in seconds. @param {boolean|{start: number, end: number}|null} loop */
  setLoop(loop) {
    this.clockwork.loop = loop === true ? {} : loop || null;
  }

  /** 0 to 1, a factor of the amplitude. */
  get volume() {
    return this.clockwork.output.volume;
  }

  set volume(value) {
    this.clockwork.output.volume = value;
  }

  /** Nothing is heard here, as when a MIDI port plays; it runs on. */
  get silent() {
    return this.clockwork.output.silent;
  }

  set silent(value) {
    this.clockwork.output.silent = value;
  }

  /** @param {string} id of a track @param {boolean} [muted] */
  mute(id, muted = true) {
    this.mix.mute(id, muted);
    this._mixed();
  }

  /** Only the tracks that are solo are heard, if any is. @param {string} id @param {boolean} [only] */
  solo(id, only = true) {
    this.mix.soloed(id, only);
    this._mixed();
  }

  /** @param {string} id @param {number} value 0 to 1, a factor of the amplitude */
  setTrackVolume(id, value) {
    this.mix.volumes.set(id, Math.min(Math.max(Number(value) || 0, 0), 1));
    this._mixed();
  }

  isMuted(id) {
    return this.mix.muted.has(id);
  }

  isSolo(id) {
    return this.mix.solo.has(id);
  }

  trackVolume(id) {
    return this.mix.volume(id);
  }

  /** How loud a track is heard, 0 to 1. @param {string} id */
  level(id) {
    return this.mix.level(id);
  }

  /** What is played: {job, number} or {piece}, or null. */
  get source() {
    return this.clockwork.about;
  }

  set source(about) {
    if (JSON.stringify(about) === JSON.stringify(this.source)) return;
    if (!about) this._take(null);
    else if (about.piece) this._takePiece(about.piece);
    else this._take(new LiveSource(about.job, about.number || 0, new Music()));
  }

  /** The notes of what is played, or null. */
  get music() {
    return this.clockwork.source?.music || null;
  }

  /** What is heard, after volume and limiter; null before the first play. */
  get analyser() {
    return this.clockwork.output.analyser;
  }

  get context() {
    return this.clockwork.output.context;
  }

  // From source to source ----------------------------------------------------------------------------------------------------------------

  _listen() {
    const live = (fn) => (told) => {
      const { source } = this.clockwork;
      if (!(source instanceof LiveSource) || told.job?.id !== source.job) return;
      if ((told.number ?? source.number) === source.number) fn(source, told);
    };
    on("asked", () => {
      this._armed = true;
      this.clockwork.output.unlock(); // in the click that composes, while the browser allows it
    });
    on("idle", () => (this._armed = false));
    on("job", ({ job }) => this._follow(job));
    on("sound", live((source, { chunk, programs }) => this._heard(source, chunk, programs)));
    on("bar", live((source, { end_s: end }) => source.bar(end)));
    on("restarted", live((source) => this._restarted(source)));
    for (const name of ["done", "failed", "cancelled"]) on(name, live((source) => this._over(source)));
    on("open", ({ record, job }) => this._open(record, job));
    on("music", () => this._shown());
    on("closed", () => this._take(null));
    document.addEventListener("visibilitychange", () => {
      const { output } = this.clockwork;
      if (document.visibilityState === "visible" && this.playing && !output.running) output.unlock();
    });
  }

  _follow(job) {
    this._take(new LiveSource(job.id, 0, this._session.current.music));
    if (this._armed) this.clockwork.wait(); // not after a reload: nothing sounds that nobody asked for
    this._armed = false;
  }

  /** Another piece of the same job is looked at. */
  _shown() {
    const { job, number, music } = this._session?.current || {};
    const { source } = this.clockwork;
    if (!job || !(source instanceof LiveSource) || source.job !== job.id) return;
    if (source.number === number) source.music = music;
    else this._take(new LiveSource(job.id, number, music));
  }

  _heard(source, chunk, programs) {
    const fresh = source.tell(chunk, programs);
    this.clockwork.join(chunk, fresh.map((program) => `p${program}`));
  }

  /** The attempt is given up: fade out, and begin with the first chunk of the next. */
  _restarted(source) {
    this.clockwork.store.clear(source.key);
    source.restart();
    this.clockwork.seek(0, GIVE_UP_FADE_S);
  }

  _over(source) {
    source.over = true;
    this.clockwork.tick();
  }

  _open(record, job) {
    const { music } = this._session.current;
    const { source } = this.clockwork;
    const piece = new PieceSource(record.id, music);
    if (job && source instanceof LiveSource && source.job === job.id && sameMusic(source.music, music, this.position() + CHUNK_S)) {
      this._handOver(piece);
      return;
    }
    const wanted = this.playing;
    this._take(piece);
    if (wanted) this.clockwork.wait();
  }

  /** The piece is complete: from the next border on its own chunks are heard, with its pans and controllers. */
  _handOver(piece) {
    this.mix.carry(piece.music);
    this.clockwork.goOnWith(piece);
    this._mixed();
  }

  _take(source) {
    const before = this.clockwork.source;
    this.mix.clear();
    this._told = "";
    this.clockwork.take(source);
    if (before instanceof LiveSource) this.clockwork.store.clear(before.key);
    emit("source", { source: this.source });
    emit("mix", {});
  }

  async _takePiece(id) {
    const open = this._session?.current;
    const source = new PieceSource(id, open?.record?.id === id ? open.music : null);
    this._take(source);
    if (source.music) return;
    try {
      source.music = Music.fromNotes(await api.get(`/pieces/${id}/notes`));
    } catch (error) {
      if (this.clockwork.source === source) this._problem("sound", error);
    }
    this.clockwork.tick();
  }

  _mixed() {
    this.clockwork.level();
    emit("mix", {});
  }

  _problem(kind, error) {
    if (this._told === kind) return; // once for each piece, not for each chunk
    this._told = kind;
    emit("player-problem", { kind, error });
    toast(t(`player.${kind}`), { kind: "error", hint: error?.hint || t(`player.${kind}_hint`) });
  }
}
