/**
 * The piano roll: notes while they arrive and while they sound, with bars, regions, keys and drums; moved and zoomed by wheel, finger,
 * button and key. Two canvases lie over each other, so that the playhead moves without the notes being drawn again, and a strip below
 * shows the whole piece. roll-view.js says where things are, roll-paint.js and roll-motion.js draw them, roll-input.js takes hands
 * and keys, roll-words.js says the same in words.
 *
 * Listens to "music", "music-grown", "open", "position", "playing", "paused", "ended", "loop", "mix", "job", "idle", "state", "closed",
 * "language". Tells "loop" {loop: [from, to] | null}, and takes {loop: true} for the whole piece. It makes no sound and changes no note.
 */

import { emit, on } from "./bus.js";
import { el, icon } from "./dom.js";
import { takeInput } from "./roll-input.js";
import { Motion } from "./roll-motion.js";
import { Painter } from "./roll-paint.js";
import { View } from "./roll-view.js";
import { describe, sayAll } from "./roll-words.js";

const SPARK_MS = 750;
const CALM_MS = 110; // how softly the picture follows
const SLIDE_MS = 320; // how long a throw of the finger goes on
const SPARKS_AT_MOST = 400;
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

class Roll {
  constructor(element, session, player) {
    Object.assign(this, { element, session, player });
    this.view = new View();
    this.painter = new Painter(this.view);
    this.motion = new Motion(this.painter);
    this.music = session.current.music;
    this.silent = new Set();
    this.position = 0;
    this.playing = false;
    this.follow = true;
    /** @type {number[]|null} */
    this.loop = null;
    this.sparks = [];
    /** For tests and measurements: frames drawn, and the milliseconds of the last whole picture and of the last moving part. */
    this.stats = { frames: 0, stillMs: 0, movingMs: 0, stillMax: 0 };
    this._continues = false;
    this._frame = 0;
    this._last = 0;
    this.thrown = 0; // pixels in a millisecond
    this._target = null; // where the picture is going while nothing plays
    this._build();
    this.recolour();
    this._listen();
    takeInput(this);
    this.opened();
  }

  _build() {
    this.still = el("canvas", { class: "roll-still", "aria-hidden": "true" });
    this.canvas = el("canvas", { class: "roll-moving", role: "img", tabindex: 0 });
    this.map = el("canvas", { class: "roll-map", "aria-hidden": "true" });
    this.hint = el("p", { class: "roll-hint", "aria-hidden": "true", hidden: true });
    this.empty = el("div", { class: "roll-empty empty" }, icon("note"), el("p", { class: "roll-empty-title" }), el("p", {}));
    this.again = el("button", { type: "button", class: "button small roll-follow", hidden: true, on: { click: () => this.setFollow(true) } }, icon("follow"), el("span"));
    this.tools = el("div", { class: "roll-tools", role: "group" }, ...this._tools());
    this.foot = el("div", { class: "roll-foot" }, el("div", { class: "roll-map-box" }, this.map), this.tools);
    this.table = el("div", { class: "unseen" });
    this.stage = el("div", { class: "roll-stage" }, this.still, this.canvas, this.empty, this.hint, this.again);
    this.element.append(el("div", { class: "roll", role: "group" }, this.stage, this.foot, this.table));
  }

  _tools() {
    const tool = (key, drawing, fn) => el("button", { type: "button", class: "icon-button", "data-t-label": key, on: { click: fn } }, icon(drawing));
    return [
      tool("roll.narrower", "minus", () => this.zoomTime(1 / 1.5)),
      tool("roll.wider", "plus", () => this.zoomTime(1.5)),
      tool("roll.lower", "lower", () => this.zoomPitch(1 / 1.3)),
      tool("roll.taller", "taller", () => this.zoomPitch(1.3)),
      tool("roll.fit", "fit", () => this.fit()),
    ];
  }

  _listen() {
    on("open", ({ job }) => (this._continues = Boolean(job)));
    on("music", ({ music }) => this._take(music));
    on("music-grown", (told) => told.music === this.music && this._grown(told));
    on("position", ({ seconds, playing }) => this._moved(seconds, playing));
    for (const name of ["playing", "paused", "ended"]) on(name, () => this._moved(this.player.position(), name === "playing"));
    on("mix", () => this._mixed());
    on("loop", ({ loop }) => {
      this.loop = Array.isArray(loop) ? loop : null;
      this.request();
    });
    for (const name of ["job", "idle", "state", "closed"]) on(name, () => this._words());
    on("language", () => this._words());
    new MutationObserver(() => this.recolour()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => this._resize()).observe(this.stage);
    new ResizeObserver(() => this._resize()).observe(this.map.parentElement);
  }

  // -- music ----------------------------------------------------------------------------------------------------------------------

