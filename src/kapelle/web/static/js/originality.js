/**
 * How much of a piece stands in the music that its model learned from, beside how much of human music does: asked for once, and put into
 * words with care. It compares notes of melody and bass; it says nothing about law.
 */

import { get } from "./api.js";
import { t } from "./i18n.js";

const asked = new Map();

/**
 * The figures of a piece; null where its model has no index of its music.
 * @param {string} id
 */
export function originality(id) {
  if (!asked.has(id)) {
    const answer = get(`/pieces/${id}/originality`).then((told) => told.originality);
    answer.catch(() => asked.delete(id));
    asked.set(id, answer);
    if (asked.size > 300) asked.delete(asked.keys().next().value);
  }
  return asked.get(id);
}

/**
 * One word on the longest shared run: how it stands among excerpts of human music.
 * @param {{at_most: number, longest_run: number, human: {longest_run: Record<string, number|null>}}} found
 */
export function verdict(found) {
  return t(`judge.original.${level(found)}`);
}

/** "none", "usual", "high" or "beyond". */
export function level(found) {
  if (!found.longest_run) return "none";
  const human = found.human?.longest_run || {};
  if (human["95%"] === null || human["95%"] === undefined) return "unknown";
  if (found.longest_run <= human["75%"]) return "usual";
  return found.longest_run <= human["95%"] ? "high" : "beyond";
}
