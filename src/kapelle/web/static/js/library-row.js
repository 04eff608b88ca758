/**
 * A piece in the library's list: its music at a glance, title, facts, tags, where it comes from, and what one does with it.
 *
 * A row is a `role=row` with `data-piece`; it is drawn from its record and drawn anew when that changes. Title and tags are edited in place.
 */

import { change, favourite } from "./actions.js";
import { get } from "./api.js";
import { clock, el, icon, named, setIcon } from "./dom.js";
import { dragOut } from "./downloads.js";
import { t } from "./i18n.js";
import { menuAt } from "./menu.js";
import { miniature } from "./miniature.js";
import { titleOf } from "./models.js";
import { failed, toast } from "./toast.js";
import { keyName } from "./words.js";

const parents = new Map();
const MAX_TITLE = 200;
const MAX_TAG = 40;
const MOST_TAGS = 20;

/** The record of a piece that others come from; null if it is gone for good. @param {string} id */
export function parentOf(id) {
  if (!parents.has(id)) {
    parents.set(id, get(`/pieces/${id}`).catch((error) => {
      if (error.status !== 404) parents.delete(id);
      return null;
    }));
    if (parents.size > 500) parents.delete(parents.keys().next().value);
  }
  return parents.get(id);
}

/** A piece has another title now. @param {any} record */
export const renamed = (record) => parents.set(record.id, Promise.resolve(record));

/**
 * A new row.
 * @param {any} record
 * @param {import("./library.js").Library} library
 */
export function makeRow(record, library) {
  const pick = el("input", { type: "checkbox", tabindex: "-1" });
  const title = el("span", { class: "title" });
  const star = el("button", { type: "button", class: "icon-button star", tabindex: "-1" }, icon("star"));
  const more = el("button", { type: "button", class: "icon-button more", tabindex: "-1" }, icon("more"));
  const restore = el("button", { type: "button", class: "button small restore", tabindex: "-1" });
  const parts = { pick, title, star, more, restore, facts: el("span", { class: "facts-line" }), tags: el("span", { class: "tags" }), lineage: el("span", { class: "lineage" }) };
  const row = el(
    "div",
    { role: "row", class: "piece-row", "data-piece": record.id, tabindex: "-1" },
    el("div", { role: "gridcell", class: "head" }, title, el("span", { class: "acts" }, star, more, restore)),
    el("div", { role: "gridcell", class: "strip" }, miniature(record.id), el("label", { class: "pick" }, pick)),
    el("div", { role: "gridcell", class: "below" }, parts.facts, parts.tags, parts.lineage),
  );
  Object.assign(row, { parts, record: null });
  dragOut(row, () => (row.querySelector(".editing") ? null : row.record));
  star.addEventListener("click", stop(() => favourite(row.record)));
  restore.addEventListener("click", stop(() => library.restore([row.record])));
  pick.addEventListener("click", (event) => event.stopPropagation());
  pick.addEventListener("change", (event) => library.selection.toggle(row.record.id, pick.checked, event));
  title.addEventListener("dblclick", stop(() => library.trash || editTitle(row)));
  menuAt(more, () => library.menu(row));
  row.addEventListener("contextmenu", (event) => library.contextMenu(row, event));
  row.addEventListener("click", (event) => library.clicked(row, event));
  showRow(row, record, library);
  return row;
}

const stop = (fn) => (event) => {
  event.stopPropagation();
  Promise.resolve(fn(event)).catch(failed);
};

/** Draw a row as its record says. @param {any} row @param {any} record @param {import("./library.js").Library} library */
export function showRow(row, record, library) {
  const { title, facts, tags, star, more, restore, pick, lineage } = row.parts;
  row.record = record;
  row.setAttribute("aria-label", `${record.title}, ${factsOf(record)}`);
  if (!title.querySelector(".editing")) title.textContent = record.title;
  title.title = record.title;
  facts.textContent = factsOf(record);
  facts.title = facts.textContent;
  if (!tags.querySelector(".editing")) tags.replaceChildren(...record.tags.map((tag) => tagButton(tag, library)));
  star.setAttribute("aria-pressed", String(record.favourite));
  named(star, t(record.favourite ? "library.unfavourite" : "library.favourite"));
  setIcon(star.querySelector("svg"), record.favourite ? "starred" : "star");
  named(more, t("library.more", { title: record.title }));
  named(pick, t("library.select", { title: record.title }));
  restore.textContent = t("library.restore");
  star.hidden = more.hidden = library.trash;
  restore.hidden = !library.trash;
  row.classList.toggle("favourite", record.favourite);
  showLineage(lineage, record, library);
}

