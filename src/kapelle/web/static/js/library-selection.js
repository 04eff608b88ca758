/**
 * Several pieces at once: which are chosen, and the bar of what can be done with them: rank, measure against others, favourites, delete.
 *
 * Tells on the bus: "ranking" {pieces, ranking, title} for the candidates' tab.
 */

import { change } from "./actions.js";
import { emit } from "./bus.js";
import { el, icon, named } from "./dom.js";
import { t } from "./i18n.js";
import { menuAt } from "./menu.js";
import { failed, toast } from "./toast.js";

const MOST = 256; // the server's limit for one job
const REPORT = "kapelle.report"; // over reloads of this tab

export class Selection {
  /** @param {import("./library.js").Library} library */
  constructor(library) {
    this.library = library;
    /** @type {Set<string>} */
    this.ids = new Set();
    /** @type {string[]} the pieces that others are measured against */
    this.reference = [];
    this.last = "";
    /** @type {string} the address of the newest report */
    this.report = sessionStorage.getItem(REPORT) || "";
    this.count = el("span", { class: "count", "aria-live": "polite" });
    this.rankButton = this._button("rank", "sliders", () => this.rank());
    this.starButton = this._button("favourite", "star", () => this.star());
    this.deleteButton = this._button("delete", "trash", () => this.library.remove(this.records()));
    this.restoreButton = this._button("restore", "undo", () => this.library.restore(this.records()));
    this.moreButton = el("button", { type: "button", class: "icon-button" }, icon("more"));
    this.clearButton = this._button("clear", "close", () => this.clear());
    menuAt(this.moreButton, () => this._more());
    this.bar = el("div", { class: "selection", role: "group", hidden: true }, this.count, this.rankButton, this.starButton, this.deleteButton, this.restoreButton, this.moreButton, this.clearButton);
  }

  _button(name, drawing, fn) {
    const made = el("button", { type: "button", class: "icon-button", "data-act": name }, icon(drawing));
    made.addEventListener("click", () => Promise.resolve(fn()).catch(failed));
    return made;
  }

  /** The records that are chosen, in the order of the list. */
  records() {
    return this.library.records.filter((record) => this.ids.has(record.id));
  }

  /** Choose a piece or leave it; with Shift, all between it and the last one too. */
  toggle(id, wanted, event = {}) {
    const all = this.library.records.map((record) => record.id);
    const [from, to] = [all.indexOf(this.last), all.indexOf(id)].sort((a, b) => a - b);
    const some = event.shiftKey && from >= 0 ? all.slice(from, to + 1) : [id];
    for (const one of some) {
      if (wanted) this.ids.add(one);
      else this.ids.delete(one);
    }
    this.last = id;
    this.show();
  }

  all() {
    this.ids = new Set(this.library.records.map((record) => record.id));
    this.show();
  }

  clear() {
    this.ids.clear();
    this.show();
  }

  /** After the list has changed: what is not there any more is not chosen. */
  prune() {
    const there = new Set(this.library.records.map((record) => record.id));
    for (const id of this.ids) if (!there.has(id)) this.ids.delete(id);
    this.show();
  }

  show() {
    const n = this.ids.size;
    for (const row of this.library.rows.values()) {
      const chosen = this.ids.has(row.dataset.piece);
      row.setAttribute("aria-selected", String(chosen));
      row.parts.pick.checked = chosen;
    }
    const had = this.bar.contains(document.activeElement);
    this.bar.hidden = n === 0;
    this.library.element.classList.toggle("selecting", n > 0);
    this.count.textContent = t("library.selected", { n });
    this.rankButton.hidden = this.library.trash;
    this.rankButton.disabled = n < 2 || n > MOST;
    this.starButton.hidden = this.deleteButton.hidden = this.moreButton.hidden = this.library.trash;
    this.restoreButton.hidden = !this.library.trash;
    for (const button of this.bar.querySelectorAll("[data-act]")) named(button, t(`library.selection.${button.dataset.act}`));
    this.bar.setAttribute("aria-label", t("library.selection"));
    this.moreButton.setAttribute("aria-label", t("library.selection.more"));
    if (had && n === 0) this.library.focus();
  }

  _more() {
    const n = this.ids.size;
    return [
      { label: t("library.reference.take", { n }), about: t("library.reference.about"), disabled: n > MOST, run: () => this.takeReference() },
      {
        label: t("library.reference.measure", { n, m: this.reference.length }),
        about: this.reference.length ? "" : t("library.reference.none"),
        disabled: this.reference.length === 0 || n > MOST,
        run: () => this.evaluate().catch(failed),
      },
      ...(this.report ? [{ label: t("library.last_report"), run: () => this._openReport() }] : []),
      null,
      { label: t("library.selection.all"), key: "Ctrl+A", run: () => this.all() },
    ];
  }

  takeReference() {
    this.reference = [...this.ids];
    this.clear();
    toast(t("library.reference.taken", { n: this.reference.length }), { hint: t("library.reference.next") });
  }

  async star() {
    const records = this.records();
    const favourite = !records.every((record) => record.favourite);
    for (const record of records) if (record.favourite !== favourite) await patiently(() => change(record.id, { favourite }));
  }

  async rank() {
    const pieces = this.records();
    const { result } = await this._job("/rank", { pieces: pieces.map((record) => record.id) }, "library.ranking");
    emit("ranking", { pieces: pieces.map((record) => record.id), ranking: result.ranking, unread: result.unread });
    emit("show-tab", { tab: "candidates" });
  }

  async evaluate() {
    const body = { made: [...this.ids], reference: this.reference };
    const { result } = await this._job("/evaluate", body, "library.evaluating");
    this.report = result.report_url;
    sessionStorage.setItem(REPORT, this.report);
    toast(t("library.evaluated"), { kind: "ok", action: { label: t("library.open_report"), fn: () => this._openReport() } });
  }

  _openReport() {
    window.open(this.report, "_blank", "noopener");
  }

  /** A job beside whatever is open, with its progress in the bar. */
  async _job(path, body, words) {
    const show = ({ done }) => (this.count.textContent = `${t(words)} ${Math.round(100 * (done || 0))} %`);
    show({ done: 0 });
    this.bar.classList.add("working");
    try {
      return await this.library.session.run(path, body, show);
    } finally {
      this.bar.classList.remove("working");
      this.show();
    }
  }
}

/**
 * Ask again as long as the server is busy, as it tells how long.
 * @template T @param {() => Promise<T>} ask @returns {Promise<T>}
 */
export async function patiently(ask) {
  for (let left = 20; ; left -= 1) {
    try {
      return await ask();
    } catch (error) {
      if (![429, 503].includes(error.status) || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(error.retryAfter || 1, 10)));
    }
  }
}
