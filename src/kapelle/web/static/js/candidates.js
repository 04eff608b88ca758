/**
 * Pieces side by side, to choose from: those of one job, or those that were ranked. Each shows its music, what the judge says of it and why,
 * and how much of it its model has from the music it learned from; one is kept and the others go, with a way back.
 *
 * Shown are the pieces of the newest job with more than one, or with a choice of the best; over a reload too. Listens on the bus to
 * "job", "piece", "done", "ranking", "changed", "deleted", "restored", "open", "playing", "paused", "tab", "language".
 */

import { favourite } from "./actions.js";
import * as api from "./api.js";
import { emit, on } from "./bus.js";
import { clock, el, icon, named, setIcon } from "./dom.js";
import { dragOut } from "./downloads.js";
import { number, pick, t } from "./i18n.js";
import { patiently } from "./library-selection.js";
import { miniature } from "./miniature.js";
import { originality, verdict } from "./originality.js";
import { failed, toast } from "./toast.js";
import { keyName } from "./words.js";

const KEPT = "kapelle.candidates"; // over reloads of this tab

class Candidates {
  constructor(element, session, player, library) {
    Object.assign(this, { element, session, player, library });
    /** @type {Map<string, any>} id -> {record, judge, card} in the order in which they are shown */
    this.shown = new Map();
    this.ranking = null;
    this.job = "";
    this.head = el("div", { class: "candidates-head" });
    this.grid = el("div", { class: "candidates", role: "list" });
    this.foot = el("div", { class: "candidates-foot" });
    this.empty = el("div", { class: "empty" });
    element.append(this.head, this.grid, this.foot, this.empty);
    this.seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) this._compare(entry.target);
    });
    this._listen();
    this.draw();
    this._recall();
  }

  _listen() {
    on("job", ({ job }) => {
      if (job.verb && ["rank", "evaluate", "themes"].includes(job.verb)) return;
      this.job = job.id;
      this.coming = [];
    });
    on("piece", ({ job, id }) => {
      if (job.id !== this.job || this.coming.includes(id)) return;
      this.coming.push(id);
      if (this.coming.length > 1) this.show(this.coming, null).catch(failed);
    });
    on("done", ({ job, pieces, result }) => {
      const ranking = result?.ranking || null;
      if (job.id === this.job && (pieces.length > 1 || ranking)) this.show(pieces, ranking).catch(failed);
    });
    on("ranking", ({ pieces, ranking }) => this.show(inOrder(pieces, ranking), ranking).catch(failed));
    on("changed", ({ record }) => this._changed(record));
    on("deleted", ({ id }) => this._mark(id, true));
    on("restored", ({ record }) => this._mark(record.id, false));
    for (const name of ["open", "closed", "playing", "paused", "ended"]) on(name, () => this._showOpen());
    on("language", () => this.draw());
  }

  async _recall() {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
    if (kept && !this.session.busy) await this.show(kept.pieces, kept.ranking).catch(() => {});
  }

  /**
   * Show pieces side by side.
   * @param {string[]} ids
   * @param {any} ranking as the result of a job has it; null: they were not judged
   */
  async show(ids, ranking) {
    const mine = (this.turn = (this.turn || 0) + 1);
    const known = this.shown;
    const records = await Promise.all(ids.map((id) => known.get(id)?.record || patiently(() => api.get(`/pieces/${id}`)).catch(() => null)));
    if (mine !== this.turn) return;
    const rows = new Map((ranking?.candidates || []).map((row) => [row.piece, row]));
    this.shown = new Map(records.filter(Boolean).map((record) => [record.id, { record, judge: rows.get(record.id) || record.judge }]));
    this.ranking = ranking;
    sessionStorage.setItem(KEPT, JSON.stringify({ pieces: ids, ranking }));
    this.draw();
  }

  draw() {
    this.seen.disconnect();
    const all = [...this.shown.values()];
    this.empty.hidden = all.length > 0;
    this.empty.replaceChildren(icon("note"), el("p", { class: "strong", text: t("candidates.empty") }), el("p", { text: t("candidates.empty_hint") }));
    this.head.hidden = this.grid.hidden = all.length === 0;
    for (const one of all) one.card = this._card(one);
    this.grid.replaceChildren(...all.map((one) => one.card));
    this.foot.replaceChildren(...(this.ranking ? [explained(this.ranking)] : []));
    this._showHead();
    this._showOpen();
    for (const one of all) this.seen.observe(one.card);
  }

  _showHead() {
    const all = [...this.shown.values()].filter((one) => !one.gone);
    const loved = all.filter((one) => one.record.favourite);
    const rest = all.length - loved.length;
    const of = this.ranking && this.ranking.of > all.length ? t("candidates.best_of", { n: all.length, of: this.ranking.of }) : t("candidates.count", { n: all.length });
    const button = el("button", { type: "button", class: "button small", text: t("candidates.keep_favourites", { n: rest }) });
    button.disabled = loved.length === 0 || rest === 0;
    button.addEventListener("click", () => this._keep(new Set(loved.map((one) => one.record.id))).catch(failed));
    const hint = loved.length === 0 ? el("span", { class: "muted", text: t("candidates.keep_hint") }) : null;
    this.head.replaceChildren(...[el("p", { class: "strong", text: of }), hint, button].filter(Boolean));
  }

  _card(one) {
    const { record, judge } = one;
    const play = el("button", { type: "button", class: "icon-button play" }, icon("play"));
    play.addEventListener("click", () => this._play(record).catch(failed));
    const star = el("button", { type: "button", class: "icon-button star", "aria-pressed": String(record.favourite) }, icon(record.favourite ? "starred" : "star"));
    star.addEventListener("click", () => favourite(one.record).catch(failed));
    const title = el("button", { type: "button", class: "link title", text: record.title, title: record.title });
    title.addEventListener("click", () => this.session.open(record.id).catch(failed));
    const keep = el("button", { type: "button", class: "button small", text: t("candidates.keep") });
    keep.addEventListener("click", () => this._keep(new Set([record.id])).catch(failed));
    const facts = [t("candidates.seed", { seed: String(record.seed ?? "–") }), t("common.bars", { n: record.n_bars }), clock(record.duration_s), record.key ? keyName(record.key) : ""];
    const card = el(
      "div",
      { role: "listitem", class: "candidate", "data-piece": record.id },
      el("div", { class: "head" }, judge ? el("span", { class: "place badge accent", text: t("candidates.place", { n: judge.place }) }) : null, title, star),
      el("div", { class: "strip" }, miniature(record.id), play),
      el("p", { class: "muted facts-line", text: facts.filter(Boolean).join(" · ") }),
      judge ? judged(judge) : null,
      el("p", { class: "original muted", "aria-live": "off" }),
      el("div", { class: "row" }, keep),
    );
    Object.assign(card, { parts: { play, star, keep } });
    named(star, t(record.favourite ? "library.unfavourite" : "library.favourite"));
    dragOut(card, () => one.record);
    return card;
  }

  async _play(record) {
    const open = this.session.current.record?.id === record.id;
    if (open && this.player.playing) return this.player.pause();
    if (!open) await this.session.open(record.id);
    return this.player.play();
  }

  _showOpen() {
    const id = this.session.current.record?.id;
    for (const { card, record } of this.shown.values()) {
      if (!card) continue;
      const open = record.id === id;
      if (open) card.setAttribute("aria-current", "true");
      else card.removeAttribute("aria-current");
      const sounding = open && Boolean(this.player?.playing);
      setIcon(card.parts.play.querySelector("svg"), sounding ? "pause" : "play");
      named(card.parts.play, t(sounding ? "candidates.pause" : "candidates.play", { title: record.title }));
    }
  }

  async _compare(card) {
    this.seen.unobserve(card);
    const place = card.querySelector(".original");
    const id = card.dataset.piece;
    if (this.shown.get(id)?.record.source !== "composed") return;
    try {
      const found = await originality(id);
      place.textContent = !found ? "" : found.longest_run ? t("candidates.original", { notes: String(found.longest_run), verdict: verdict(found) }) : verdict(found);
    } catch (error) {
      place.textContent = "";
      if (error.status === 503 || error.status === 429) setTimeout(() => card.isConnected && this.seen.observe(card), 2000);
    }
  }

  /** Keep some and delete the others; one message brings them back. */
  async _keep(ids) {
    const others = [...this.shown.values()].filter((one) => !one.gone && !ids.has(one.record.id)).map((one) => one.record);
    if (others.length === 0) return void toast(t("candidates.nothing_to_delete"));
    const kept = [...ids].map((id) => this.shown.get(id)?.record).filter(Boolean);
    const open = this.session.current.record;
    for (const record of others) {
      await patiently(() => api.del(`/pieces/${record.id}`));
      emit("deleted", { id: record.id });
    }
    this.session.libraryChanged();
    const undo = async () => {
      for (const record of others) {
        await patiently(() => api.post(`/pieces/${record.id}/restore`));
        emit("restored", { record });
      }
      this.session.libraryChanged();
    };
    toast(t("candidates.kept", { n: others.length }), { undo });
    if (kept.length === 1 && open?.id !== kept[0].id) await this.session.open(kept[0].id);
    return undefined;
  }

  _changed(record) {
    const one = this.shown.get(record.id);
    if (!one) return;
    one.record = record;
    const card = this._card(one);
    one.card.replaceWith(card);
    one.card = card;
    card.classList.toggle("gone", Boolean(one.gone));
    this.seen.observe(card);
    this._showHead();
    this._showOpen();
  }

  _mark(id, gone) {
    const one = this.shown.get(id);
    if (!one) return;
    one.gone = gone;
    one.card.classList.toggle("gone", gone);
    one.card.inert = gone;
    this._showHead();
  }
}

