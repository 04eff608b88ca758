/**
 * The composer: what to do (compose, continue, accompany, develop), with which model, told what; and the one big button.
 *
 * Everything about a model comes from its offer (/api/models): a new model needs no new code here. What is set is remembered per model in
 * this browser. Others ask it by "compose-with" {verb, source: {piece|upload, file, title}}: it shows that verb with that source; by
 * "compose-like" {record}: it is set as it was for that piece; by "compose-model" {name, verb}: it is set to that model.
 */

import * as api from "./api.js";
import { on } from "./bus.js";
import { byId, el, icon } from "./dom.js";
import { pick, t } from "./i18n.js";
import { makeButton } from "./compose-button.js";
import { chooseModel, modelButton } from "./models.js";
import { makePanel, told } from "./panel.js";
import { makeSource } from "./source.js";
import { failed, toast } from "./toast.js";

const VERBS = ["compose", "extend", "accompany", "develop"];
const KEPT = "kapelle.composer";
const MOST_SEED = 999_999;

class Composer {
  constructor(element, session, offers) {
    Object.assign(this, { element, session, offers });
    this.kept = { verb: "compose", models: {}, chosen: {}, seed: "", locked: false, count: 1, ...read() };
    if (!this.can(this.kept.verb).length) this.kept.verb = "compose";
    this.source = makeSource(session, () => this.save());
    this.head = el("div", { class: "composer-head" });
    this.body = el("div", { class: "composer-body" });
    this.form = el("form", { class: "composer-form", novalidate: true, autocomplete: "off" }, this.head, this.body, this.makeFoot());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.press();
    });
    element.append(this.form);
    on("language", () => this.show());
    on("compose-with", ({ verb, source }) => this.composeWith(verb, source));
    on("compose-model", ({ name, verb }) => this.choose(name, verb));
    on("compose-like", ({ record }) => this.composeLike(record));
    for (const name of ["open", "closed", "job", "idle"]) on(name, () => this.source.refresh());
    this.show();
  }

  can(verb) {
    return this.offers.filter((offer) => offer.verbs.includes(verb));
  }

  get verb() {
    return this.kept.verb;
  }

  get offer() {
    const able = this.can(this.verb);
    return able.find((offer) => offer.name === this.kept.chosen[this.verb]) || able[0];
  }

  show() {
    this.foot();
    const { offer } = this;
    const kept = this.kept.models[offer.name] || {};
    const verbs = VERBS.filter((verb) => this.can(verb).length > 0);
    const choose = () => chooseModel(this.can(this.verb), offer.name, (name) => this.choose(name));
    this.head.replaceChildren(
      el("div", { class: "verbs", role: "group", "aria-label": t("composer.verbs") }, ...verbs.map((verb) => this.verbButton(verb))),
      modelButton(offer, choose),
    );
    this.panel = makePanel(offer, kept, { changed: () => this.save(), bands: this.can("accompany") });
    this.presets = offer.presets.map((preset) => ({
      preset,
      chip: el("button", { type: "button", class: "chip", text: pick(preset.label), on: { click: () => this.apply(preset) } }),
    }));
    const reset = el("button", { type: "button", class: "button quiet small reset", on: { click: () => this.reset() } }, icon("reset"), t("composer.reset"));
    this.resetButton = reset;
    this.body.replaceChildren(
      ...[
        this.verb === "compose" ? null : this.source.show(this.verb),
        this.presets.length ? el("div", { class: "presets", role: "group", "aria-label": t("composer.presets") }, ...this.presets.map((one) => one.chip)) : null,
        this.panel.element,
        reset,
      ].filter(Boolean),
    );
    this.marks();
    this.button.show();
  }

  verbButton(verb) {
    const here = verb === this.verb;
    return el(
      "button",
      { type: "button", class: "verb", "aria-pressed": String(here), "data-verb": verb, on: { click: () => this.choose(null, verb) } },
      icon(verb),
      t(`composer.verb.${verb}`),
    );
  }

  choose(name, verb = this.verb) {
    const held = document.activeElement?.dataset?.verb;
    this.kept.verb = verb;
    if (name) this.kept.chosen[verb] = name;
    this.show();
    this.save();
    if (held) this.head.querySelector(`[data-verb="${verb}"]`)?.focus();
    else this.head.querySelector(".model-button").focus();
  }

  composeWith(verb, source) {
    this.kept.verb = this.can(verb).length ? verb : "compose";
    this.show(); // first: what is set is read from the panel that stands
    this.source.set(source);
    this.element.scrollIntoView({ block: "start" });
    byId("compose-button").focus();
  }

  composeLike({ model, verb, seed, request = {} }) {
    const able = this.can(verb).some((offer) => offer.name === model);
    const offer = this.offers.find((one) => one.name === model);
    if (!offer) {
      toast(t("composer.no_such_model", { model }), { kind: "error" });
      return;
    }
    this.kept.verb = able ? verb : offer.verbs[0];
    this.kept.chosen[this.kept.verb] = model;
    const { options, sampling, length, band, max_copied_notes } = request;
    this.kept.models[model] = { options, sampling: sampling || {}, length, band, max_copied_notes };
    this.seed.value = String(seed ?? this.seed.value);
    this.setLock(true);
    this.show();
    this.save();
    byId("compose-button").focus();
    toast(t("composer.set_like"));
  }

  apply({ body }) {
    const { options, sampling, length } = this.panel;
    for (const one of options) one.value = body.options?.[one.name] ?? this.usual(this.offer.options, one.name);
    for (const one of sampling) one.value = body.sampling?.[one.name] ?? this.usual(this.offer.sampling, one.name);
    if (length) length.value = body.length;
    this.save();
  }

  usual(schema, name) {
    return schema.properties[name].default ?? null;
  }

  reset() {
    const before = this.kept.models[this.offer.name];
    const name = this.offer.name;
    delete this.kept.models[name];
    this.show();
    this.save();
    const undo = () => {
      this.kept.models[name] = before;
      this.show();
      this.save();
    };
    toast(t("composer.was_reset"), { undo });
    this.head.querySelector(".model-button").focus();
  }

  /** What of the panel differs from the model's own defaults. */
  settings() {
    const { offer, panel } = this;
    const extras = Object.fromEntries(panel.extras.map((one) => [one.name, one.value]));
    return {
      options: told(panel.options, offer.options),
      sampling: told(panel.sampling, offer.sampling),
      length: panel.length?.value ?? undefined,
      choice: panel.choice.value,
      band: extras.band || undefined,
      max_copied_notes: extras.max_copied_notes || undefined,
      more: panel.more.open || undefined,
    };
  }

  save() {
    if (!this.panel) return;
    this.kept.models[this.offer.name] = this.settings();
    Object.assign(this.kept, { seed: this.seed.value, locked: this.lock.getAttribute("aria-pressed") === "true", count: this.pieces });
    const models = Object.fromEntries(Object.entries(this.kept.models).map(([name, one]) => [name, withoutFiles(one)]));
    localStorage.setItem(KEPT, JSON.stringify({ ...this.kept, models }));
    for (const one of this.panel.all) one.wrong("");
    this.marks();
  }

  /** Which preset stands as it is, and whether there is anything to reset. */
  marks() {
    const now = this.settings();
    const same = (a, b) => JSON.stringify(sorted(a || {})) === JSON.stringify(sorted(b || {}));
    for (const { preset: { body }, chip } of this.presets) {
      const fits = same(now.options, body.options) && same(now.sampling, body.sampling) && same(now.length, body.length || this.offer.default_length);
      chip.setAttribute("aria-pressed", String(fits));
    }
    const touched = Object.keys(now.options).length + Object.keys(now.sampling).length > 0 || now.choice.on || now.band || now.max_copied_notes;
    this.resetButton.hidden = !touched && (!this.offer.default_length || same(now.length, this.offer.default_length));
  }

  // -- the foot: seed, count, the button -----------------------------------------------------------------------------------------

  makeFoot() {
    this.seed = el("input", { class: "input number", id: "seed", inputmode: "numeric", maxlength: 16, on: { input: () => this.typed() } });
    this.seed.value = this.kept.seed || newSeed();
    this.dice = el("button", { type: "button", class: "icon-button", on: { click: () => this.roll() } }, icon("dice"));
    this.lock = el("button", { type: "button", class: "icon-button", on: { click: () => (this.setLock(this.lock.getAttribute("aria-pressed") !== "true"), this.save()) } }, icon("lock"));
    this.count = el("input", { class: "input number", id: "count", type: "number", min: 1, max: 8, value: this.kept.count, on: { input: () => this.save(), change: () => (this.count.value = this.pieces) } });
    this.button = makeButton(this.session, () => this.verb);
    this.seedLabel = el("label", { class: "label", for: "seed" });
    this.countLabel = el("label", { class: "label", for: "count" });
    this.setLock(this.kept.locked);
    return el(
      "div",
      { class: "composer-foot" },
      el(
        "div",
        { class: "composer-draw" },
        el("div", { class: "field" }, this.seedLabel, el("div", { class: "seed" }, this.seed, this.dice, this.lock)),
        el("div", { class: "field" }, this.countLabel, this.count),
      ),
      this.button.element,
    );
  }

  foot() {
    this.seedLabel.textContent = t("composer.seed");
    this.countLabel.textContent = t("composer.count");
    for (const [button, key] of [[this.dice, "composer.dice"], [this.lock, "composer.lock"]]) {
      button.setAttribute("aria-label", t(key));
      button.title = t(`${key}_hint`);
    }
  }

  setLock(locked) {
    this.lock.setAttribute("aria-pressed", String(locked));
  }

  get pieces() {
    return Math.min(8, Math.max(1, Math.round(Number(this.count.value)) || 1));
  }

  typed() {
    this.seed.value = this.seed.value.replace(/\D/g, "");
    this.setLock(this.seed.value !== "");
    this.save();
  }

  roll() {
    this.seed.value = newSeed();
    this.save();
  }

  // -- composing -----------------------------------------------------------------------------------------------------------------

  async press() {
    if (this.session.busy) {
      await this.session.cancel().catch(failed);
      return;
    }
    if (this.verb !== "compose" && !this.source.given) {
      this.source.ask();
      return;
    }
    if (this.lock.getAttribute("aria-pressed") !== "true") this.seed.value = newSeed();
    this.save();
    if (this.outOfRange()) return;
    try {
      const body = this.request();
      if (this.verb !== "compose") body.source = await this.source.take();
      if (body.source !== null) await this.session.compose(this.verb, body);
    } catch (error) {
      this.refused(error);
    }
  }

  /** Whether a number is beyond its limits: told at its field, before the server is asked. */
  outOfRange() {
    const beyond = ({ validity }) => validity.rangeUnderflow || validity.rangeOverflow;
    for (const one of this.panel.all.filter(({ name }) => name !== "best")) {
      const input = [...one.element.querySelectorAll("input[type=number]")].find(beyond);
      if (!input) continue;
      this.panel.more.open ||= this.panel.more.contains(one.element);
      one.wrong(t("composer.range", { from: Number(input.min), to: Number(input.max) }));
      return true;
    }
    return false;
  }

  request() {
    const { offer } = this;
    const { options, sampling, length, choice, band, max_copied_notes } = this.settings();
    const count = this.pieces;
    const body = { model: offer.name, seed: Number(this.seed.value) || 0, count, options, sampling, length, band, max_copied_notes };
    if (choice.on) Object.assign(body, { best: count, of: Math.max(choice.of, count + 1), by: choice.by, count: 1 });
    return body;
  }

  /** Show what the server has against the request: at the field it names, else as a message. */
  refused(error) {
    const text = `${error.message} ${error.hint || ""}`;
    const named = (name) => new RegExp(`(^|[^\\w-])${name.replaceAll("_", "[_-]")}([^\\w-]|$)`, "i").test(error.message || "");
    const field = error.status === 422 ? this.panel.all.find((one) => named(one.name)) || (lengthIn(error.message) && this.panel.length) : null;
    if (!field) return failed(error);
    if (!this.panel.length || field !== this.panel.length) this.panel.more.open ||= this.panel.more.contains(field.element);
    field.wrong(text.trim());
    return undefined;
  }
}

