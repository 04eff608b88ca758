/**
 * The score of the piece that is open, page by page; the bar that plays is marked and brought into sight, a click on a bar goes there.
 *
 * Pages are SVG from the server, where they were stripped to drawing (kapelle.engraving.screen); they are checked once more here and put
 * into the document, so that their lines take the colours of the page. A page is fetched when it comes near to being seen. While a piece
 * is composed, a note says that its score comes when it is done.
 *
 * Listens to "open", "job", "closed", "failed", "cancelled", "changed", "position", "tab", "language".
 */

import { fetchRaw, get } from "./api.js";
import { on } from "./bus.js";
import { el, icon, named } from "./dom.js";
import { t } from "./i18n.js";
import { firstAbove } from "./music.js";

const SVG = "http://www.w3.org/2000/svg";
const DRAWING = new Set(["svg", "g", "defs", "path", "polygon", "polyline", "ellipse", "circle", "rect", "line", "use", "text", "tspan"]);
const SIZES = [60, 80, 100, 130, 170, 220];
const KEPT = "kapelle.score-size";
const PAPER = 1.4143; // height of a page by its width, until it is known
const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

class Score {
  constructor(element, session, player) {
    Object.assign(this, { element, session, player });
    /** @type {any} what the server told of the score, once it did */
    this.about = null;
    this.record = null;
    this.bar = -1;
    this.follow = true;
    this.size = Number(localStorage.getItem(KEPT)) || 80;
    this._asked = 0;
    this._sight = new IntersectionObserver((seen) => this._seen(seen), { rootMargin: "600px 0px", scrollMargin: "600px 0px" });
    on("open", ({ record }) => this._open(record));
    on("changed", ({ record }) => record.id === this.record?.id && record.title !== this.record.title && this._open(record));
    on("job", () => this._say("score.later"));
    for (const name of ["closed", "failed", "cancelled"]) on(name, () => this.session.current.record || this._say("score.empty"));
    on("position", ({ seconds, playing }) => this.at(seconds, playing));
    on("tab", ({ tab }) => tab === "score" && this._want());
    on("language", () => this._words());
    element.addEventListener("wheel", () => (this.follow = false), { passive: true });
    element.addEventListener("touchmove", () => (this.follow = false), { passive: true });
    element.addEventListener("click", (event) => this._click(event));
    on("playing", () => (this.follow = true));
    window.addEventListener("beforeprint", () => {
      document.body.classList.toggle("printing-score", Boolean(this.about) && !element.hidden);
      this._whole();
    });
    window.addEventListener("afterprint", () => document.body.classList.remove("printing-score"));
    const { record, job } = session.current;
    if (record) this._open(record);
    else this._say(job ? "score.later" : "score.empty");
  }

  /** Show a sentence in place of the pages. */
  _say(key, more = []) {
    this._asked += 1;
    this.about = null;
    this.record = null;
    this._sentence(key, more);
  }

  _sentence(key, more = []) {
    this._said = key;
    this.bar = -1;
    this._sight.disconnect();
    this.element.replaceChildren(el("div", { class: "empty score-empty" }, icon("note"), el("p", { text: t(key) }), ...more));
  }

  _open(record) {
    this._say("score.loading");
    this.record = record;
    this._want();
  }

  /** Ask for the score when it is to be seen, and not before: engraving is work. */
  async _want() {
    if (!this.record || this.about || this.element.hidden || this._loading === this.record) return;
    const [mine, record] = [this._asked, this.record];
    this._loading = record;
    try {
      const about = await get(`/pieces/${record.id}/score`);
      if (mine !== this._asked) return;
      this.about = about;
      this._build();
    } catch (error) {
      if (mine === this._asked) this._failed(error);
    } finally {
      if (this._loading === record) this._loading = null;
    }
  }

  _failed(error) {
    const again = el("button", { type: "button", class: "button", on: { click: () => this._open(this.record || this.session.current.record) }, text: t("score.again") });
    this._sentence("score.failed", [el("p", { class: "muted", text: [error.message, error.hint].filter(Boolean).join(" ") }), again]);
  }

  // -- pages ----------------------------------------------------------------------------------------------------------------------

  _build() {
    const { pages } = this.about;
    const tool = (name, drawing, fn) => el("button", { type: "button", class: "icon-button", "data-tool": name, on: { click: fn } }, icon(drawing));
    this.tools = el(
      "div",
      { class: "score-tools", role: "group" },
      el("span", { class: "muted score-count" }),
      tool("smaller", "minus", () => this._resize(-1)),
      tool("larger", "plus", () => this._resize(1)),
      tool("print", "print", () => this._print()),
    );
    this.pages = Array.from({ length: pages }, (_, i) => el("figure", { class: "score-sheet", "data-page": i + 1, role: "img" }));
    for (const sheet of this.pages) sheet.style.aspectRatio = `1 / ${PAPER}`;
    this._said = "";
    this.element.replaceChildren(this.tools, el("div", { class: "score-pages" }, ...this.pages));
    this._resize(0);
    this._words();
    for (const sheet of this.pages) this._sight.observe(sheet);
    this.bar = -1;
    this.at(this.player.position(), this.player.playing);
  }

