/**
 * The page's words: two flat JSON files with the same keys, filled into elements and handed out to modules.
 *
 * An element with `data-t="area.name"` gets that text; with `data-t-label`, its aria-label and title; with `data-t-placeholder`, its
 * placeholder. In a text, `{name}` is a value, and `{n|bar|bars}` picks the form for the number n (Russian has three forms).
 * Tells on the bus: "language" {language}. Import of this module waits for the words, so that `t` can be called at once.
 */

import { emit } from "./bus.js";
import { ROOT } from "./dom.js";

export const LANGUAGES = ["en", "ru"];
const tables = {};
let current = chosen();

function chosen() {
  const kept = localStorage.getItem("kapelle.language");
  if (LANGUAGES.includes(kept)) return kept;
  for (const wanted of navigator.languages || [navigator.language]) {
    const short = wanted.slice(0, 2).toLowerCase();
    if (LANGUAGES.includes(short)) return short;
  }
  return "en";
}

async function load(name) {
  if (!tables[name]) tables[name] = await (await fetch(`${ROOT}static/strings.${name}.json`)).json();
}

await load(current);

/** The language shown: "en" or "ru". */
export const language = () => current;

/**
 * The text of `key` in the page's language, with its values filled in.
 * @param {string} key
 * @param {Record<string, string|number>} [values] numbers are written as the language writes them
 */
export function t(key, values = {}) {
  const text = tables[current]?.[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)((?:\|[^{}|]*)*)\}/g, (_, name, forms) => {
    const value = values[name];
    if (forms) return plural(Number(value), forms.slice(1).split("|"));
    return typeof value === "number" ? number(value) : String(value ?? "");
  });
}

/** Whether there is a text for `key`. @param {string} key */
export const has = (key) => tables[current]?.[key] !== undefined;

/** The text in the page's language of a table such as {en, ru}. @param {Record<string, string>|string|undefined} table */
export function pick(table) {
  if (!table || typeof table === "string") return table || "";
  return table[current] || table.en || "";
}

function plural(n, forms) {
  const order = { en: ["one", "other"], ru: ["one", "few", "many"] }[current];
  const at = order.indexOf(new Intl.PluralRules(current).select(n));
  return forms[at < 0 || at >= forms.length ? forms.length - 1 : at];
}

/** A number as the language writes it. @param {number} value @param {Intl.NumberFormatOptions} [options] */
export const number = (value, options = {}) => new Intl.NumberFormat(current, { maximumFractionDigits: 3, ...options }).format(value);

/** Fill the texts of everything under `root`. @param {ParentNode} [root] */
export function apply(root = document) {
  for (const item of root.querySelectorAll("[data-t]")) item.textContent = t(item.dataset.t);
  for (const item of root.querySelectorAll("[data-t-label]")) {
    item.setAttribute("aria-label", t(item.dataset.tLabel));
    if (item.matches("button, a, input, summary")) item.title = t(item.dataset.tLabel);
  }
  for (const item of root.querySelectorAll("[data-t-placeholder]")) item.placeholder = t(item.dataset.tPlaceholder);
}

let wanted = current;

/** Change the language of the page and remember it. @param {string} name */
export async function setLanguage(name) {
  if (!LANGUAGES.includes(name)) return;
  wanted = name;
  try {
    await load(name);
  } catch {
    emit("language", { language: current }); // the server is away: the page stays as it is
    return;
  }
  if (wanted !== name) return; // another one was asked for meanwhile
  current = name;
  localStorage.setItem("kapelle.language", name);
  show();
  emit("language", { language: name });
}

function show() {
  document.documentElement.lang = current;
  document.title = t("shell.title");
  apply();
}

show();
