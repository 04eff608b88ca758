/**
 * The tab Details: all that made the open piece - model, bundle, seed, settings, where it comes from and what came of it - the command that
 * makes the same piece without the page, and a button that sets the composer like it.
 *
 * Tells on the bus: "compose-like" {record}.
 */

import { get } from "./api.js";
import { emit, on } from "./bus.js";
import { compose as commandLine } from "./command.js";
import { clock, el, facts, icon } from "./dom.js";
import { fileStem, formats, save } from "./downloads.js";
import { words } from "./fields.js";
import { has, language, number, t } from "./i18n.js";
import { parentOf } from "./library-row.js";
import { titleOf } from "./models.js";
import { failed, toast } from "./toast.js";
import { keyName } from "./words.js";

const MOST_ANCESTORS = 12;
const MOST_CHILDREN = 24;

class Details {
  constructor(element, session) {
    Object.assign(this, { element, session });
    for (const name of ["open", "closed", "job", "tab", "language"]) on(name, () => this.draw());
    on("changed", ({ record }) => record.id === this.session.current.record?.id && this.draw());
    this.draw();
  }

  draw() {
    if (this.element.hidden) return;
    const record = this.session.current.record;
    if (!record) return this.element.replaceChildren(el("div", { class: "empty" }, icon("note"), el("p", { text: t("details.empty") })));
    this.element.replaceChildren(
      el(
        "div",
        { class: "details" },
        section("details.piece", facts(this._piece(record))),
        record.source === "composed" ? section("details.made", facts(this._made(record)), this._settings(record), actions(record)) : null,
        record.source === "composed" ? section("details.command", this._command(record)) : null,
        section("details.lineage", this._lineage(record)),
      ),
    );
    return undefined;
  }

  _piece(record) {
    return [
      [t("details.title"), record.title],
      [t("details.created"), new Intl.DateTimeFormat(language(), { dateStyle: "long", timeStyle: "short" }).format(record.created * 1000)],
      [t("details.length"), `${t("common.bars", { n: record.n_bars })} · ${clock(record.duration_s)} · ${t("common.notes", { n: record.n_notes })}`],
      [t("details.key"), record.key ? keyName(record.key) : "–"],
      [t("details.tempo"), `${number(record.tempo_bpm, { maximumFractionDigits: 1 })} · ${record.metre}`],
      [t("details.tracks"), record.tracks.join(", ") || "–"],
      ...(record.tags.length ? [[t("library.tags"), record.tags.join(", ")]] : []),
    ];
  }

  _made(record) {
    return [
      [t("details.verb"), t(`details.verb.${record.verb}`)],
      [t("details.model"), el("a", { href: `#/models/${encodeURIComponent(record.model)}`, text: titleOf(record.model) })],
      [t("details.bundle"), el("code", { text: record.bundle_hash, class: "hash" })],
      [t("details.seed"), el("code", { text: String(record.seed) })],
    ];
  }

  _settings(record) {
    const { options = {}, sampling, length, band, max_copied_notes: limit } = record.request;
    const rows = [
      ...(length ? [[t("details.asked_length"), `${number(length.amount)} ${t(`details.unit.${length.unit}`)}`]] : []),
      ...(band ? [[t("composer.option.band"), titleOf(band)]] : []),
      ...(limit ? [[t("composer.option.max_copied_notes"), String(limit)]] : []),
      ...Object.entries({ ...options, ...sampling }).map(([name, value]) => [words(name, {}).label, shown(value)]),
    ].filter(([, value]) => value !== "");
    if (!rows.length) return el("p", { class: "muted", text: t("details.no_settings") });
    return el("details", { open: true }, el("summary", {}, t("details.settings"), icon("down")), facts(rows));
  }

  _command(record) {
    const parts = commandLine(record, fileStem(record.title));
    const recipe = async () => {
      const format = (await formats()).find((one) => one.name === "recipe.json");
      if (format) await save(record, format);
    };
    const button = el("button", { type: "button", class: "button small", on: { click: () => recipe().catch(failed) } }, icon("download"), t("details.recipe"));
    return [
      ...(parts.direct ? [el("p", { class: "hint", text: t("details.command_direct") }), copyable(parts.direct)] : [el("p", { class: "hint", text: t("details.command_file") })]),
      el("p", { class: "hint", text: t("details.command_recipe") }),
      copyable(parts.recipe),
      el("div", { class: "row" }, button),
    ];
  }

  _lineage(record) {
    const list = el("ol", { class: "lineage-list" }, item(record, this.session, true));
    const children = el("ul", { class: "lineage-list" });
    this._ancestors(record, list).catch(() => {});
    this._children(record, children).catch(() => {});
    return [list, children];
  }

  async _ancestors(record, list) {
    for (let [id, left] = [record.parent, MOST_ANCESTORS]; id && left > 0; left -= 1) {
      const parent = await parentOf(id);
      if (!list.isConnected) return;
      list.prepend(parent ? item(parent, this.session) : el("li", { class: "muted", text: t("library.gone") }));
      id = parent?.parent;
    }
  }

  async _children(record, list) {
    const { pieces, total } = await get(`/pieces?parent=${record.id}&limit=${MOST_CHILDREN}`);
    if (!list.isConnected || total === 0) return;
    list.before(el("p", { class: "overline", text: t("details.children", { n: total }) }));
    list.append(...pieces.map((piece) => item(piece, this.session)));
  }
}

const section = (key, ...children) => el("section", {}, el("h3", { text: t(key) }), ...children.flat());

function shown(value) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value === "boolean") return t(value ? "details.yes" : "details.no");
  if (typeof value === "number") return number(value);
  if (typeof value === "object") return value.bytes ? t("details.file", { n: value.bytes }) : JSON.stringify(value);
  if (String(value).length > 200) return t("details.file", { n: String(value).length });
  return has(`composer.value.${value}`) ? t(`composer.value.${value}`) : String(value);
}

/** Set the composer like the piece, or take its seed along. */
function actions(record) {
  const use = el("button", { type: "button", class: "button small", on: { click: () => emit("compose-like", { record }) } }, icon("sliders"), t("details.use"));
  const seed = el("button", { type: "button", class: "button small quiet", text: t("details.copy_seed"), on: { click: () => copy(String(record.seed), null) } });
  return el("div", { class: "row" }, use, seed);
}

/** Into the clipboard; where a page has none, the text is selected so that Ctrl+C takes it. */
async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    toast(t("details.copied"), { kind: "ok" });
  } catch {
    if (element) window.getSelection().selectAllChildren(element);
    toast(element ? t("details.copy_by_hand") : text);
  }
}

function item(record, session, here = false) {
  if (here) return el("li", { "aria-current": "true", class: "strong", text: record.title });
  const words = record.seed === null ? record.title : `${record.title} · ${t("candidates.seed", { seed: String(record.seed) })}`;
  return el("li", {}, el("button", { type: "button", class: "link", text: words, on: { click: () => session.open(record.id).catch(failed) } }));
}

/** A command with a button that copies it. @param {string} text */
export function copyable(text) {
  const code = el("code", { text, tabindex: "0" });
  const button = el("button", { type: "button", class: "button small", text: t("details.copy") });
  button.addEventListener("click", () => copy(text, code));
  return el("div", { class: "copyable" }, code, button);
}

/** @param {HTMLElement} element @param {import("./session.js").session} session */
export const mountDetails = (element, session) => new Details(element, session);
