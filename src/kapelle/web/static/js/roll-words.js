/**
 * The roll in words: what it says where it is empty, the names of its buttons and rows, and for those who do not see the picture a summary
 * and a table of the tracks.
 */

import { clock, el, named } from "./dom.js";
import { t } from "./i18n.js";
import { instrumentOf } from "./instruments.js";
import { labelOf, pitchName } from "./roll-paint.js";
import { DRUM_ROWS } from "./roll-view.js";

const MARKS_TOLD = 12;

/** Say everything that stands on the roll in the language of the page. @param {any} roll */
export function sayAll(roll) {
  const { music, session, empty } = roll;
  const none = music.nNotes === 0;
  const waiting = none && session.current.job && session.busy;
  roll.element.classList.toggle("is-empty", none);
  empty.hidden = !none;
  roll.foot.hidden = none;
  const [, title, text] = empty.children;
  title.textContent = t(waiting ? "roll.waiting" : session.current.record ? "roll.no_notes" : "roll.empty");
  text.textContent = waiting || session.current.record ? "" : t("roll.empty_hint");
  roll.element.firstChild.setAttribute("aria-label", t("roll.title"));
  roll.again.lastChild.textContent = t("roll.follow");
  for (const button of roll.tools.children) named(button, t(button.dataset.tLabel));
  roll.drumWords = Object.fromEntries([...DRUM_ROWS.map((name) => [name, t(`roll.drum.${name}`)]), ["bar", t("roll.bar")]]);
}

/** Tell what the picture shows. @param {any} roll */
export function describe({ music, canvas, table }) {
  const facts = { tracks: music.tracks.length, bars: Math.max(music.bars.length - 1, 0), notes: music.nNotes, length: clock(music.duration) };
  const marks = music.marks.slice(0, MARKS_TOLD).map((mark) => `${labelOf(mark)} ${clock(mark.start_s)}`);
  const words = [t("roll.summary", facts), marks.length > 0 ? t("roll.regions", { regions: marks.join(", ") }) : "", t("roll.keys")];
  canvas.setAttribute("aria-label", words.filter(Boolean).join(" "));
  const head = ["instrument", "notes", "range", "from_to"].map((name) => el("th", { scope: "col", text: t(`roll.table.${name}`) }));
  const rows = music.tracks.map((track) => el("tr", {}, ...row(track, music)));
  const caption = el("caption", { text: t("roll.table.title") });
  table.replaceChildren(el("table", {}, caption, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
}

function row(track, music) {
  const pitches = track.notes.map((note) => note.pitch);
  const [low, high] = pitches.reduce(([a, b], pitch) => [Math.min(a, pitch), Math.max(b, pitch)], [127, 0]);
  const range = track.drum || pitches.length === 0 ? "–" : `${pitchName(low)} – ${pitchName(high)}`;
  const last = track.notes.at(-1);
  const span = last ? t("roll.table.bars", { from: music.barAt(track.notes[0].start) + 1, to: music.barAt(last.start) + 1 }) : "–";
  return [
    el("th", { scope: "row", text: instrumentOf(track) }),
    ...[t("common.notes", { n: track.notes.length }), range, span].map((text) => el("td", { text })),
  ];
}
