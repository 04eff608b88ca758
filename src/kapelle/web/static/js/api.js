/**
 * The one door to the server: JSON, uploads and streams of events.
 *
 * Paths may be written with or without the leading "/api". The language of the page goes with every request; a token is a
 * cookie and goes by itself. Errors are ApiError, in the page's language, with a hint where the server has one.
 */

import { ROOT } from "./dom.js";
import { language, t } from "./i18n.js";

export class ApiError extends Error {
  /**
   * @param {number} status 0: the server did not answer
   * @param {{kind?: string, message?: string, hint?: string, field?: string}} error
   * @param {number} [retryAfter] seconds
   */
  constructor(status, error, retryAfter = 0) {
    super(error.message || t("common.error.unknown", { status: String(status) }));
    this.name = "ApiError";
    this.status = status;
    this.kind = error.kind || "";
    this.hint = error.hint || "";
    this.retryAfter = retryAfter;
  }
}

/** The address of an API path. @param {string} path */
export function address(path) {
  return ROOT + `api/${path.replace(/^\/?(api\/)?/, "")}`;
}

/**
 * The answer itself, for bytes and streams; an answer that is an error is thrown.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
export async function fetchRaw(path, options = {}) {
  let answer;
  try {
    answer = await fetch(address(path), { ...options, headers: { "Accept-Language": language(), ...options.headers } });
  } catch (why) {
    if (why.name === "AbortError") throw why;
    throw new ApiError(0, { kind: "Offline", message: t("common.error.offline"), hint: t("common.error.offline_hint") });
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new ApiError(answer.status, body.error || {}, Number(answer.headers.get("Retry-After")) || 0);
}

async function json(method, path, body, extra = {}) {
  const options = { method, headers: { ...extra } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetchRaw(path, options);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} path */
export const get = (path) => json("GET", path);
/** @param {string} path @param {object} [body] @param {Record<string, string>} [extra] headers */
export const post = (path, body = {}, extra = {}) => json("POST", path, body, extra);
/** @param {string} path @param {object} body */
export const patch = (path, body) => json("PATCH", path, body);
/** @param {string} path */
export const del = (path) => json("DELETE", path);

/**
 * Send a file as it is; gives {id, name, info, expires}.
 * @param {File} file
 */
export async function upload(file) {
  const answer = await fetchRaw(`/uploads?name=${encodeURIComponent(file.name)}`, {
    method: "POST",
    headers: { "Content-Type": "audio/midi" },
    body: file,
  });
  return answer.json();
}

const LAST = new Set(["done", "failed", "cancelled"]);
const WAITS_S = [0.3, 0.7, 1.5, 3, 5];

/**
 * Follow a job's events until it ends, over lost connections and restarts of the server.
 *
 * `handlers` maps an event's name to a function of its data; `"*"` gets (name, data); `connection` gets {ok, wait_s}; `gone` is called
 * when the server knows no such job any more.
 * @param {string} jobId
 * @param {Record<string, (data: any, name?: string) => void>} handlers
 * @param {{after?: number}} [options] the event number to go on after
 * @returns {() => void} stops following
 */
export function events(jobId, handlers, { after = 0 } = {}) {
  const stop = new AbortController();
  const state = { last: after, failures: 0, ended: false };
  follow(jobId, handlers, stop.signal, state);
  return () => stop.abort();
}

async function follow(jobId, handlers, signal, state) {
  while (!signal.aborted && !state.ended) {
    try {
      await listen(jobId, handlers, signal, state);
    } catch (why) {
      if (signal.aborted) return;
      if (why instanceof ApiError && [401, 403, 404].includes(why.status)) return handlers.gone?.(why);
      if (!(why instanceof ApiError) && !(why instanceof TypeError)) throw why;
    }
    if (state.ended || signal.aborted) return;
    const wait = WAITS_S[Math.min(state.failures, WAITS_S.length - 1)];
    state.failures += 1;
    if (state.failures > 1) handlers.connection?.({ ok: false, wait_s: wait });
    await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  }
}

async function listen(jobId, handlers, signal, state) {
  const answer = await fetchRaw(`/jobs/${jobId}/events?after=${state.last}`, { signal, headers: { Accept: "text/event-stream" } });
  if (state.failures > 1) handlers.connection?.({ ok: true, wait_s: 0 });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (!state.ended) {
    const { value, done } = await reader.read();
    if (done) return;
    state.failures = 0;
    const parts = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = parts.pop();
    for (const part of parts) tell(part, handlers, state);
  }
  await reader.cancel();
}

function tell(part, handlers, state) {
  let name = "message";
  const data = [];
  for (const line of part.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
    else if (line.startsWith("id:")) state.last = Number(line.slice(3)) || state.last;
  }
  if (data.length === 0) return;
  const parsed = JSON.parse(data.join("\n"));
  handlers[name]?.(parsed, name);
  handlers["*"]?.(name, parsed);
  if (LAST.has(name)) state.ended = true;
}