/** Pieces in the order of a ranking; those that it does not know come last. */
function inOrder(pieces, ranking) {
  const places = new Map(ranking.candidates.map((row) => [row.piece, row.place]));
  return [...pieces].sort((a, b) => (places.get(a) ?? Infinity) - (places.get(b) ?? Infinity));
}

/** What the judge says of a piece: its score, and the parts of it with their reasons. @param {any} judge */
export function judged(judge) {
  const bad = (judge.degenerate_said || judge.degenerate || []).map((said) => pick(said)).join(", ");
  const rows = Object.entries(judge.parts || {}).map(([name, part]) =>
    el(
      "li",
      {},
      el("span", { class: "part" }, el("span", { text: t(`candidates.part.${name}`) }), el("span", { class: "number", text: number(part.value, { maximumFractionDigits: 2, minimumFractionDigits: 2 }) })),
      meter(part.value),
      el("span", { class: "about", text: pick(part.said) || part.reason }),
    ),
  );
  const score = judge.score === null || judge.score === undefined ? "–" : number(judge.score, { maximumFractionDigits: 2, minimumFractionDigits: 2 });
  return el(
    "details",
    { class: "judged" },
    el("summary", {}, el("span", { text: t("candidates.score") }), meter(judge.score || 0), el("b", { class: "number", text: score }), icon("down")),
    bad ? el("p", { class: "error", text: bad }) : null,
    el("ul", {}, ...rows),
  );
}

/** A bar from 0 to 1; the number stands beside it in words. @param {number} value */
export function meter(value) {
  const inner = el("span");
  inner.style.inlineSize = `${Math.round(100 * Math.max(0, Math.min(1, value || 0)))}%`;
  return el("span", { class: "meter", "aria-hidden": "true" }, inner);
}

/** How the order came about. */
function explained(ranking) {
  const weights = Object.entries(ranking.weights || {}).filter(([, weight]) => weight > 0);
  const absent = Object.entries(ranking.absent_said || {}).map(([name, said]) => `${t(`candidates.part.${name}`)}: ${pick(said)}`);
  const parts = [
    t(`candidates.by.${ranking.by}`),
    weights.map(([name, weight]) => `${t(`candidates.part.${name}`)} × ${number(weight)}`).join(", "),
    ranking.degenerate ? t("candidates.degenerate", { n: ranking.degenerate }) : "",
    absent.length ? t("candidates.absent", { what: absent.join("; ") }) : "",
  ];
  return el("p", { class: "muted", text: parts.filter(Boolean).join(". ") });
}

/** @param {HTMLElement} element @param {import("./session.js").session} session @param {any} player */
export const mountCandidates = (element, session, player) => new Candidates(element, session, player);
