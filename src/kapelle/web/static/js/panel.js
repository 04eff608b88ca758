/**
 * The panel of one model, made from its offer alone: what matters first, the rest under "More", how tokens are drawn at the end.
 */

import { control } from "./fields.js";
import { el, icon } from "./dom.js";
import { t } from "./i18n.js";
import { titleOf } from "./models.js";

const FIRST = ["genre", "composer", "key", "metre", "tempo", "instruments", "form", "seed_from"]; // what musicians ask first, if a model has it
const SHOWN = 5; // of a model that has none of those, its first options
const WAYS = ["score", "genre", "outlier", "human", "cluster", "random"];

/**
 * Build the panel.
 * @param {any} offer
 * @param {any} kept settings of this model from before: {options, sampling, length, choice, band, max_copied_notes, more}
 * @param {{changed: () => void, bands: any[]}} surroundings bands: offers that can play around a piece
 */
export function makePanel(offer, kept, { changed, bands }) {
  const build = (schema, values = {}) =>
    Object.entries(schema?.properties || {}).map(([name, property]) => control(name, property, values[name], changed));
  const options = build(offer.options, kept.options);
  const sampling = build(offer.sampling, kept.sampling);
  const familiar = options.filter((one) => FIRST.includes(one.name)).sort((a, b) => FIRST.indexOf(a.name) - FIRST.indexOf(b.name));
  const first = familiar.length > 0 ? familiar : options.slice(0, SHOWN);
  const length = offer.default_length ? lengthField(offer, kept.length, changed) : null;
  const choice = choiceField(kept.choice, changed);
  const extras = build(extrasOf(offer, bands), { band: kept.band, max_copied_notes: kept.max_copied_notes });
  const rest = options.filter((one) => !first.includes(one));
  const more = el(
    "details",
    { class: "more", open: kept.more || false, on: { toggle: changed } },
    el("summary", {}, turning(), t("composer.more")),
    rest.length ? group(null, rest) : null,
    group(t("composer.choosing"), [choice, ...extras]),
    sampling.length ? group(t("composer.sampling"), sampling) : null,
  );
  const element = el("div", { class: "panel" }, grid([...(length ? [length] : []), ...first]), more);
  return { element, options, sampling, extras, length, choice, more, all: [...options, ...sampling, ...extras, ...(length ? [length] : [])] };
}

function turning() {
  const drawing = icon("right");
  drawing.classList.add("turn");
  return drawing;
}

function grid(controls) {
  return el("div", { class: "fields" }, ...controls.map(placed));
}

const placed = (one) => {
  one.element.classList.toggle("wide", one.wide);
  return one.element;
};

function group(title, controls) {
  return el("div", { class: "fields-group" }, title ? el("h3", { class: "overline", text: title }) : null, grid(controls));
}

/** What every model can be asked for beside its own options, as schemas too. */
function extrasOf(offer, bands) {
  const properties = {};
  if (offer.band && bands.length > 0) {
    properties.band = { type: "string", enum: ["", ...bands.map((one) => one.name)], default: "", "x-names": { "": t("composer.no_band"), ...Object.fromEntries(bands.map((one) => [one.name, titleOf(one.name)])) } };
  }
  properties.max_copied_notes = { type: "integer", minimum: 0, maximum: 64, default: 0 };
  return { properties };
}

function lengthField(offer, kept, changed) {
  const units = Object.keys(offer.lengths);
  const id = `length-${offer.name}`;
  const amount = el("input", { class: "input", id, type: "number", inputmode: "numeric", on: { input: () => changed() } });
  const unit = el(
    "select",
    { class: "select", "aria-label": t("composer.length_unit"), on: { change: () => (limit(), changed()) } },
    ...units.map((name) => el("option", { value: name, text: t(`composer.unit.${name}`) })),
  );
  const step = (factor) => {
    const [low, high] = offer.lengths[unit.value];
    const now = Number(amount.value) || low;
    amount.value = Math.min(high, Math.max(low, factor > 1 ? Math.max(now + 1, now * factor) : Math.floor(now * factor)));
    changed();
  };
  const button = (drawing, label, factor) =>
    el("button", { type: "button", class: "icon-button", "aria-label": t(label), title: t(label), on: { click: () => step(factor) } }, icon(drawing));
  const limit = () => {
    const [low, high] = offer.lengths[unit.value];
    Object.assign(amount, { min: low, max: high });
  };
  const error = el("p", { class: "error", role: "alert", hidden: true });
  const element = el(
    "div",
    { class: "field", "data-option": "length" },
    el("label", { class: "label", for: id, text: t("composer.length") }),
    el("div", { class: "length" }, button("minus", "composer.shorter", 0.5), amount, button("plus", "composer.longer", 2), unit),
    error,
  );
  const set = (value) => {
    unit.value = value.unit;
    amount.value = value.amount;
    limit();
  };
  set(kept && offer.lengths[kept.unit] ? kept : offer.default_length);
  return {
    element,
    name: "length",
    wide: true,
    get value() {
      return amount.value === "" ? null : { amount: Number(amount.value), unit: unit.value };
    },
    set value(wanted) {
      set(wanted || offer.default_length);
    },
    wrong(text) {
      error.textContent = text;
      error.hidden = !text;
      element.classList.toggle("wrong", Boolean(text));
      if (text) amount.focus();
    },
  };
}

/** Whether to compose more than is kept, and by what to choose. */
function choiceField(kept, changed) {
  const of = el("input", { class: "input", type: "number", min: 2, max: 64, value: kept?.of ?? 8, "aria-label": t("composer.candidates"), on: { input: changed } });
  const by = el(
    "select",
    { class: "select", "aria-label": t("composer.by"), on: { change: changed } },
    ...WAYS.map((way) => el("option", { value: way, text: t(`composer.by.${way}`) })),
  );
  by.value = WAYS.includes(kept?.by) ? kept.by : "score";
  const details = el("div", { class: "best-of" }, el("span", { text: t("composer.best_of") }), of, el("span", { text: t("composer.best_by") }), by);
  const input = el("input", { type: "checkbox", role: "switch", prop: { checked: Boolean(kept?.on) }, on: { change: () => (show(), changed()) } });
  const show = () => (details.hidden = !input.checked);
  show();
  const element = el(
    "div",
    { class: "field", "data-option": "best" },
    el("label", { class: "switch" }, input, el("span", {}, el("span", { class: "label", text: t("composer.best") }), el("span", { class: "hint", text: t("composer.best_hint") }))),
    details,
  );
  return {
    element,
    name: "best",
    wide: true,
    get value() {
      return { on: input.checked, of: Number(of.value) || 8, by: by.value };
    },
    set value(wanted) {
      input.checked = Boolean(wanted?.on);
      of.value = wanted?.of ?? 8;
      by.value = wanted?.by ?? "score";
      show();
    },
    wrong() {},
  };
}

/** What of the controls differs from the defaults: what is sent. @param {any[]} controls @param {any} schema */
export function told(controls, schema) {
  const out = {};
  for (const one of controls) {
    const { default: usual = null } = schema.properties[one.name];
    const value = one.value;
    if (value !== null && value !== "" && value !== usual) out[one.name] = value;
  }
  return out;
}

