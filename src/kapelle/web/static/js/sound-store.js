/**
 * Chunks of sound, fetched and decoded ahead of when they are needed, and kept within a budget of memory.
 *
 * `want()` takes what is needed in the order in which it is needed, and replaces what was wanted before; a few are fetched at a time.
 * Nothing is given up while the server is away: it is asked again until it answers. What it refuses, or what cannot be decoded, is
 * "failed": silence, told once through `onfail`.
 */

import { fetchRaw } from "./api.js";

const AT_ONCE = 4;
const BUDGET_BYTES = 96 * 2 ** 20;
const WAITS_S = [0.3, 1, 2, 4];
const AWAY = new Set([0, 429, 502, 503, 504]); // not there, or busy
const MOST_TRIES = 3; // where the server answers that it cannot

/** @typedef {{key: string, path: string, fresh: boolean}} Wanted */

export class Store {
  /**
   * @param {(bytes: ArrayBuffer) => Promise<AudioBuffer>} decode
   * @param {{onready?: () => void, onfail?: (error: any) => void, budget?: number}} [options]
   */
  constructor(decode, { onready = () => {}, onfail = () => {}, budget = BUDGET_BYTES } = {}) {
    this._decode = decode;
    this._onready = onready;
    this._onfail = onfail;
    this._budget = budget;
    /** @type {Map<string, {state: "loading"|"ready"|"failed", buffer: AudioBuffer|null, stop: AbortController}>} in order of use */
    this._entries = new Map();
    /** @type {Wanted[]} */
    this._queue = [];
    this._keep = new Set();
    this._loading = 0;
    this.bytes = 0;
  }

  /** What is needed now and soon, first things first. @param {Wanted[]} list */
  want(list) {
    this._keep = new Set(list.map((one) => one.key));
    this._queue = list.filter((one) => !this._entries.has(one.key));
    for (const [key, entry] of this._entries) if (entry.state === "loading" && !this._keep.has(key)) this._drop(key, entry);
    this._pump();
  }

  /** Whether nothing more will come for this key: it is there, or it will never be. @param {string} key */
  settled(key) {
    const entry = this._entries.get(key);
    return entry !== undefined && entry.state !== "loading";
  }

  /** The sound, or null where there is none. @param {string} key @returns {AudioBuffer|null} */
  get(key) {
    const entry = this._entries.get(key);
    if (!entry?.buffer) return null;
    this._entries.delete(key);
    this._entries.set(key, entry); // used last, dropped last
    return entry.buffer;
  }

  /** Forget what failed, so that it is tried again. */
  retry() {
    for (const [key, entry] of this._entries) if (entry.state === "failed") this._entries.delete(key);
  }

  /** Forget everything whose key begins so. @param {string} [prefix] */
  clear(prefix = "") {
    this._queue = this._queue.filter((one) => !one.key.startsWith(prefix));
    for (const [key, entry] of this._entries) if (key.startsWith(prefix)) this._drop(key, entry);
  }

  _drop(key, entry) {
    entry.stop.abort();
    this._entries.delete(key);
    this.bytes -= size(entry.buffer);
  }

  _pump() {
    while (this._loading < AT_ONCE && this._queue.length > 0) this._load(this._queue.shift());
  }

  async _load({ key, path, fresh }) {
    const entry = { state: "loading", buffer: null, stop: new AbortController() };
    this._entries.set(key, entry);
    this._loading += 1;
    try {
      const bytes = await this._fetch(path, fresh, entry.stop.signal);
      entry.buffer = await this._decode(bytes);
      entry.state = "ready";
    } catch (error) {
      entry.state = "failed";
      if (!entry.stop.signal.aborted) this._onfail(error);
    }
    this._loading -= 1;
    if (this._entries.get(key) === entry) {
      this.bytes += size(entry.buffer);
      this._shrink();
      this._onready();
    }
    this._pump();
  }

  async _fetch(path, fresh, signal) {
    for (let tries = 0; ; tries += 1) {
      try {
        const answer = await fetchRaw(path, { signal, cache: fresh ? "no-store" : "default" });
        return await answer.arrayBuffer();
      } catch (error) {
        const broken = error instanceof TypeError; // the connection went in the middle of the answer
        const again = broken || AWAY.has(error.status) || (error.status >= 500 && tries + 1 < MOST_TRIES);
        if (signal.aborted || !again) throw error;
        const seconds = error.retryAfter || WAITS_S[Math.min(tries, WAITS_S.length - 1)];
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        if (signal.aborted) throw error;
      }
    }
  }

  _shrink() {
    for (const [key, entry] of this._entries) {
      if (this.bytes <= this._budget) return;
      if (entry.state === "ready" && !this._keep.has(key)) this._drop(key, entry);
    }
  }
}

const size = (buffer) => (buffer ? buffer.length * buffer.numberOfChannels * 4 : 0);
