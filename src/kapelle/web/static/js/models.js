/**
 * The choice of a model: a button that shows the one chosen, and a dialog of cards with what each writes, its size and its licence.
 */

import { showDialog } from "./dialog.js";
import { el, icon } from "./dom.js";
import { number, pick, t } from "./i18n.js";

/** A model's name as people write it: what has no vowel is an abbreviation. @param {string} name */
export function titleOf(name) {
  const parts = (name || "").split("-").map((part) => (/^[^aeiouy\d]+$/i.test(part) ? part.toUpperCase() : part));
  const text = parts.join(" ");
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/**
 * The button that shows the chosen model and opens the dialog.
 * @param {any} offer
 * @param {() => void} press
 */
export function modelButton(offer, press) {
  return el(
    "button",
    { type: "button", class: "model-button", "aria-haspopup": "dialog", on: { click: press } },
    el(
      "span",
      { class: "model-words" },
      el("span", { class: "unseen", text: `${t("composer.model")}: ` }),
      el("span", { class: "model-name", text: titleOf(offer.name) }),
      el("span", { class: "model-about", text: pick(offer.about) }),
    ),
    icon("down"),
  );
}

/**
 * Let the user choose among offers.
 * @param {any[]} offers
 * @param {string} chosen name of the one that is chosen now
 * @param {(name: string) => void} done
 */
export function chooseModel(offers, chosen, done) {
  const card = (offer) => {
    const here = offer.name === chosen;
    return el(
      "button",
      { type: "button", class: "model-card", "aria-pressed": String(here), "data-model": offer.name, on: { click: () => take(offer.name) } },
      el("span", { class: "model-name" }, titleOf(offer.name), here ? icon("check") : null),
      el("span", { class: "model-about", text: pick(offer.about) }),
      el("span", { class: "model-facts", text: factsOf(offer) }),
    );
  };
  const featured = offers.filter((offer) => offer.featured !== false);
  const others = offers.filter((offer) => offer.featured === false);
  const children = [el("div", { class: "model-cards" }, ...featured.map(card))];
  if (others.length > 0) {
    const open = others.some((offer) => offer.name === chosen);
    children.push(
      el(
        "details",
        { open },
        el("summary", {}, (() => {
          const drawing = icon("right");
          drawing.classList.add("turn");
          return drawing;
        })(), t("composer.more_models", { n: others.length })),
        el("div", { class: "model-cards" }, ...others.map(card)),
      ),
    );
  }
  const dialog = showDialog(t("composer.choose_model"), children, { name: "models-dialog" });
  const take = (name) => {
    dialog.close();
    done(name);
  };
  dialog.querySelector(`[data-model="${CSS.escape(chosen)}"]`)?.focus();
}

function factsOf(offer) {
  const size = t("common.megabytes", { n: number(offer.n_bytes / 1e6, { maximumFractionDigits: 1 }) });
  return `${size}  ·  ${offer.licence}`;
}
