/**
 * Short messages at the foot of the page, and what can be undone from them.
 *
 * A message goes by itself, later if it has a hint or something to press, and never while the pointer or the focus is on it. Ctrl+Z
 * takes back the last thing that offered to be undone.
 */

import { byId, el, icon } from "./dom.js";
import { t } from "./i18n.js";

const SHOWN_S = { info: 4, ok: 4, error: 10 };
const UNDO_S = 8;
const MOST = 3;
const undos = [];

/**
 * Show a message.
 * @param {string} message
 * @param {{kind?: "info"|"ok"|"error", hint?: string, action?: {label: string, fn: () => any}, undo?: () => any}} [options]
 * @returns {() => void} takes it away
 */
export function toast(message, { kind = "info", hint = "", action = undefined, undo = undefined } = {}) {
  const box = byId("toasts");
  const close = () => {
    item.remove();
    clearTimeout(timer);
  };
  const press = (fn) => () => {
    close();
    Promise.resolve(fn()).catch(failed);
  };
  const pressed = undo ? { label: t("toast.undo"), fn: () => undoOne(undo) } : action;
  const item = el(
    "div",
    { class: `toast ${kind}` },
    kind === "error" ? icon("warn") : kind === "ok" ? icon("check") : null,
    el("p", {}, message, hint ? el("span", { class: "hint", text: hint }) : null),
    pressed ? el("button", { class: "button quiet", type: "button", text: pressed.label, on: { click: press(pressed.fn) } }) : null,
    el("button", { class: "icon-button", type: "button", "aria-label": t("common.close"), on: { click: close } }, icon("close")),
  );
  item.dataset.says = `${message} ${hint}`;
  if (!pressed) for (const old of [...box.children]) if (old.dataset.says === item.dataset.says) old.remove(); // once is enough
  if (undo) undos.push(undo);
  while (box.children.length >= MOST) box.firstElementChild.remove();
  box.append(item);
  let timer = 0;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(close, 1000 * Math.max(SHOWN_S[kind], pressed ? UNDO_S : 0, hint ? 7 : 0));
  };
  item.addEventListener("pointerenter", () => clearTimeout(timer));
  item.addEventListener("pointerleave", wait);
  item.addEventListener("focusin", () => clearTimeout(timer));
  item.addEventListener("focusout", wait);
  wait();
  return close;
}

/** Show what went wrong, with its hint. @param {any} error */
export function failed(error) {
  if (error?.name === "AbortError") return;
  const wait = error.retryAfter ? t("common.error.retry", { s: error.retryAfter }) : "";
  toast(error.message || String(error), { kind: "error", hint: [error.hint, wait].filter(Boolean).join(" ") });
}

/** Take back the last thing that can be taken back; false if there is none. */
export function undoLast() {
  const last = undos.at(-1);
  if (!last) return false;
  for (const button of byId("toasts").querySelectorAll(".toast")) if (button.querySelector(".button")) button.remove();
  Promise.resolve(undoOne(last)).catch(failed);
  return true;
}

async function undoOne(undo) {
  undos.splice(undos.indexOf(undo), 1);
  await undo();
}

/** Say something to a screen reader that the eye sees anyway. @param {string} text */
export function announce(text) {
  byId("announcer").textContent = text;
}