/** One line: model, length, key. @param {any} record */
export function factsOf(record) {
  const parts = [
    record.source === "uploaded" ? t("library.uploaded") : titleOf(record.model),
    t("common.bars", { n: record.n_bars }),
    clock(record.duration_s),
    record.key ? keyName(record.key) : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

function tagButton(tag, library) {
  return el("button", { type: "button", class: "tag", tabindex: "-1", text: tag, on: { click: stop(() => library.filter({ tag })) } });
}

async function showLineage(place, record, library) {
  if (!record.parent) return place.replaceChildren();
  if (place.dataset.parent !== record.parent) place.replaceChildren();
  place.dataset.parent = record.parent;
  const parent = await parentOf(record.parent);
  if (place.dataset.parent !== record.parent) return;
  const link = el("button", { type: "button", class: "link", tabindex: "-1" });
  link.textContent = t(`library.from.${record.verb === "vary" ? "vary" : "other"}`, { title: parent ? parent.title : t("library.gone") });
  link.disabled = !parent;
  link.addEventListener("click", stop(() => library.open(parent)));
  place.replaceChildren(icon("vary"), link);
}

/** Let the title of a row be written anew; Enter keeps it, Escape does not. @param {any} row */
export function editTitle(row) {
  const input = el("input", { class: "input editing", type: "text", maxlength: String(MAX_TITLE), "aria-label": t("library.rename"), prop: { value: row.record.title } });
  edit(row, row.parts.title, input, async () => {
    const title = input.value.trim();
    if (title && title !== row.record.title) await change(row.record.id, { title });
  }, () => (row.parts.title.textContent = row.record.title));
  input.select();
}

/** Let the tags of a row be written anew, with commas between them. @param {any} row @param {import("./library.js").Library} library */
export function editTags(row, library) {
  const list = el("datalist", { id: "library-tags" }, ...library.knownTags().map((tag) => el("option", { value: tag })));
  const input = el("input", {
    class: "input editing", type: "text", maxlength: "800", "aria-label": t("library.tags"), placeholder: t("library.tags_hint"), list: list.id,
    prop: { value: row.record.tags.map((tag) => `${tag}, `).join("") },
  });
  edit(row, row.parts.tags, input, async () => {
    const tags = [...new Set(input.value.split(/[,;]/).map((tag) => tag.trim().slice(0, MAX_TAG)).filter(Boolean))];
    if (tags.length > MOST_TAGS) toast(t("library.tags_most", { n: MOST_TAGS }), { kind: "error" });
    tags.splice(MOST_TAGS);
    if (tags.join("\n") !== row.record.tags.join("\n")) await change(row.record.id, { tags });
  }, () => showRow(row, row.record, library));
  row.parts.tags.append(list);
}

/** An input instead of what stands in `place`, until Enter, Escape or the focus is lost. */
function edit(row, place, input, keep, show) {
  if (place.querySelector(".editing")) return;
  let over = false;
  place.replaceChildren(input);
  row.draggable = false;
  const end = async (wanted) => {
    if (over) return;
    over = true;
    row.draggable = true;
    const focused = place.contains(document.activeElement);
    try {
      if (wanted) await keep();
    } catch (error) {
      failed(error);
    }
    input.remove();
    place.replaceChildren();
    show();
    if (focused) row.focus();
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing) return;
    if (event.key === "Enter") end(true);
    if (event.key === "Escape") end(false);
  });
  for (const name of ["click", "dblclick", "pointerdown"]) input.addEventListener(name, (event) => event.stopPropagation());
  input.addEventListener("blur", () => end(true));
  input.focus();
}
