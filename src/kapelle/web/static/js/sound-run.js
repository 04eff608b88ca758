/**
 * One run of sound: chunks placed on the clock of an AudioContext, from a start to a pause, a seek, or the end.
 *
 * Time zero of the piece is `zero` of the clock, on a whole sample, and chunk k begins CHUNK_S * k later, on a whole sample too: chunks
 * overlap and add up to the piece without a seam. Each track has a gain; all of them meet in one that fades the run in and out, so that
 * runs follow each other without a click. A run knows nothing of where chunks come from.
 */

import { RAMP_S, SOON_S } from "./sound-output.js";

export const CHUNK_S = 2; // kapelle.render.chunks.CHUNK_S; /api/about tells it too

const FADE_IN_S = 0.008;
const LATE_FADE_S = 0.04;

export class Run {
  /**
   * @param {BaseAudioContext} context
   * @param {AudioNode} output
   * @param {{when: number, from: number, level: (id: string) => number}} start the clock's time and the piece's second at which it
   * begins, and how loud each track is
   */
  constructor(context, output, { when, from, level }) {
    this.context = context;
    this.began = this._whole(when);
    this.from = this._whole(from);
    this.zero = this.began - this.from;
    this.until = this.began; // of the clock: when the last chunk will have rung out
    this._level = level;
    this._sources = new Set();
    this._tracks = new Map();
    this._bus = context.createGain();
    if (from > 0) {
      this._bus.gain.setValueAtTime(0, 0);
      this._bus.gain.setValueAtTime(0, this.began);
      this._bus.gain.linearRampToValueAtTime(1, this.began + FADE_IN_S);
    }
    this._bus.connect(output);
    this._end = Infinity; // of the clock: when it is silent
  }

  _whole(seconds) {
    const rate = this.context.sampleRate;
    return Math.round(seconds * rate) / rate;
  }

  /** The piece's second at a time of the clock. @param {number} time */
  at(time) {
    return time - this.zero;
  }

  /** When chunk k begins, on the clock. @param {number} k */
  time(k) {
    return this.zero + k * CHUNK_S;
  }

  /**
   * Let chunk k of a track sound: from its beginning, or from where it would be by now if that is past.
   * @param {AudioBuffer} buffer @param {string} id of the track @param {number} k
   */
  place(buffer, id, k) {
    const begin = this.time(k);
    const earliest = this._whole(Math.max(this.began, this.context.currentTime + SOON_S));
    const late = begin < earliest - 1e-9;
    const when = late ? earliest : begin;
    const offset = late ? earliest - begin : 0;
    if (when >= this._end || offset >= buffer.duration) return;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    const fading = late && earliest > this.began ? this._fadingIn(when, id) : null;
    source.connect(fading || this._track(id));
    source.onended = () => {
      source.disconnect();
      fading?.disconnect();
      this._sources.delete(source);
    };
    source.start(when, offset);
    this._sources.add(source);
    this.until = Math.max(this.until, when + buffer.duration - offset);
  }

  _fadingIn(when, id) {
    const gain = this.context.createGain();
    gain.gain.setValueAtTime(0, 0);
    gain.gain.setValueAtTime(0, when);
    gain.gain.linearRampToValueAtTime(1, when + LATE_FADE_S);
    gain.connect(this._track(id));
    return gain;
  }

  _track(id) {
    if (!this._tracks.has(id)) {
      const gain = this.context.createGain();
      gain.gain.value = this._level(id);
      gain.connect(this._bus);
      this._tracks.set(id, gain);
    }
    return this._tracks.get(id);
  }

  /** Take over how loud the tracks are to be, without a click. */
  level() {
    for (const [id, gain] of this._tracks) gain.gain.setTargetAtTime(this._level(id), this.context.currentTime + SOON_S, RAMP_S);
  }

  /** Fade out, then stop everything; once more, and sooner, if asked. @param {number} when of the clock @param {number} fade seconds */
  end(when, fade) {
    const start = Math.max(when, this.context.currentTime + SOON_S);
    if (start + fade >= this._end) return;
    this._end = start + fade;
    const gain = this._bus.gain;
    const level = start < this.began ? 0 : 1;
    gain.cancelScheduledValues(start);
    gain.setValueAtTime(level, start);
    gain.linearRampToValueAtTime(0, start + fade);
    for (const source of this._sources) source.stop(this._end + 0.01);
    setTimeout(() => this._bus.disconnect(), (this._end + 0.1 - this.context.currentTime) * 1000);
  }
}