  _take(music) {
    const before = this.music;
    this.music = music;
    const same = this._continues && Math.abs(before.duration - music.duration) < 1.5;
    this._continues = false;
    this.sparks = [];
    this.opened(same);
  }

  /** Show the music that is open now. @param {boolean} [same] it is what was shown: the look at it stays */
  opened(same = false) {
    this.view.take(this.music);
    if (!same) {
      this.view.open(this.music);
      this._fresh = true; // until it is moved or zoomed, a new size gets a new first look
      this.position = this.player.position();
      this.setFollow(true);
      this.setLoop(null);
    }
    this._words();
    this._mixed();
  }

  _grown({ added, reset }) {
    if (reset) {
      this.sparks = [];
      this.view.take(this.music);
    } else this.view.grow(this.music, added);
    if (!calm.matches) {
      const born = performance.now();
      const fresh = added.slice(-SPARKS_AT_MOST).map(({ track, note }) => ({ track, note, born, life: SPARK_MS }));
      this.sparks.push(...fresh);
    }
    if (this.empty.hidden !== this.music.nNotes > 0 || reset) this._words();
    this._tableLater();
    this.renew();
  }

  /** Tracks that are not heard are pale. */
  _mixed() {
    this.silent = new Set(this.music.tracks.filter(({ id }) => this.player.level(id) === 0).map(({ id }) => id));
    this.renew();
  }

  _moved(seconds, playing) {
    this.position = seconds;
    this.playing = playing;
    this.request();
  }

  // -- words ----------------------------------------------------------------------------------------------------------------------

  /** Say everything in the page's language. */
  _words() {
    sayAll(this);
    this._describe();
    this.renew();
  }

  _tableLater() {
    this._described ??= setTimeout(() => this._describe(), 1500);
  }

  _describe() {
    clearTimeout(this._described);
    this._described = undefined;
    describe(this);
  }

  // -- look -----------------------------------------------------------------------------------------------------------------------

  /** Take the colours of the page, which may have changed. */
  recolour() {
    this.painter.recolour(this.element);
    this.renew();
  }

  /** Follow the playhead, or stop following it. @param {boolean} wanted */
  setFollow(wanted) {
    this.follow = wanted;
    this.again.hidden = wanted || this.music.nNotes === 0;
    if (wanted) this.request();
  }

  /** The range that is played again and again, or null. @param {number[]|null} range seconds */
  setLoop(range) {
    if (!range && !this.loop) return;
    this.loop = range;
    this.player.setLoop(range ? { start: range[0], end: range[1] } : null);
    emit("loop", { loop: range });
  }

  /** Play on from `seconds`. */
  seek(seconds) {
    const at = Math.max(0, Math.min(seconds, this.music.duration));
    this.player.seek(at);
    this._moved(at, this.playing);
  }

  /** Make time wider; what stands at `x` stays there, the playhead if it is in sight and no `x` is given. */
  zoomTime(factor, x) {
    const { view } = this;
    const middle = view.shows(this.position) ? view.x(this.position) : view.x(view.left + view.span / 2);
    this._fresh = false;
    view.zoomTime(factor, x ?? middle);
    this.redraw();
  }

  /** Make pitches higher around the height `y`. */
  zoomPitch(factor, y) {
    this.view.zoomPitch(factor, y ?? this.view.top + this.view.pitchHeight / 2);
    this.redraw();
  }

  /** Move by pixels; moving in time is no longer following. */
  pan(dx, dy) {
    this._fresh = false;
    this.view.pan(dx, dy);
    this._target = null;
    if (dx !== 0) this.setFollow(false);
    this.redraw();
  }

  /** Show the whole piece. */
  fit() {
    this._fresh = false;
    this.view.fit();
    this.redraw();
  }

  /** The same places that the drawing uses, for tests. */
  x(seconds) {
    return this.view.x(seconds);
  }

  /** The middle of a pitch. */
  y(pitch) {
    return this.view.y(pitch) + this.view.row / 2;
  }

  // -- frames ---------------------------------------------------------------------------------------------------------------------

  /** Draw the picture again in the next frame. */
  redraw() {
    this._stale = true;
    this.request();
  }

  /** Draw everything again in the next frame, the strip of the whole piece too. */
  renew() {
    this._mapStale = true;
    this.redraw();
  }

  /** Draw what moves in the next frame. */
  request() {
    this._frame ||= requestAnimationFrame((now) => this._draw(now));
  }

  _resize() {
    this._dpr = 0;
    this.renew();
  }

