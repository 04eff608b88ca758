/**
 * The library: the user's pieces, newest first, found as one types, by favourites, tags, models, or in the trash.
 *
 * The list is fetched in pages as it is scrolled and drawn from records; after a change only what differs is drawn anew. It is one stop
 * of the Tab key, within which arrows move. Listens on the bus to "library-changed", "changed", "deleted", "restored", "open", "closed",
 * "language"; tells what `actions.js` and `library-selection.js` tell.
 */

import { again, favourite, vary } from "./actions.js";
import * as api from "./api.js";
import { emit, on } from "./bus.js";
import { byId, el, icon } from "./dom.js";
import { formatEntries } from "./downloads.js";
import { t } from "./i18n.js";
import { Finder } from "./library-finder.js";
import { editTags, editTitle, makeRow, parentOf, renamed, showRow } from "./library-row.js";
import { patiently, Selection } from "./library-selection.js";
import { openMenu } from "./menu.js";
import { announce, failed, toast } from "./toast.js";

const PAGE = 60;

export class Library {
  /** @param {HTMLElement} element @param {import("./session.js").session} session */
  constructor(element, session) {
    this.element = element;
    this.session = session;
    /** @type {any[]} */
    this.records = [];
    this.total = 0;
    /** @type {Map<string, any>} */
    this.rows = new Map();
    this.turn = 0;
    this.loaded = false;
    this.loading = false;
    this.selection = new Selection(this);
    this.finder = new Finder(this);
    this.list = el("div", { role: "grid", class: "list", "aria-multiselectable": "true" });
    this.empty = el("div", { class: "empty", hidden: true });
    this.end = el("div", { class: "sentinel", "aria-hidden": "true" });
    element.append(el("div", { class: "library-top" }, this.finder.element, this.selection.bar), this.list, this.empty, this.end);
    this.list.addEventListener("keydown", (event) => this._keys(event));
    this.list.addEventListener("focusin", (event) => this._rove(event.target.closest("[role=row]")));
    new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && this.more()).observe(this.end);
    this._listen();
    this.label();
    this.refresh();
  }

  _listen() {
    let timer = 0;
    on("library-changed", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.refresh(), 80);
    });
    on("changed", ({ record }) => this._changed(record));
    on("deleted", ({ id }) => this._without([id]));
    on("open", () => this._showOpen());
    on("closed", () => this._showOpen());
    on("done", ({ result }) => this._again(result));
    on("language", () => this.label());
  }

  /** What came of making a piece again. */
  _again(result) {
    if (result?.same_bytes === true) toast(t("library.same_bytes"), { kind: "ok" });
    if (result?.same_bytes === false) toast(t("library.other_bytes"), { kind: "error" });
  }

  /** Whether the trash is shown. */
  get trash() {
    return this.finder.wish.deleted;
  }

  // -- what is there ------------------------------------------------------------------------------------------------------------

  _fetch(offset) {
    const query = new URLSearchParams({ ...this.finder.query(), limit: String(PAGE), offset: String(offset) });
    return api.get(`/pieces?${query}`);
  }

  /** Fetch what may have changed: pages from the top until the rest is as it was. */
  async refresh({ anew = false } = {}) {
    const mine = ++this.turn;
    const before = anew ? [] : this.records;
    const wanted = Math.max(before.length, PAGE);
    const fresh = [];
    try {
      for (;;) {
        const { pieces, total } = await this._fetch(fresh.length);
        if (mine !== this.turn) return;
        const gained = total - (anew ? 0 : this.total);
        fresh.push(...pieces);
        const at = before.findIndex((record) => record.id === fresh.at(-1)?.id);
        const same = at >= 0 && fresh.length - (at + 1) === gained;
        if (same) fresh.push(...before.slice(at + 1));
        if (same || pieces.length === 0 || fresh.length >= Math.min(total, wanted)) {
          this._take(fresh, total);
          break;
        }
      }
    } catch (error) {
      if (mine === this.turn && !this.loaded) this._failed(error);
    }
  }

  /** The next page, when the end of the list comes into sight. */
  async more() {
    if (this.loading || !this.loaded || this.records.length >= this.total) return;
    this.loading = true;
    const mine = this.turn;
    try {
      const { pieces, total } = await patiently(() => this._fetch(this.records.length));
      if (mine === this.turn) this._take([...this.records, ...pieces], total);
    } catch (error) {
      failed(error);
    } finally {
      this.loading = false;
    }
    if (mine === this.turn) requestAnimationFrame(() => this._inSight() && this.more());
  }

  _inSight() {
    const { top } = this.end.getBoundingClientRect();
    return this.element.checkVisibility?.() !== false && top < window.innerHeight;
  }

  _take(records, total) {
    const unique = [...new Map(records.map((record) => [record.id, record])).values()];
    const known = this.loaded ? new Set(this.records.map((record) => record.id)) : null;
    Object.assign(this, { records: unique, total, loaded: true });
    this._show(known);
    this.selection.prune();
    this._showOpen();
    this._showEmpty();
    this.finder.show();
  }

  _show(known) {
    const wanted = new Set(this.records.map((record) => record.id));
    const focused = this.list.contains(document.activeElement) ? document.activeElement.closest("[role=row]") : null;
    const place = focused ? [...this.list.children].indexOf(focused) : -1;
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    let at = this.list.firstElementChild;
    for (const record of this.records) {
      const row = this._row(record, known);
      if (row === at) at = at.nextElementSibling;
      else this.list.insertBefore(row, at);
    }
    if (focused && !focused.isConnected) this._focusAt(place);
    if (!this.list.querySelector("[role=row][tabindex='0']")) this._rove(this.list.firstElementChild);
  }

  _row(record, known) {
    const old = this.rows.get(record.id);
    if (old) {
      if (JSON.stringify(old.record) !== JSON.stringify(record)) showRow(old, record, this);
      return old;
    }
    const row = makeRow(record, this);
    if (known && !known.has(record.id) && this.records.indexOf(record) < 20) row.classList.add("fresh");
    this.rows.set(record.id, row);
    return row;
  }

  _changed(record) {
    renamed(record);
    const at = this.records.findIndex((one) => one.id === record.id);
    if (at < 0) return;
    this.records[at] = record;
    showRow(this.rows.get(record.id), record, this);
  }

  _without(ids) {
    if (this.trash) return;
    const gone = new Set(ids);
    const left = this.records.filter((record) => !gone.has(record.id));
    if (left.length === this.records.length) return;
    this.turn += 1; // an answer that is under way knows them still
    this._take(left, this.total - (this.records.length - left.length));
  }

  // -- what is seen -------------------------------------------------------------------------------------------------------------

  /** All words in the language of the page. */
  label() {
    this.list.setAttribute("aria-label", t("library.list"));
    for (const row of this.rows.values()) showRow(row, row.record, this);
    this.finder.show();
    this.selection.show();
    this._showEmpty();
  }

  _showOpen() {
    const id = this.session.current.record?.id;
    for (const row of this.rows.values()) {
      if (row.dataset.piece === id) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  _showEmpty() {
    this.empty.hidden = !this.loaded || this.records.length > 0;
    this.list.hidden = !this.empty.hidden;
    if (this.empty.hidden) return;
    const kind = this.finder.narrowed ? "nothing" : this.trash ? "trash" : "none";
    const clear = el("button", { type: "button", class: "button small", text: t("library.clear"), on: { click: () => this.finder.clear() } });
    this.empty.replaceChildren(
      icon({ nothing: "search", trash: "trash", none: "note" }[kind]),
      el("p", { class: "strong", text: t(`library.empty.${kind}`) }),
      el("p", { text: t(`library.empty.${kind}_hint`) }),
      ...(kind === "nothing" ? [clear] : []),
    );
  }

  _failed(error) {
    this.empty.hidden = false;
    const retry = el("button", { type: "button", class: "button small", text: t("library.retry"), on: { click: () => this.refresh() } });
    this.empty.replaceChildren(icon("warn"), el("p", { text: error.message }), retry);
  }

  knownTags() {
    return [...new Set(this.records.flatMap((record) => record.tags))].sort((a, b) => a.localeCompare(b));
  }

  // -- what is done -------------------------------------------------------------------------------------------------------------

  /** Look for something else. @param {object} wish */
  filter(wish) {
    this.finder.set(wish);
  }

  /** @param {any} record */
  async open(record) {
    try {
      await this.session.open(record.id);
      if (window.matchMedia("(max-width: 74.99em)").matches) byId("stage")?.scrollIntoView({ block: "start" });
    } catch (error) {
      failed(error);
    }
  }

  clicked(row, event) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      this.selection.toggle(row.record.id, event.shiftKey || !this.selection.ids.has(row.record.id), event);
      row.focus();
    } else {
      row.focus({ preventScroll: true });
      this.open(row.record);
    }
  }

  contextMenu(row, event) {
    if (event.target.closest("input")) return;
    event.preventDefault();
    openMenu(row, this.menu(row), event.clientX ? { x: event.clientX, y: event.clientY } : undefined);
  }

  /** What can be done with the piece of a row. */
  menu(row) {
    const { record } = row;
    if (this.trash) return [{ label: t("library.open"), run: () => this.open(record) }, { label: t("library.restore"), icon: "undo", run: () => this.restore([record]) }];
    const composed = record.source === "composed";
    const chosen = this.selection.ids.has(record.id);
    return [
      { label: t("library.open"), icon: "play", key: "Enter", run: () => this.open(record) },
      { label: t("library.vary"), about: t("library.vary_about"), icon: "vary", key: "V", disabled: !composed, run: () => vary(record) },
      { label: t("library.again"), about: t("library.again_about"), icon: "reset", disabled: !composed, run: () => again(record) },
      null,
      { label: t("library.rename"), key: "F2", run: () => editTitle(row) },
      { label: t("library.tags"), run: () => editTags(row, this) },
      { label: t(record.favourite ? "library.unfavourite" : "library.favourite"), icon: record.favourite ? "starred" : "star", key: "F", run: () => favourite(record).catch(failed) },
      { label: t("library.download"), icon: "download", run: () => this.downloads(row) },
      { label: t(chosen ? "library.unselect" : "library.choose"), icon: "check", run: () => this.selection.toggle(record.id, !chosen) },
      null,
      ...(record.parent ? [{ label: t("library.parent"), run: () => this.openParent(record) }] : []),
      { label: t("library.children"), run: () => this.filter({ parent: record.id, parentTitle: record.title }) },
      null,
      { label: t("library.delete"), icon: "trash", key: "Del", danger: true, run: () => this.remove([record]) },
    ];
  }

  async downloads(row) {
    try {
      openMenu(row.parts.more, await formatEntries(row.record));
    } catch (error) {
      failed(error);
    }
  }

  async openParent(record) {
    const parent = await parentOf(record.parent);
    if (parent) await this.open(parent);
    else toast(t("library.gone"));
  }

  /** Delete pieces; one message brings them all back. @param {any[]} records */
  async remove(records) {
    const open = this.session.current.record;
    const gone = [];
    try {
      for (const record of records) {
        await patiently(() => api.del(`/pieces/${record.id}`));
        gone.push(record);
        emit("deleted", { id: record.id });
      }
    } finally {
      this.session.libraryChanged();
      const words = gone.length === 1 ? t("library.deleted", { title: gone[0].title }) : t("library.deleted_many", { n: gone.length });
      if (gone.length) toast(words, { undo: () => this._back(gone, open) });
    }
  }

  async _back(records, open) {
    await this.restore(records, { quiet: true });
    if (open && records.some((record) => record.id === open.id)) await this.session.open(open.id);
  }

  /** Take pieces out of the trash. @param {any[]} records */
  async restore(records, { quiet = false } = {}) {
    for (const record of records) {
      await patiently(() => api.post(`/pieces/${record.id}/restore`));
      emit("restored", { record });
    }
    this.session.libraryChanged();
    if (!quiet) toast(t("library.restored", { n: records.length }), { kind: "ok" });
  }

  // -- keys ---------------------------------------------------------------------------------------------------------------------

  focus() {
    this.list.querySelector("[role=row][tabindex='0']")?.focus();
  }

  _rove(row) {
    if (!row) return;
    for (const one of this.list.querySelectorAll("[tabindex='0']")) one.tabIndex = -1;
    row.tabIndex = 0;
    for (const part of row.querySelectorAll("button, input")) part.tabIndex = 0;
  }

  _focusAt(place) {
    const row = this.list.children[Math.max(0, Math.min(place, this.list.children.length - 1))];
    if (row) row.focus();
    else this.finder.input.focus();
  }

  _keys(event) {
    const row = event.target.closest("[role=row]");
    if (!row || event.altKey) return;
    if (this._move(event, row) || this._act(event, row)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  _move(event, row) {
    const all = [...this.list.children];
    const at = all.indexOf(row);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -all.length, End: all.length }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey) return false;
    const to = all[Math.max(0, Math.min(at + step, all.length - 1))];
    if (event.shiftKey && to !== row) {
      if (!this.selection.ids.has(row.record.id)) this.selection.toggle(row.record.id, true);
      this.selection.toggle(to.record.id, true);
    }
    to.focus();
    to.scrollIntoView({ block: "nearest" });
    if (at + step >= all.length - 4) this.more();
    return true;
  }

  _act(event, row) {
    const onRow = event.target === row;
    if ((event.ctrlKey || event.metaKey) && event.code === "KeyA") {
      this.selection.all();
      announce(t("library.selected", { n: this.selection.ids.size }));
      return true;
    }
    if (event.ctrlKey || event.metaKey) return false;
    if (event.key === "Enter" && onRow) this.open(row.record);
    else if (event.key === "F2" && !this.trash) editTitle(row);
    else if (event.code === "KeyX" && onRow) this.selection.toggle(row.record.id, !this.selection.ids.has(row.record.id));
    else if (event.key === "Escape" && this.selection.ids.size) this.selection.clear();
    else if (event.key === "Delete" && !this.trash) this.remove(this._meant(row)).catch(failed);
    else if (["Delete", "v", "V", "f", "F"].includes(event.key) && this.trash) return true;
    else return false;
    return true;
  }

  /** The pieces that a key is for: all that are chosen if this one is among them. */
  _meant(row) {
    return this.selection.ids.has(row.record.id) ? this.selection.records() : [row.record];
  }
}

/** @param {HTMLElement} element @param {import("./session.js").session} session */
export const mountLibrary = (element, session) => new Library(element, session);
