/**
 * The music that is brought, for what needs some: a MIDI file that is dropped or chosen, or the piece that is open.
 */

import { dropZone } from "./fields.js";
import { el, icon } from "./dom.js";
import { t } from "./i18n.js";
import { send } from "./upload.js";

/**
 * @param {any} session
 * @param {() => void} changed
 */
export function makeSource(session, changed) {
  /** @type {{piece?: string, upload?: string, file?: File, title: string}|null} an upload goes with the job that uses it: `file` sends it again */
  let held = null;
  const element = el("div", { class: "source" });
  let verb = "extend";
  let zone = null;

  const set = (source) => {
    held = source;
    draw();
    changed();
  };
  const draw = () => {
    const record = session.current.record;
    zone = dropZone({ label: t("composer.drop_midi"), accept: ".mid,.midi,audio/midi", taken: async (file) => {
      const upload = await send(file);
      if (upload) set({ upload: upload.id, title: upload.name, file });
    } });
    const take = (label, source) => el("button", { type: "button", class: "button", on: { click: () => set(source) } }, icon("note"), el("span", { class: "clip", text: label }));
    const offersOpen = record && held?.piece !== record.id;
    element.replaceChildren(
      el("h3", { class: "label", text: t(`composer.source.${verb}`) }),
      ...(held ? [chosen(held, () => set(null))] : [zone.zone]),
      ...(offersOpen ? [take(t("composer.take_open", { title: record.title }), { piece: record.id, title: record.title })] : []),
    );
  };
  return {
    show(which) {
      verb = which;
      draw();
      return element;
    },
    refresh: () => element.isConnected && draw(),
    set,
    ask: () => {
      element.classList.add("asked");
      element.scrollIntoView({ block: "nearest" });
      zone.button.focus();
      setTimeout(() => element.classList.remove("asked"), 1200);
    },
    get given() {
      return held !== null;
    },
    /** What a request takes; null, and a message, if it cannot be had any more. */
    async take() {
      if (held.piece) return { piece: held.piece };
      if (!held.upload) held.upload = (await send(held.file))?.id;
      const { upload } = held;
      held.upload = undefined;
      return upload ? { upload } : null;
    },
  };
}

function chosen(held, drop) {
  return el(
    "div",
    { class: "source-chosen" },
    icon(held.piece ? "note" : "file"),
    el("span", { class: "clip", text: held.title }),
    el("button", { type: "button", class: "icon-button", "aria-label": t("composer.take_out"), title: t("composer.take_out"), on: { click: drop } }, icon("close")),
  );
}
