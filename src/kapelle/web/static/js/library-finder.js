/**
 * What of the library is shown: words to look for, favourites, a model, a tag, variations of a piece, the trash, and the order.
 */

import { get } from "./api.js";
import { el, icon, named, setIcon } from "./dom.js";
import { t } from "./i18n.js";
import { menuAt } from "./menu.js";

const WAIT_MS = 150;
const ORDERS = ["newest", "oldest", "title", "longest", "shortest", "favourite"];
const NOTHING = { search: "", favourite: false, model: "", tag: "", parent: "", parentTitle: "", deleted: false, order: "newest" };

export class Finder {
  /** @param {import("./library.js").Library} library */
  constructor(library) {
    this.library = library;
    this.wish = { ...NOTHING };
    this.title = el("h2", { "data-t": "library.title" });
    this.count = el("span", { class: "count muted" });
    this.orderButton = el("button", { type: "button", class: "icon-button" }, icon("sliders"));
    this.trashButton = el("button", { type: "button", class: "icon-button", on: { click: () => this.set({ deleted: !this.wish.deleted }) } }, icon("trash"));
    this.input = el("input", { type: "search", class: "input", autocomplete: "off", spellcheck: "false", maxlength: "200" });
    this.star = el("button", { type: "button", class: "chip", on: { click: () => this.set({ favourite: !this.wish.favourite }) } }, icon("star"), el("span"));
    this.model = el("button", { type: "button", class: "chip" }, el("span"), icon("down"));
    this.tag = el("button", { type: "button", class: "chip" }, el("span"), icon("down"));
    this.parent = el("button", { type: "button", class: "chip", on: { click: () => this.set({ parent: "", parentTitle: "" }) } }, el("span"), icon("close"));
    menuAt(this.orderButton, () => this._orders());
    menuAt(this.model, () => this._models());
    menuAt(this.tag, () => this._tags());
    this.element = el(
      "div",
      { class: "finder", role: "search" },
      el("div", { class: "library-head" }, this.title, this.count, this.orderButton, this.trashButton),
      el("div", { class: "search" }, icon("search"), this.input),
      el("div", { class: "filters" }, this.star, this.model, this.tag, this.parent),
    );
    let timer = 0;
    this.input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.set({ search: this.input.value.trim() }), WAIT_MS);
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") {
        event.preventDefault();
        library.focus();
      }
      if (event.key === "Escape" && this.input.value) this.clear();
    });
  }

  /** What is shown, as the API takes it. */
  query() {
    const { search, favourite, model, tag, parent, deleted, order } = this.wish;
    const all = { search, favourite: favourite ? "true" : "", model, tag, parent, deleted: deleted ? "true" : "", order };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
  }

  /** Whether less than everything is shown. */
  get narrowed() {
    const { search, favourite, model, tag, parent } = this.wish;
    return Boolean(search || favourite || model || tag || parent);
  }

  set(wish) {
    const before = JSON.stringify(this.wish);
    this.wish = { ...this.wish, ...wish };
    if (JSON.stringify(this.wish) === before) return;
    if ("deleted" in wish) this.library.selection.clear();
    this.show();
    this.library.refresh({ anew: true });
  }

  clear() {
    this.input.value = "";
    this.set({ ...NOTHING, deleted: this.wish.deleted, order: this.wish.order });
    this.input.focus();
  }

  _orders() {
    return ORDERS.map((order) => ({ label: t(`library.order.${order}`), checked: this.wish.order === order, run: () => this.set({ order }) }));
  }

  async _models() {
    const offers = await get("/models").catch(() => []);
    const names = [...new Set([...offers.map((offer) => offer.name), ...this.library.records.map((record) => record.model)])].filter(Boolean);
    const entry = (model, label) => ({ label, checked: this.wish.model === model, run: () => this.set({ model }) });
    return [entry("", t("library.all_models")), ...names.map((name) => entry(name, name))];
  }

  _tags() {
    const entry = (tag, label) => ({ label, checked: this.wish.tag === tag, run: () => this.set({ tag }) });
    const known = this.library.knownTags();
    if (this.wish.tag && !known.includes(this.wish.tag)) known.push(this.wish.tag);
    const none = { label: t("library.no_tags"), about: t("library.no_tags_hint"), disabled: true };
    return [entry("", t("library.all_tags")), ...(known.length ? known.map((tag) => entry(tag, tag)) : [none])];
  }

  show() {
    const { favourite, model, tag, parent, parentTitle, deleted } = this.wish;
    this.title.textContent = t(deleted ? "library.trash" : "library.title");
    this.count.textContent = this.library.loaded ? t("library.count", { n: this.library.total }) : "";
    this.input.placeholder = t("library.search");
    this.input.setAttribute("aria-label", t("library.search"));
    chip(this.star, t("library.favourites"), favourite);
    setIcon(this.star.querySelector("svg"), favourite ? "starred" : "star");
    chip(this.model, model || t("library.model"), Boolean(model));
    chip(this.tag, tag || t("library.tag"), Boolean(tag));
    chip(this.parent, t("library.variations_of", { title: parentTitle }), true);
    this.parent.hidden = !parent;
    this.tag.hidden = !tag && this.library.knownTags().length === 0;
    named(this.orderButton, t("library.order"));
    named(this.trashButton, t(deleted ? "library.leave_trash" : "library.trash"));
    this.trashButton.setAttribute("aria-pressed", String(deleted));
  }
}

function chip(button, text, pressed) {
  button.querySelector("span").textContent = text;
  button.setAttribute("aria-pressed", String(pressed));
}

