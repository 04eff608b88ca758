/**
 * Taking a piece away: a menu of all formats, and a handle that is dragged out of the window into a DAW or onto the desktop.
 *
 * Chromium makes a file of what is dragged (its DownloadURL); other browsers drag an address alone, and are told to use the button.
 * What a browser cannot save, such as a piece without a score, is told as every error is.
 */

import { address, fetchRaw, get } from "./api.js";
import { on } from "./bus.js";
import { el, icon } from "./dom.js";
import { pick, t } from "./i18n.js";
import { menuAt } from "./menu.js";
import { failed, toast } from "./toast.js";

/** @typedef {{name: string, media_type: string, suffix: string, label: Record<string, string>, about: Record<string, string>, group: string}} Format */

const MAX_STEM_BYTES = 120;
const RESERVED = /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?$/i;

let known = null;

/** The formats that the server writes, in the order of a menu. @returns {Promise<Format[]>} */
export async function formats() {
  known ??= get("/about").then(
    (about) => about.formats,
    (error) => {
      known = null;
      throw error;
    },
  );
  return known;
}

/** A title as the name of a file without suffix, safe on every system: the same as the server's. @param {string} title */
export function fileStem(title) {
  const shown = [...title.toWellFormed()]
    .filter((char) => !/[\p{Cf}\p{Co}\uFFFE\uFFFF\uFFFD]/u.test(char) || char === "\u200c" || char === "\u200d")
    .map((char) => (/[\p{Cc}\u2028\u2029]/u.test(char) ? " " : char))
    .join("");
  const line = [...shown.replace(/\s+/g, " ").trim()].slice(0, 200).join("");
  const plain = trimmed(line.normalize("NFC").replace(/[<>:"/\\|?*]/g, "-"));
  const cut = trimmed(new TextDecoder().decode(new TextEncoder().encode(plain).slice(0, MAX_STEM_BYTES)).replace(/\uFFFD+$/, ""));
  if (!cut.replaceAll("-", "")) return "piece";
  return RESERVED.test(cut) ? `_${cut}` : cut;
}

const trimmed = (text) => text.replace(/^[ .]+|[ .]+$/g, "");

/** The whole address of a piece in a format. @param {string} id @param {string} format */
const fileAddress = (id, format) => new URL(address(`/pieces/${id}/file/${format}`), window.location.href).href;

/** Whether this browser makes a file of what is dragged out. */
function canDragOut() {
  const brands = navigator.userAgentData?.brands?.map((one) => one.brand) || [];
  return brands.includes("Chromium") || ("chrome" in window && !/\bmobile\b/i.test(navigator.userAgent));
}

/**
 * Make an element something that is dragged out as the MIDI file of a piece.
 * @param {HTMLElement} element
 * @param {{id: string, title: string}|(() => {id: string, title: string}|null)} record
 * @returns {HTMLElement}
 */
export function dragOut(element, record) {
  element.draggable = true;
  element.addEventListener("dragstart", (event) => {
    const piece = typeof record === "function" ? record() : record;
    if (!piece || !event.dataTransfer) return event.preventDefault();
    const url = fileAddress(piece.id, "mid");
    event.dataTransfer.effectAllowed = "copyLink";
    event.dataTransfer.setData("DownloadURL", `audio/midi:${fileStem(piece.title)}.mid:${url}`);
    event.dataTransfer.setData("text/uri-list", url);
    event.dataTransfer.setData("application/x-kapelle-piece", piece.id);
    if (!canDragOut()) toast(t("downloads.no_drag"), { hint: t("downloads.no_drag_hint") });
    event.stopPropagation();
  });
  return element;
}

/**
 * The entries of a menu: every format of a piece.
 * @param {{id: string, title: string, source: string}} record
 */
export async function formatEntries(record) {
  const out = [];
  let group = "";
  for (const format of await formats()) {
    if (format.name === "recipe.json" && record.source !== "composed") continue;
    if (format.group !== group) out.push({ heading: t(`downloads.group.${format.group}`) });
    group = format.group;
    out.push({
      label: pick(format.label),
      about: pick(format.about),
      href: fileAddress(record.id, format.name),
      download: fileStem(record.title) + format.suffix,
      run: (event) => {
        event.preventDefault();
        save(record, format);
      },
    });
  }
  return out;
}

/**
 * Save a piece as a file: fetched first, so that what goes wrong is told in words.
 * @param {{id: string, title: string}} record
 * @param {Format} format
 */
export async function save(record, format) {
  const wait = setTimeout(() => toast(t("downloads.making", { format: pick(format.label) })), 700);
  try {
    const answer = await fetchRaw(`/pieces/${record.id}/file/${format.name}`);
    const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: fileStem(record.title) + format.suffix, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    failed(error);
  } finally {
    clearTimeout(wait);
  }
}

/** A handle to drag a piece out with; pressing it saves the MIDI file. @param {() => {id: string, title: string}|null} record */
export function handle(record) {
  const made = el("a", { class: "chip drag-handle", href: "#", draggable: "true" }, icon("file"), el("span", { "data-t": "downloads.handle" }));
  made.addEventListener("click", async (event) => {
    event.preventDefault();
    const piece = record();
    const midi = (await formats()).find((format) => format.name === "mid");
    if (piece && midi) save(piece, midi);
  });
  return dragOut(made, record);
}

/**
 * The handle and the menu beside the title of the open piece.
 * @param {HTMLElement} element the region "piece-actions"
 * @param {import("./session.js").session} session
 */
export function mountDownloads(element, session) {
  const record = () => session.current.record;
  const chip = handle(record);
  const button = el("button", { type: "button", class: "button", id: "download" }, icon("download"), el("span", { "data-t": "downloads.button" }));
  menuAt(button, () => formatEntries(record()));
  element.append(chip, button);
  const show = () => {
    const piece = record();
    chip.hidden = button.hidden = !piece;
    chip.querySelector("span").textContent = t("downloads.handle");
    button.querySelector("span").textContent = t("downloads.button");
    const label = t(canDragOut() ? "downloads.handle_label" : "downloads.handle_label_button");
    chip.title = label;
    chip.setAttribute("aria-label", label);
    if (piece) chip.href = fileAddress(piece.id, "mid");
  };
  for (const name of ["open", "closed", "job", "language", "library-changed"]) on(name, show);
  show();
  return { show };
}
