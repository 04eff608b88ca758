/**
 * The names of General MIDI's instruments in the page's language. The table is kapelle.score.instruments as JSON; a test compares them.
 */

import { familyOf } from "./colors.js";
import { language } from "./i18n.js";

const table = await (await fetch(new URL("../instruments.json", import.meta.url))).json();

/** The name of a program; -1: drums. @param {number} program */
export function programName(program) {
  const { names, families } = table[language()] || table.en;
  return program < 0 ? families[16] : names[program] || names[0];
}

/**
 * What a track is called: its instrument, and its own name where that says something else.
 * @param {{name: string, program: number}} track
 */
export function instrumentOf(track) {
  const instrument = programName(track.program);
  return ownName(track) ? `${track.name} (${instrument})` : instrument;
}

/** The name that a track has of its own, or "" where it is only that of its instrument. @param {{name: string, program: number}} track */
export function ownName(track) {
  const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
  const known = Object.values(table).flatMap(({ names, families }) => [
    track.program < 0 ? families[16] : names[track.program],
    families[familyOf(track.program)],
  ]);
  return known.some((name) => plain(name || "") === plain(track.name)) ? "" : track.name;
}
