/**
 * Where sound leaves the page: one AudioContext, a volume, a limiter, and an analyser that shows what is heard.
 *
 * Everything that sounds is connected to `input`. The context is made at the first `unlock()`, which must be called in a click or a key
 * press: browsers keep contexts silent that were made without one. When the system takes the context away (an output device that is
 * gone), it is made anew and `onlost` is called: what was scheduled in the old one is lost.
 */

const RATE_HZ = 44_100; // of the chunks: in a context of this rate they are added up sample by sample, without resampling

// Chunks are made quiet enough that none of them clips; the limiter holds the sum.
const MAKE_UP = 1.6;
const LIMIT = { threshold: -4, knee: 2, ratio: 20, attack: 0.002, release: 0.15 };
export const RAMP_S = 0.015;
export const SOON_S = 0.02; // the sound is rendered in blocks ahead of the clock that the page reads: a ramp from "now" would begin with a step

export class Output {
  /** @param {(time: number) => void} [onlost] is told when, on the clock that is gone */
  constructor(onlost = () => {}) {
    /** @type {AudioContext|null} */
    this.context = null;
    /** @type {AnalyserNode|null} */
    this.analyser = null;
    /** @type {GainNode|null} */
    this.input = null;
    this._volume = null;
    this._loudness = 1;
    this._silent = false;
    this._onlost = onlost;
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.context?.state === "suspended" && this._wanted && this.unlock());
    this._wanted = false;
  }

  /** Make and start the context; to be called in a click. Resolves when it runs, or at once if the browser does not let it. */
  async unlock() {
    this._wanted = true;
    if (!this.context || this.context.state === "closed") this._make();
    if (this.context.state !== "running") await Promise.race([this.context.resume(), wait(500)]).catch(() => {});
    return this.context.state === "running";
  }

  _make() {
    const context = newContext();
    context.addEventListener("error", () => this._lost(context));
    context.addEventListener("statechange", () => context.state === "closed" && this._lost(context));
    this.context = context;
    this.input = context.createGain();
    this.input.gain.value = MAKE_UP;
    this._volume = context.createGain();
    this._volume.gain.value = this._level();
    const limiter = context.createDynamicsCompressor();
    for (const [name, value] of Object.entries(LIMIT)) limiter[name].value = value;
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 2048;
    this.input.connect(this._volume).connect(limiter).connect(this.analyser).connect(context.destination);
  }

  _lost(context) {
    if (this.context !== context) return;
    this.context = null;
    context.close?.().catch?.(() => {});
    this._onlost(context.currentTime);
  }

  /** Seconds of the context's clock; 0 without one. */
  get now() {
    return this.context ? this.context.currentTime : 0;
  }

  /** Seconds from a sample's time to the ear, as far as the browser tells. */
  get latency() {
    return this.context ? this.context.outputLatency || this.context.baseLatency || 0 : 0;
  }

  /** Whether sound is really coming out. */
  get running() {
    return this.context?.state === "running";
  }

  /** 0 to 1, a factor of the amplitude. */
  get volume() {
    return this._loudness;
  }

  set volume(value) {
    this._loudness = Math.min(Math.max(Number(value) || 0, 0), 1);
    this._turn();
  }

  /** Nothing is to be heard here, because something else plays. */
  get silent() {
    return this._silent;
  }

  set silent(value) {
    this._silent = Boolean(value);
    this._turn();
  }

  _level() {
    return this._silent ? 0 : this._loudness;
  }

  _turn() {
    if (this.context) this._volume.gain.setTargetAtTime(this._level(), this.now + SOON_S, RAMP_S);
  }

  /** A file's bytes as samples. Works before the context is there, so that a chunk can be ready when play is pressed. */
  decode(bytes) {
    const rate = this.context?.sampleRate || RATE_HZ;
    return new OfflineAudioContext(2, 1, rate).decodeAudioData(bytes);
  }
}

function newContext() {
  try {
    return new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
  } catch {
    return new AudioContext(); // a browser or device that knows one rate only resamples the chunks
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
