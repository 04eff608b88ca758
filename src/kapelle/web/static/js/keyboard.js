/**
 * The keys of the page, and the list of them. No key acts while one types, holds Ctrl, Alt or Meta, or has a dialog open.
 *
 * Keys of the open piece act here; those of a list of pieces act on the piece that has the focus in it (an element with
 * data-piece holds its id). Tells on the bus: "key" {key, target} for modules with keys of their own (tracks: m, s).
 */

import { favourite, remove, vary } from "./actions.js";
import * as api from "./api.js";
import { emit } from "./bus.js";
import { dialogOpen, showDialog } from "./dialog.js";
import { byId, el } from "./dom.js";
import { t } from "./i18n.js";
import { failed, undoLast } from "./toast.js";

const LIST = [
  [["Space"], "keys.play"],
  [["←", "→"], "keys.seek"],
  [["Home"], "keys.home"],
  [["C"], "keys.compose"],
  [["V"], "keys.vary"],
  [["F"], "keys.favourite"],
  [["F2"], "keys.rename"],
  [["Delete"], "keys.delete"],
  [["Ctrl", "Z"], "keys.undo"],
  [["↑", "↓"], "keys.library"],
  [["M", "S"], "keys.tracks"],
  [["+", "−", "0"], "keys.roll"],
  [["[", "]", "Esc"], "keys.loop"],
  [["?"], "keys.help"],
];
const TYPING = "textarea, select, [contenteditable=true], input:not([type=checkbox], [type=radio], [type=range], [type=button])";

const PRESSED_BY_SPACE = "button, a, summary, [role=tab], input:not([type=range])";
let pointed = null; // what was pressed with a pointer has the focus still, yet who presses space next wants to hear

/** @param {null} _ @param {any} session @param {any} player */
export function mountKeyboard(_, session, player) {
  document.addEventListener("click", (event) => (pointed = event.detail > 0 ? event.target.closest?.(PRESSED_BY_SPACE) : null), true);
  document.addEventListener("keyup", (event) => event.code === "Space" && pointed && event.target === pointed && event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab" || event.key === "Enter") pointed = null;
    if (event.defaultPrevented || dialogOpen() || event.target.closest?.(TYPING)) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.code === "KeyZ" && !event.shiftKey) {
      if (undoLast()) event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (act(event, session, player)) event.preventDefault();
  });
}

function act(event, session, player) {
  const key = event.key === "?" ? "?" : event.code.replace(/^Key/, "").toLowerCase(); // the place of the key: it is C in any layout
  const inRow = event.target.closest?.("[data-piece]");
  const takesArrows = event.target.closest?.("input, [role=tablist], [role=listbox], [role=slider]");
  if (key === "space" || event.key === " ") {
    const pressed = event.target.closest?.(PRESSED_BY_SPACE);
    return pressed && pressed !== pointed ? false : run(() => player.toggle());
  }
  if (key === "arrowleft" || key === "arrowright") return takesArrows ? false : seekBar(session, player, key === "arrowleft" ? -1 : 1);
  if (key === "home") return takesArrows ? false : run(() => player.seek(0));
  if (byId("studio").hidden && ["c", "v", "f", "f2", "delete"].includes(key)) return false; // another room is shown
  if (key === "c") return run(() => byId("compose-button")?.click());
  if (key === "?") return run(showKeys);
  if (key === "f2" && session.current.record) return run(() => byId("rename").click());
  if (["v", "f", "delete"].includes(key)) return run(() => onPiece(key, inRow, session));
  emit("key", { key, target: event.target });
  return false;
}

function run(fn) {
  Promise.resolve(fn()).catch(failed);
  return true;
}

async function onPiece(key, inRow, session) {
  const record = inRow ? await api.get(`/pieces/${inRow.dataset.piece}`) : session.current.record;
  if (!record) return;
  await { v: vary, f: favourite, delete: remove }[key](record);
}

/** Seek to the bar line before or after; the beginning of this bar if it has sounded for a while. */
function seekBar(session, player, step) {
  const { bars = [], duration = 0 } = session.current.music;
  const now = player.position();
  const grace = step < 0 ? 0.6 : 0.02;
  const wanted = step > 0 ? bars.find((at) => at > now + grace) : bars.findLast((at) => at < now - grace);
  player.seek(wanted ?? (step > 0 ? Math.min(now + 2, duration) : 0));
  return true;
}

/** The list of keys. */
export function showKeys() {
  const rows = LIST.flatMap(([keys, text]) => [
    el("dt", {}, ...keys.map((key) => el("kbd", { text: key }))),
    el("dd", { text: t(text) }),
  ]);
  showDialog(t("keys.title"), [el("dl", { class: "keys" }, ...rows)], { name: "keys-dialog" });
}
