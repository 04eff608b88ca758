/**
 * The page's own settings, at its top right: language, light or dark, and the list of keys. Remembered in this browser.
 *
 * Tells on the bus: "theme" {theme: "light"|"dark"} whenever the colours change, by hand or by the system.
 */

import { emit, on } from "./bus.js";
import { el, icon, named, setIcon } from "./dom.js";
import { LANGUAGES, language, setLanguage, t } from "./i18n.js";
import { showKeys } from "./keyboard.js";

const THEMES = ["auto", "light", "dark"];
const ICONS = { auto: "auto", light: "sun", dark: "moon" };
const NAMES = { en: "English", ru: "Русский" };

/** @param {HTMLElement} element */
export function mountSettings(element) {
  const languages = el(
    "select",
    { id: "language", class: "select plain", on: { change: () => setLanguage(languages.value) } },
    ...LANGUAGES.map((name) => el("option", { value: name, lang: name, text: NAMES[name] })),
  );
  const themes = el("button", { id: "theme", class: "icon-button", type: "button", on: { click: () => setTheme(next(theme())) } }, icon("auto"));
  const keys = el("button", { class: "icon-button keys-button", type: "button", on: { click: showKeys } }, icon("keys"));
  element.append(languages, themes, keys);
  const show = () => {
    languages.value = language();
    languages.setAttribute("aria-label", t("shell.language"));
    named(themes, t("shell.theme", { theme: t(`shell.theme.${theme()}`) }));
    named(keys, t("keys.title"));
    setIcon(themes.querySelector("svg"), ICONS[theme()]);
  };
  on("language", show);
  on("theme", show);
  new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  show();
}

const next = (name) => THEMES[(THEMES.indexOf(name) + 1) % THEMES.length];

/** The wish: "auto", "light" or "dark". */
export function theme() {
  const kept = localStorage.getItem("kapelle.theme");
  return THEMES.includes(kept) ? kept : "auto";
}

/** @param {string} name */
function setTheme(name) {
  localStorage.setItem("kapelle.theme", name);
  window.dispatchEvent(new Event("kapelle-theme"));
  tell();
}

function tell() {
  emit("theme", { theme: document.documentElement.dataset.theme });
}
