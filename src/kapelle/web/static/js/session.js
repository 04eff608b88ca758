/**
 * What this tab composes and what it shows: starts jobs, follows them over reloads, lost connections and restarts of the server.
 *
 * `session.current` = {job|null, record|null, music, number} is what is open: music that is being made (job; `number` says which piece
 * of it) or a piece of the library (record). `session.job` is the job this tab started and that has not ended, open or not.
 * Tells on the bus, each with {job} where a job is meant: "job", "state", "notes" {number, notes}, "bar" {number, bar, n_bars, end_s},
 * "restarted" {number, attempt, reasons}, "sound" {number, chunk, programs}, "progress" {done, left_s}, "piece" {number, id},
 * "done" {pieces, result}, "failed" {error}, "cancelled", "idle" (the job has ended, in whatever way), "connection" {ok},
 * "open" {record, job|null: the job that made it just now}, "music" {music}, "library-changed" {}.
 * Between tabs it sends "the library has changed" and "I follow this job": each tab follows what it started.
 */

import * as api from "./api.js";
import { emit, on } from "./bus.js";
import { Music } from "./music.js";

const FOLLOWED = "kapelle.job"; // this tab's job, over reloads
const OPENED = "kapelle.open"; // this tab's piece, over reloads
const STARTED = "kapelle.started"; // jobs this browser started, for a tab that was closed and is opened again
const TRIES_S = [0.4, 1.2, 3];
const channel = "BroadcastChannel" in window ? new BroadcastChannel("kapelle") : null;

class Session {
  constructor() {
    /** @type {{job: any, record: any, music: Music, number: number}} */
    this.current = { job: null, record: null, music: new Music(), number: 0 };
    /** @type {any} */
    this.job = null;
    this._stop = () => {};
    this._opening = 0;
    this._before = null; // the piece that was open when the job began
  }

  /** Whether a job of this tab is waiting or running. */
  get busy() {
    return this.job !== null;
  }

  /**
   * Ask for pieces and follow how they come.
   * @param {string} verb compose, extend, accompany, develop, bridge or interpolate
   * @param {object} body as the API takes it
   */
  compose(verb, body) {
    return this._start(`/${verb}`, body);
  }

  /** Make a piece of the library again: the same bytes. @param {string} id */
  again(id) {
    return this._start(`/pieces/${id}/again`, {});
  }

  /** A new piece like this one: another seed, the rest kept. @param {string} id @param {object} [body] */
  vary(id, body = {}) {
    return this._start(`/pieces/${id}/vary`, body);
  }

  /**
   * Run a job that makes no piece to listen to at once (rank, evaluate ...), beside whatever is open.
   * @param {string} path @param {object} body @param {(progress: {done: number, left_s: number}) => void} [progress]
   * @returns {Promise<{pieces: string[], result: any}>}
   */
  async run(path, body, progress = () => {}) {
    const job = await send(path, body);
    return new Promise((resolve, reject) => {
      api.events(job.id, {
        progress,
        done: resolve,
        failed: ({ error }) => reject(new api.ApiError(500, error || {})),
        cancelled: () => reject(new api.ApiError(409, {})),
        gone: reject,
      });
    });
  }

  async _start(path, body) {
    if (this.busy) return null;
    this.job = { id: "", state: "asked", position: 0, progress: 0 };
    emit("asked", { job: this.job });
    try {
      const job = await send(path, body);
      const { unwanted } = this.job;
      remember(job.id);
      this.follow(job);
      if (unwanted) await this.cancel();
      return job;
    } catch (error) {
      this.job = null;
      emit("idle", {});
      throw error;
    }
  }

  /** Show a job from its first event on. @param {any} job */
  follow(job) {
    this._stop();
    this._opening += 1;
    this._before = this.current.record?.id ?? null;
    this.job = job;
    this.current = { job, record: null, music: new Music(), number: 0 };
    sessionStorage.setItem(FOLLOWED, job.id);
    sessionStorage.removeItem(OPENED);
    emit("job", { job });
    emit("music", { music: this.current.music });
    this._stop = api.events(job.id, this._handlers(job));
  }

  _shown(job, number) {
    return this.current.job === job && this.current.number === number;
  }

  _handlers(job) {
    const pass = (name) => (data) => emit(name, { ...data, job });
    return {
      state: (data) => {
        job.state = data.state;
        job.position = data.position;
        emit("state", { ...data, job });
      },
      progress: (data) => {
        job.progress = data.done;
        emit("progress", { ...data, job });
      },
      notes: (data) => {
        if (this._shown(job, data.number)) this.current.music.addNotes(data.notes);
        emit("notes", { ...data, job });
      },
      bar: (data) => {
        if (this._shown(job, data.number)) this.current.music.addBar(data);
        emit("bar", { ...data, job });
      },
      restarted: (data) => {
        if (this._shown(job, data.number)) this.current.music.reset();
        emit("restarted", { ...data, job });
      },
      sound: pass("sound"),
      piece: (data) => {
        emit("piece", { ...data, job });
        this.libraryChanged();
      },
      done: (data) => this._done(job, data),
      failed: (data) => this._ended(job, "failed", data),
      cancelled: (data) => this._ended(job, "cancelled", data),
      connection: (data) => emit("connection", data),
      gone: (error) => this._ended(job, "failed", { error: { kind: error.kind, message: error.message, hint: error.hint } }),
    };
  }