  _words() {
    if (this._said) {
      const words = this.element.querySelector(".score-empty p");
      if (words) words.textContent = t(this._said);
      return;
    }
    if (!this.about) return;
    const { pages, first_bars: firsts, starts } = this.about;
    this.tools.setAttribute("aria-label", t("score.title"));
    this.tools.querySelector(".score-count").textContent = t("score.pages", { n: pages });
    for (const button of this.tools.querySelectorAll("[data-tool]")) named(button, t(`score.${button.dataset.tool}`));
    for (const [i, sheet] of this.pages.entries()) {
      const to = i + 1 < pages ? firsts[i + 1] : starts.length - 1;
      sheet.setAttribute("aria-label", `${t("score.page", { page: i + 1, pages, from: firsts[i] + 1, to })}. ${t("score.bar")}`);
    }
  }

  _resize(step) {
    const at = SIZES.reduce((best, size, i) => (Math.abs(size - this.size) < Math.abs(SIZES[best] - this.size) ? i : best), 0);
    this.size = SIZES[Math.max(0, Math.min(SIZES.length - 1, at + step))];
    localStorage.setItem(KEPT, String(this.size));
    this.element.querySelector(".score-pages").dataset.size = String(this.size);
  }

  _seen(entries) {
    for (const { target, isIntersecting } of entries) if (isIntersecting) this._fetch(target);
  }

  /** Fetch a page, once. @param {HTMLElement} sheet */
  _fetch(sheet) {
    sheet.loading ??= this._load(sheet).catch(() => {
      sheet.loading = undefined; // it is asked for again when it is seen again
    });
    return sheet.loading;
  }

  async _load(sheet) {
    const mine = this._asked;
    const answer = await fetchRaw(`/pieces/${this.record.id}/score/${sheet.dataset.page}.svg`);
    const text = await answer.text();
    if (mine !== this._asked) return;
    const page = drawing(text);
    sheet.replaceChildren(page);
    sheet.style.aspectRatio = "";
    this._mark();
  }

  async _whole() {
    await Promise.all((this.about ? this.pages : []).map((sheet) => this._fetch(sheet)));
  }

  async _print() {
    await this._whole();
    window.print();
  }

  // -- bars -----------------------------------------------------------------------------------------------------------------------

  /** Mark the bar that sounds at `seconds`. */
  at(seconds, playing) {
    if (!this.about) return;
    const { starts } = this.about;
    const bar = Math.max(0, Math.min(firstAbove(starts, seconds + 1e-4) - 1, starts.length - 2));
    if (bar === this.bar) return;
    this.bar = bar;
    this._mark();
    if (playing && this.follow) this._bring(bar);
  }

  _mark() {
    for (const old of this.element.querySelectorAll(".measure.now")) old.classList.remove("now");
    this.element.querySelector(`.measure[data-bar="${this.bar}"]`)?.classList.add("now");
  }

  /** Bring a bar into sight, and its page if it was not drawn yet. */
  async _bring(bar) {
    if (this.element.hidden || this.element.offsetHeight === 0) return;
    const page = Math.max(0, firstAbove(this.about.first_bars, bar) - 1);
    await this._fetch(this.pages[page]);
    if (bar !== this.bar) return;
    const box = this.element.querySelector(`.measure[data-bar="${bar}"] > rect`)?.getBoundingClientRect();
    const room = this.element.getBoundingClientRect();
    if (!box || (box.top >= room.top + 48 && box.bottom <= room.bottom)) return;
    const top = this.element.scrollTop + box.top - room.top - Math.max(84, (room.height - box.height) / 4);
    this.element.scrollTo({ top, behavior: calm.matches ? "auto" : "smooth" });
  }

  _click(event) {
    const bar = event.target.closest?.(".measure")?.dataset.bar;
    if (bar === undefined || !this.about) return;
    this.player.seek(this.about.starts[Number(bar)]);
  }
}

/** A page as elements of this document: drawing alone, whatever came. @param {string} text */
function drawing(text) {
  const root = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  if (root.namespaceURI !== SVG || root.localName !== "svg") throw new Error("no SVG");
  for (const item of root.querySelectorAll("*")) {
    if (item.namespaceURI !== SVG || !DRAWING.has(item.localName)) item.remove();
    for (const { name, value } of [...item.attributes]) {
      const link = name.endsWith("href") && !value.startsWith("#");
      if (link || name.startsWith("on") || name === "style" || value.includes("url(")) item.removeAttribute(name);
    }
  }
  return document.importNode(root, true);
}

/**
 * Put the score into `element`.
 * @param {HTMLElement} element @param {any} session @param {any} player
 */
export function mountScore(element, session, player) {
  return new Score(element, session, player);
}
