/**
 * A dialog: title, close button, body; the browser's own <dialog>, so that focus stays inside, Escape closes and focus goes back.
 */

import { el, icon } from "./dom.js";
import { t } from "./i18n.js";

/**
 * Show a dialog and give it back; it is gone from the page once closed.
 * @param {string} title
 * @param {Node[]} children
 * @param {{name?: string, closed?: () => void}} [options] name: a class
 * @returns {HTMLDialogElement}
 */
export function showDialog(title, children, { name = "", closed = () => {} } = {}) {
  const heading = el("h2", { id: `dialog-${name || "title"}`, text: title });
  const made = el(
    "dialog",
    { class: name, "aria-labelledby": heading.id },
    el(
      "header",
      {},
      heading,
      el("button", { class: "icon-button", type: "button", "aria-label": t("common.close"), on: { click: () => made.close() } }, icon("close")),
    ),
    el("div", { class: "body" }, ...children),
  );
  made.addEventListener("click", (event) => event.target === made && made.close());
  made.addEventListener("close", () => {
    made.remove();
    closed();
  });
  document.body.append(made);
  made.showModal();
  return made;
}

/** Whether a dialog is open. */
export const dialogOpen = () => document.querySelector("dialog[open]") !== null;