  async _done(job, data) {
    Object.assign(job, { state: "done", progress: 1, pieces: data.pieces || [], result: data.result });
    this._over();
    emit("done", { ...data, pieces: job.pieces, job });
    emit("idle", { job });
    this.libraryChanged();
    if (this.current.job !== job || job.pieces.length === 0) return;
    await this._open(job.pieces[0], job).catch((error) => {
      if (this.current.job === job) this.close();
      emit("failed", { job, error }); // it is in the library, yet cannot be shown
    });
  }

  _ended(job, name, data) {
    job.state = name;
    this._over();
    emit(name, { ...data, job });
    emit("idle", { job });
    this.libraryChanged();
    if (this.current.job !== job || this.current.music.nNotes > 0) return;
    if (this._before) this.open(this._before).catch(() => this.close()); // nothing came: back to what was open
    else this.close();
  }

  _over() {
    this.job = null;
    sessionStorage.removeItem(FOLLOWED);
  }

  /** Stop the job of this tab; what of it is already a piece stays. */
  async cancel() {
    if (this.job?.id) await api.del(`/jobs/${this.job.id}`);
    else if (this.job) this.job.unwanted = true; // the server has not answered yet: as soon as it does
  }

  /** Open a piece of the library. @param {string} pieceId */
  open(pieceId) {
    return this._open(pieceId, null);
  }

  async _open(pieceId, job) {
    const mine = ++this._opening;
    const [record, notes] = await Promise.all([api.get(`/pieces/${pieceId}`), api.get(`/pieces/${pieceId}/notes`)]);
    if (mine !== this._opening) return null; // another piece was asked for meanwhile
    this.current = { job: null, record, music: Music.fromNotes(notes), number: 0 };
    sessionStorage.setItem(OPENED, pieceId);
    emit("open", { record, job });
    emit("music", { music: this.current.music });
    return record;
  }

  /** Nothing is open any more (its piece was deleted). */
  close() {
    this._opening += 1;
    this.current = { job: null, record: null, music: new Music(), number: 0 };
    sessionStorage.removeItem(OPENED);
    emit("closed", {});
    emit("music", { music: this.current.music });
  }

  /** Tell this tab and the others that the library is not what it was. */
  libraryChanged() {
    emit("library-changed", {});
    channel?.postMessage({ kind: "library" });
  }

  /** After a reload: go on with the job or the piece that this tab had. */
  async resume() {
    const job = await this._unfinished();
    if (job) return this.follow(job);
    const opened = sessionStorage.getItem(OPENED);
    if (!opened) return null;
    try {
      return await this.open(opened);
    } catch {
      sessionStorage.removeItem(OPENED);
      return null;
    }
  }

  async _unfinished() {
    const mine = sessionStorage.getItem(FOLLOWED);
    if (mine) {
      const job = await api.get(`/jobs/${mine}`).catch(() => null);
      if (job && (job.state === "queued" || job.state === "running")) return job;
      sessionStorage.removeItem(FOLLOWED);
      if (job?.pieces?.length) sessionStorage.setItem(OPENED, job.pieces[0]); // it was finished meanwhile
      return null;
    }
    const started = JSON.parse(localStorage.getItem(STARTED) || "[]");
    if (started.length === 0) return null;
    const answer = await api.get("/jobs?state=queued,running").catch(() => []);
    for (const job of Array.isArray(answer) ? answer : answer.jobs || []) {
      if (started.includes(job.id) && !(await followedElsewhere(job.id))) return job;
    }
    return null;
  }
}

/** POST with a key of its own, so that asking again after a lost connection asks for nothing twice. */
async function send(path, body) {
  const key = newKey();
  for (const wait of [...TRIES_S, 0]) {
    try {
      return await api.post(path, body, { "Idempotency-Key": key });
    } catch (error) {
      if (error.status !== 0 || wait === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    }
  }
  return null;
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function remember(id) {
  const started = JSON.parse(localStorage.getItem(STARTED) || "[]");
  localStorage.setItem(STARTED, JSON.stringify([...started, id].slice(-20)));
}

function followedElsewhere(id) {
  if (!channel) return Promise.resolve(false);
  return new Promise((resolve) => {
    const answer = ({ data }) => data.kind === "mine" && data.id === id && finish(true);
    const finish = (value) => {
      channel.removeEventListener("message", answer);
      resolve(value);
    };
    channel.addEventListener("message", answer);
    channel.postMessage({ kind: "whose", id });
    setTimeout(() => finish(false), 150);
  });
}

export const session = new Session();

channel?.addEventListener("message", ({ data }) => {
  if (data.kind === "library") emit("library-changed", { elsewhere: true });
  if (data.kind === "whose" && session.job?.id === data.id) channel.postMessage({ kind: "mine", id: data.id });
});
if (!channel) window.addEventListener("focus", () => emit("library-changed", { elsewhere: true }));
on("deleted", ({ id }) => session.current.record?.id === id && session.close());
