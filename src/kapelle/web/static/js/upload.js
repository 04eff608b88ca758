/**
 * Files from outside: dropped anywhere on the page. Looked at here before anything is sent, told about in a musician's words, and then
 * offered for what can be done with it: keep, continue, accompany, develop.
 */

import * as api from "./api.js";
import { emit } from "./bus.js";
import { dialogOpen, showDialog } from "./dialog.js";
import { byId, clock, el, icon } from "./dom.js";
import { t } from "./i18n.js";
import { failed, toast } from "./toast.js";
import { keyName } from "./words.js";

const SOUND = /\.(wav|mp3|ogg|flac|m4a|aac|opus|aiff?)$/i;
const SHEET = /\.(musicxml|mxl|xml|pdf|mscz|ly|gp\w?)$/i;
let limit = 8 * 2 ** 20;

/** Listen for files dropped anywhere. @param {null} _ @param {any} session */
export function mountUpload(_, session) {
  let depth = 0;
  const overlay = byId("drop");
  const files = (event) => event.dataTransfer?.types.includes("Files");
  const over = (shown) => {
    overlay.hidden = !shown;
    document.body.classList.toggle("dragging", shown);
    if (!shown) depth = 0;
  };
  window.addEventListener("dragenter", (event) => {
    if (!files(event) || dialogOpen()) return;
    depth += 1;
    over(true);
  });
  window.addEventListener("dragleave", (event) => {
    if (!files(event)) return;
    depth -= 1;
    if (depth <= 0) over(false);
  });
  window.addEventListener("dragover", (event) => files(event) && event.preventDefault());
  document.addEventListener("kapelle-dropped", () => over(false));
  window.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    over(false);
    const [file, more] = event.dataTransfer.files;
    if (more) toast(t("upload.one_at_a_time"));
    if (file) bring(file, session);
  });
  api.get("/about").then((about) => (limit = about.limits?.upload_bytes || limit), () => {});
}

/** Send a MIDI file and give the upload; null, and a message, if it cannot be used. @param {File} file */
export async function send(file) {
  const why = await refusal(file);
  if (why) {
    toast(why.message, { kind: "error", hint: why.hint });
    return null;
  }
  try {
    return await api.upload(file);
  } catch (error) {
    failed(error);
    return null;
  }
}

/**
 * Why a file cannot be used as MIDI, as far as that shows here: {message, hint}; null if it may be.
 * @param {File} file @param {number} [most] bytes
 */
export async function refusal(file, most = limit) {
  const name = file.name;
  if (SOUND.test(name)) return { message: t("upload.is_sound", { name }), hint: t("upload.is_sound_hint") };
  if (SHEET.test(name)) return { message: t("upload.is_sheet", { name }), hint: t("upload.is_sheet_hint") };
  if (file.size > most) {
    return { message: t("upload.too_large", { name, size: sizeOf(file.size) }), hint: t("upload.too_large_hint", { most: sizeOf(most) }) };
  }
  if (file.size === 0) return { message: t("upload.empty", { name }), hint: t("upload.not_midi_hint") };
  const head = await file.slice(0, 4).text().catch(() => "");
  if (head !== "MThd" && head !== "RIFF") return { message: t("upload.not_midi", { name }), hint: t("upload.not_midi_hint") };
  return null;
}

function sizeOf(bytes) {
  if (bytes >= 1e6) return t("common.megabytes", { n: Math.round(bytes / 1e6) });
  return t("common.kilobytes", { n: Math.max(1, Math.round(bytes / 1e3)) });
}

async function bring(file, session) {
  const upload = await send(file);
  if (upload) choices(upload, file, session);
}

/** What can be done with an upload. */
function choices(upload, file, session) {
  const { info = {} } = upload;
  const source = { upload: upload.id, title: upload.name, file };
  let kept = false;
  const entry = (drawing, key, fn) =>
    el(
      "button",
      { type: "button", class: "choice", on: { click: () => ((kept = true), dialog.close(), fn()) } },
      icon(drawing),
      el("span", {}, el("span", { class: "label", text: t(key) }), el("span", { class: "hint", text: t(`${key}_hint`) })),
    );
  const withVerb = (verb) => entry(verb, `upload.${verb}`, () => emit("compose-with", { verb, source }));
  const facts = [info.n_bars ? t("common.bars", { n: info.n_bars }) : "", info.n_notes ? t("common.notes", { n: info.n_notes }) : "", info.key ? keyName(info.key) : "", info.metre, info.duration_s ? clock(info.duration_s) : ""];
  const dialog = showDialog(
    upload.name,
    [
      el("p", { class: "muted", text: facts.filter((one) => typeof one === "string" && one).join("  ·  ") }),
      el("div", { class: "choices" }, entry("star", "upload.keep", () => keep(upload, session)), withVerb("extend"), withVerb("accompany"), withVerb("develop")),
    ],
    { name: "upload-dialog", closed: () => kept || api.del(`/uploads/${upload.id}`).catch(() => {}) },
  );
  dialog.querySelector(".choice").focus();
}

async function keep(upload, session) {
  try {
    const record = await api.post("/pieces", { upload: upload.id, title: upload.name.replace(/\.midi?$/i, "") });
    session.libraryChanged();
    toast(t("upload.kept", { title: record.title }), { kind: "ok" });
    await session.open(record.id);
  } catch (error) {
    failed(error);
  }
}
