/** Names of musical things in the page's language: keys and notes. */

import { t } from "./i18n.js";

/** "F# minor" in the page's language; what is no such name stays as it is. @param {string} key */
export function keyName(key) {
  const found = /^([A-G][#b]?) (major|minor)$/.exec(key || "");
  return found ? t(`library.key.${found[2]}`, { tonic: noteName(found[1]) }) : key || "";
}

/** "F#" in the page's language. @param {string} note A to G, and # or b */
export function noteName(note) {
  const letter = t(`library.note.${note[0]}`);
  if (note.length < 2) return letter;
  return t(`library.note.${note[1] === "#" ? "sharp" : "flat"}`, { note: letter });
}
