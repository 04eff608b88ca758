/**
 * The head of the stage: the name of what is open, its facts, and what one does with it most.
 */

import { again, favourite, rename, vary } from "./actions.js";
import { on } from "./bus.js";
import { byId, clock, el, icon } from "./dom.js";
import { t } from "./i18n.js";
import { failed } from "./toast.js";
import { keyName } from "./words.js";

/** @param {HTMLElement} element @param {any} session */
export function mountHead(element, session) {
  const title = byId("stage-title");
  const facts = byId("piece-facts");
  const actions = el("div", { class: "row" });
  byId("piece-actions").prepend(actions);
  const pencil = el("button", { type: "button", class: "icon-button", id: "rename", "aria-keyshortcuts": "F2", hidden: true }, icon("edit"));
  const line = el("div", { class: "title-line" });
  title.replaceWith(line);
  line.append(title, pencil);
  const act = (drawing, key, fn, text = false) => {
    const words = t(key);
    const button = el(
      "button",
      { type: "button", class: text ? "button quiet" : "icon-button", on: { click: () => Promise.resolve(fn(session.current.record)).catch(failed) } },
      icon(drawing),
      text ? words : null,
    );
    if (!text) button.setAttribute("aria-label", words);
    button.title = words;
    return button;
  };
  const bar = el("span", {});
  const progress = el("div", { class: "progress", "aria-hidden": "true", hidden: true }, bar);
  element.append(progress);
  const done = () => {
    progress.hidden = !session.busy;
    bar.style.transform = `scaleX(${session.job?.progress || 0})`;
  };
  const cancel = () => {
    const button = act("stop", "composer.cancel", () => session.cancel(), true);
    button.classList.add("phone-only");
    return button;
  };
  const show = () => {
    done();
    const { record, job } = session.current;
    pencil.hidden = !record;
    pencil.setAttribute("aria-label", t("library.rename"));
    pencil.title = `${t("library.rename")} (F2)`;
    title.textContent = record ? record.title : job ? t(session.busy ? "shell.being_made" : "shell.unfinished") : t("shell.nothing_open");
    facts.textContent = record ? factsOf(record) : "";
    if (!record) return actions.replaceChildren(...(job && session.busy ? [cancel()] : []));
    const star = act(record.favourite ? "starred" : "star", record.favourite ? "library.unfavourite" : "library.favourite", favourite);
    star.setAttribute("aria-pressed", String(record.favourite));
    const composed = record.source === "composed";
    return actions.replaceChildren(...(composed ? [act("vary", "library.vary", vary, true), act("reset", "library.again", again)] : []), star);
  };
  for (const name of ["asked", "progress", "idle"]) on(name, done);
  const edit = () => session.current.record && editTitle(title, session.current.record, show);
  title.addEventListener("dblclick", edit);
  pencil.addEventListener("click", edit);
  for (const name of ["job", "open", "closed", "changed", "language", "failed", "cancelled"]) on(name, show);
  show();
}

function editTitle(title, record, done) {
  const input = el("input", { class: "input", value: record.title, maxlength: 200, "aria-label": t("library.title_of_piece") });
  title.replaceChildren(input);
  input.select();
  const end = (keep) => {
    input.onblur = null;
    const text = input.value.trim();
    done();
    if (keep && text && text !== record.title) rename(record, text).catch(failed);
  };
  input.onblur = () => end(true);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    end(event.key === "Enter");
    byId("rename").focus();
  });
}

function factsOf(record) {
  const parts = [record.key && keyName(record.key), record.metre, record.tempo_bpm ? t("common.bpm", { n: Math.round(record.tempo_bpm) }) : ""];
  if (record.n_bars) parts.push(t("common.bars", { n: record.n_bars }));
  if (record.duration_s) parts.push(clock(record.duration_s));
  return parts
    .filter(Boolean)
    .map((part) => part.replaceAll(" ", "\u00a0"))
    .join(" · ");
}

