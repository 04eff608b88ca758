/**
 * Everything that made the open piece: model, seed, settings, its parent; enough to make it again, and a button that sets the composer so.
 */

import * as api from "./api.js";
import { emit, on } from "./bus.js";
import { clock, el, icon } from "./dom.js";
import { words } from "./fields.js";
import { has, language, number, t } from "./i18n.js";
import { titleOf } from "./models.js";
import { failed, toast } from "./toast.js";

/** @param {HTMLElement} element @param {any} session */
export function mountDetails(element, session) {
  const show = () => {
    const { record } = session.current;
    if (!record) element.replaceChildren(el("div", { class: "empty" }, icon("sliders"), el("p", { text: t("details.empty") })));
    else element.replaceChildren(el("div", { class: "details" }, facts(record, session), actions(record)));
  };
  for (const name of ["open", "closed", "job", "changed", "language"]) on(name, show);
  show();
}

function facts(record, session) {
  const request = record.request || {};
  const rows = [
    ["details.model", record.model ? el("a", { href: `#/models/${record.model}`, text: titleOf(record.model) }) : null],
    ["details.verb", record.source === "uploaded" ? t("details.uploaded") : has(`composer.verb.${record.verb}`) ? t(`composer.verb.${record.verb}`) : record.verb],
    ["details.seed", record.seed === null || record.seed === undefined ? null : el("span", { class: "mono", text: String(record.seed) })],
    ["details.asked", request.length ? `${number(request.length.amount)} ${t(`composer.unit.${request.length.unit}`)}` : null],
    ...settings(request.options),
    ...settings(request.sampling),
    ["composer.option.band", request.band ? titleOf(request.band) : null],
    ["composer.option.max_copied_notes", request.max_copied_notes || null],
    ["details.size", [t("common.bars", { n: record.n_bars || 0 }), t("common.notes", { n: record.n_notes || 0 }), clock(record.duration_s)].join("  ·  ")],
    ["details.tracks", (record.tracks || []).filter(Boolean).join(", ")],
    ["details.parent", record.parent ? parent(record.parent, session) : null],
    ["details.created", when(record.created)],
    ["details.bundle", record.bundle_hash ? el("span", { class: "mono", title: record.bundle_hash, text: record.bundle_hash.slice(0, 12) }) : null],
  ];
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, ...shown.flatMap(([key, value]) => [el("dt", { text: has(key) ? t(key) : key }), el("dd", {}, value instanceof Node ? value : String(value))]));
}

function settings(table) {
  return Object.entries(table || {})
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => [words(name, {}).label, shownValue(value)]);
}

function shownValue(value) {
  if (typeof value === "boolean") return t(value ? "details.yes" : "details.no");
  if (typeof value === "number") return number(value);
  const text = String(value);
  if (text.length > 120) return t("composer.file_given");
  return has(`composer.value.${text}`) ? t(`composer.value.${text}`) : text;
}

function parent(id, session) {
  const link = el("button", { type: "button", class: "button quiet small link", text: t("details.open_parent"), on: { click: () => session.open(id).catch(failed) } });
  api.get(`/pieces/${id}`).then(
    (record) => (link.textContent = record.title),
    () => link.replaceWith(t("details.gone")),
  );
  return link;
}

function when(seconds) {
  if (!seconds) return "";
  const at = new Date(seconds * 1000);
  return el("time", { datetime: at.toISOString(), text: new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(at) });
}

function actions(record) {
  if (record.source !== "composed" || !record.model) return null;
  const use = () => emit("compose-like", { record });
  const copy = async () => {
    await navigator.clipboard.writeText(String(record.seed));
    toast(t("details.copied"), { kind: "ok" });
  };
  return el(
    "div",
    { class: "row" },
    el("button", { type: "button", class: "button", on: { click: use } }, icon("sliders"), t("details.use")),
    navigator.clipboard ? el("button", { type: "button", class: "button quiet", text: t("details.copy_seed"), on: { click: () => copy().catch(failed) } }) : null,
  );
}