const lengthIn = (text) => /\b(bars|seconds|tokens|notes|amount)\b/.test(text || "");

/** The same table with its keys in one order. */
const sorted = (table) => Object.fromEntries(Object.entries(table).sort(([a], [b]) => a.localeCompare(b)));

/** Settings without what is too large to keep. */
function withoutFiles(settings) {
  const small = ([, value]) => typeof value !== "string" || value.length < 500;
  return { ...settings, options: Object.fromEntries(Object.entries(settings.options || {}).filter(small)) };
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) || "{}");
  } catch {
    return {};
  }
}

function newSeed() {
  return String(crypto.getRandomValues(new Uint32Array(1))[0] % (MOST_SEED + 1));
}

/** @param {HTMLElement} element @param {any} session */
export async function mountComposer(element, session) {
  try {
    const offers = await api.get("/models");
    if (offers.length === 0) throw new api.ApiError(424, { message: t("composer.no_models") });
    return new Composer(element, session, offers);
  } catch (error) {
    const retry = el("button", { type: "button", class: "button", text: t("common.try_again"), on: { click: () => window.location.reload() } });
    element.append(el("div", { class: "empty" }, icon("warn"), el("p", { text: error.message }), error.hint ? el("p", { text: error.hint }) : null, retry));
    return null;
  }
}