  _measure() {
    const dpr = window.devicePixelRatio || 1;
    if (dpr === this._dpr) return;
    this._dpr = dpr;
    const box = this.stage.getBoundingClientRect();
    for (const canvas of [this.still, this.canvas]) size(canvas, box.width, box.height, dpr);
    const strip = this.map.parentElement.getBoundingClientRect();
    size(this.map, strip.width, strip.height, dpr);
    const width = this.view.width;
    this.view.resize(box.width, box.height);
    if (this._fresh && width !== this.view.width) this.view.open(this.music);
    this._stale = true;
    this._mapStale = true;
  }

  _draw(now) {
    this._frame = 0;
    this._measure();
    const moves = this._slide(now) || this._glide(now);
    const scene = {
      music: this.music,
      dimmed: this.silent,
      words: this.drumWords || {},
      position: this.position,
      playing: this.playing,
      loop: this.loop,
      sparks: (this.sparks = this.sparks.filter((spark) => now - spark.born < spark.life)),
      now,
      front: this.music.live && this.session.busy && this.music.nNotes > 0,
    };
    const begun = performance.now();
    if (this._stale) {
      this._stale = false;
      this.painter.still(context(this.still, this._dpr), scene, this._dpr);
      this.stats.stillMs = performance.now() - begun;
      this.stats.stillMax = Math.max(this.stats.stillMax, this.stats.stillMs);
    }
    const half = performance.now();
    this.motion.moving(context(this.canvas, this._dpr), scene);
    this.stats.movingMs = performance.now() - half;
    this._strip(now);
    this.stats.frames += 1;
    if (moves || this.sparks.length > 0 || this._mapStale) this.request();
  }

  /** Go on as a finger threw it, slower and slower; whether it still moves. */
  _slide(now) {
    if (!this.thrown) return false;
    const passed = Math.min(now - this._last, 100);
    this._last = now;
    this.view.pan(this.thrown * passed, 0);
    this.thrown *= Math.exp(-passed / SLIDE_MS);
    if (Math.abs(this.thrown) < 0.02 || this.held) this.thrown = 0;
    this._stale = true;
    return this.thrown !== 0;
  }

  /** Move the picture towards the playhead, or the end of what is composed; whether it still moves. */
  _glide(now) {
    const passed = Math.min(now - this._last, 100);
    this._last = now;
    if (!this.follow || this.music.nNotes === 0 || this.held) return false;
    const { view } = this;
    const widens = this._widen(passed);
    const composing = this.music.live && this.session.busy && !this.playing;
    if (!this.playing && !view.shows(this.position)) this._target = view.leftFor(this.position); // somebody went there
    const there = this.playing ? view.leftFor(this.position) : (this._target ?? view.left);
    const wanted = composing ? Math.max(0, this.music.end - view.span * 0.86) : there;
    if (calm.matches && !composing && this.playing && view.shows(this.position) && this.position < view.left + view.span * 0.94) return widens;
    const way = wanted - view.left;
    if (Math.abs(way) * view.pps < 0.05) {
      this._target = null;
      return widens;
    }
    const far = Math.abs(way) * view.pps > view.timeWidth * 2;
    view.left += calm.matches || far || Math.abs(way) * view.pps < 0.5 ? way : way * (1 - Math.exp(-passed / CALM_MS));
    this._stale = true;
    return true;
  }

  /** Show more time while a piece grows, until somebody moves or zooms; whether that goes on. */
  _widen(passed) {
    const { view } = this;
    const way = view.growing / view.pps - 1;
    if (!this.music.live || !this._fresh || way > -0.002) return false;
    view.pps *= 1 + way * (calm.matches ? 1 : 1 - Math.exp(-passed / (3 * CALM_MS)));
    this._stale = true;
    return true;
  }

  _strip(now) {
    if (this.foot.hidden) {
      this._mapStale = false;
      return;
    }
    if (this._mapStale && now - (this._mapAt || 0) > (this.music.live ? 250 : 0)) {
      this._mapStale = false;
      this._mapAt = now;
      this._mapCopy ??= document.createElement("canvas");
      this._mapCopy.width = this.map.width;
      this._mapCopy.height = this.map.height;
      this.motion.strip(context(this._mapCopy, this._dpr), this.music, this.silent, this.map.width / this._dpr, this.map.height / this._dpr);
    }
    if (!this._mapCopy?.width) return;
    this.motion.stripNow(context(this.map, this._dpr), this._mapCopy, this, this.map.width / this._dpr, this.map.height / this._dpr);
  }
}

function size(canvas, width, height, dpr) {
  canvas.width = Math.max(1, Math.round(width * dpr));
  canvas.height = Math.max(1, Math.round(height * dpr));
}

function context(canvas, dpr) {
  const ctx = canvas.getContext("2d");
  ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
  return ctx;
}

/**
 * Put the piano roll into `element`.
 * @param {HTMLElement} element @param {any} session @param {any} player
 */
export function mountRoll(element, session, player) {
  return new Roll(element, session, player);
}
